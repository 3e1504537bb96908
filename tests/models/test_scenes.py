"""The scene classifier: statistics by hand, abstaining, saving, and whose image model it belongs to."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from melfusion_core.models.features import ImageFeatures
from melfusion_core.models.scenes import (
    SCENE_FOLDER,
    SceneClassifier,
    SceneReader,
    attention_norms,
    load_scene_classifier,
    token_statistics,
)
from melfusion_core.models.text import TextCondition
from tests.conftest import make_image_unet


def make_classifier(**settings):
    classifier = SceneClassifier(**{"labels": ["a", "b", "photo"], "silent": ["photo"], "features": 4} | settings)
    with torch.no_grad():
        classifier.linear.weight.zero_()
        classifier.linear.bias.copy_(torch.tensor([2.0, 0.0, 0.0]))
    return classifier


def test_token_statistics_by_hand():
    key, value = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.0], [-4.0]]])
    features = ImageFeatures((20, 100), (((key + 1, value),), ((key, value),)))
    assert token_statistics(features, 100).tolist() == [[2.0, 1.0, -2.0, 2.0]]
    with pytest.raises(ValueError, match="timestep 500 are needed"):
        token_statistics(features, 500)


@pytest.mark.parametrize(("threshold", "silent", "word"), [(0.7, [], "a"), (0.8, [], None), (0.7, ["a"], None)])
def test_it_says_what_it_is_sure_of_and_may_say(threshold, silent, word):
    classifier = make_classifier(threshold=threshold, silent=silent)
    features = ImageFeatures((100,), (((torch.randn(2, 5, 1), torch.randn(2, 5, 1)),),))
    for reading in classifier.read(features):
        assert (reading.label, reading.word) == ("a", word)
        assert reading.probability == pytest.approx(0.787, abs=1e-3)  # softmax of 2, 0, 0


def test_it_is_saved_in_half_precision_and_loaded_strictly(tmp_path):
    assert load_scene_classifier(tmp_path) is None
    classifier = make_classifier(threshold=0.6, image_norms=[1.5, 2.5])
    classifier.mean.fill_(3.0)
    classifier.half().save_pretrained(tmp_path / SCENE_FOLDER)
    loaded = load_scene_classifier(tmp_path)
    assert loaded.mean.tolist() == [3.0] * 4 and loaded.dtype == torch.float32
    assert loaded.config.threshold == 0.6 and list(loaded.config.image_norms) == [1.5, 2.5]
    (tmp_path / SCENE_FOLDER / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(OSError):
        load_scene_classifier(tmp_path)


def test_the_reader_wants_its_own_image_model_and_leaves_it_alone():
    torch.manual_seed(0)
    unet = make_image_unet()
    null = TextCondition(torch.zeros(1, 2, 32), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 32))
    scheduler = DDIMScheduler(num_train_timesteps=1000)
    settings = {"features": 4 * 16 * 2, "image_norms": attention_norms(unet), "threshold": 0.5}
    processors = unet.attn_processors
    reader = SceneReader(make_classifier(**settings), unet.half(), scheduler, null)
    assert reader.read(Image.new("RGB", (30, 20), "red")).word == "a"
    assert unet.attn_processors == processors and unet.dtype == torch.float16
    with torch.no_grad():
        next(unet.get_submodule("up_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k").parameters()).mul_(1.1)
    with pytest.raises(ValueError, match="another image model"):
        SceneReader(make_classifier(**settings), unet, scheduler, null)
