"""The probes of a tiny image model."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from melfusion_core.image import image_to_tensor
from melfusion_core.models.features import ImageFeatures
from melfusion_core.models.text import TextCondition
from melfusion_core.research.probe import ImageModel, ProbePicture, collect, probe, reconstruct, token_statistics
from tests.conftest import image_scheduler, make_image_unet, make_told_unet


def test_statistics_over_tokens():
    key = torch.tensor([[[1.0, 2.0], [3.0, 2.0]]])
    [(place, values)] = token_statistics(ImageFeatures((100,), (((key, key * 2),),))).items()
    assert place == (100, 0)
    np.testing.assert_allclose(values, [[2, 2, 1, 0, 4, 4, 2, 0]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    null = TextCondition(torch.zeros(1, 4, 32), torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 32))
    return ImageModel(make_image_unet(), image_scheduler(), null)


def test_probes_of_a_tiny_model(model, tmp_path):
    rng = np.random.default_rng(0)
    pictures = []
    for index in range(48):
        path, red = tmp_path / f"{index}.png", int(rng.integers(256))
        Image.new("RGB", (24, 24), (red, 60, 255 - red)).save(path)
        kind = "warm" if red > 127 else "cold"
        pictures.append(ProbePicture(path, f"theme {index % 12}", kind, rng.random(), red / 255, index >= 32))
    rated = [ProbePicture(p.path, p.theme, "one kind", p.valence, p.arousal) for p in pictures]
    sets = {"corpus": pictures, "rated photographs": rated}
    report = probe(model, sets, tmp_path / "out", (100, 500), 2, progress=False)
    corpus, crossed = report["sets"]["corpus"], report["sets"]["rated photographs"]
    assert (corpus["tested"], crossed["tested"]) == ("held-out pictures", "folds over themes")
    rows = corpus["probes"]
    assert rows["mean colour"]["arousal"]["value"] > 0.9 and rows["mean colour"]["n"] == 16
    assert rows["mean colour"]["kind"]["value"] > 0.7 >= rows["mean colour"]["kind"]["chance"]
    assert rows["t 100, layer 0"]["arousal"]["value"] > 0.5
    assert {"t 500, layer 1", "colour and texture"} <= set(rows) and crossed["probes"]["mean colour"]["n"] == 48
    assert crossed["classes"] == "theme"
    assert json.loads((tmp_path / "out" / "probe.json").read_text()) == report
    assert "| chance | 0 | 0 |" in (tmp_path / "out" / "probe.md").read_text()
    assert (tmp_path / "out" / "reconstructions.png").is_file() and (tmp_path / "out" / "probe-corpus.png").is_file()


def test_a_model_that_is_told_what_pictures_show(model, tmp_path):
    """The encoder reads mood, here redness, from the picture; what it says is probed too, and reaches the keys."""

    class Encoder(torch.nn.Module):
        device = torch.device("cpu")

        def read(self, pictures: list[Image.Image]) -> SimpleNamespace:
            pixels = torch.stack([image_to_tensor(picture, 16) for picture in pictures])
            return SimpleNamespace(moods=pixels.mean((2, 3))[:, :1], meanings=None)

        @staticmethod
        def tell(moods: torch.Tensor, meanings: None) -> torch.Tensor:
            return moods

    told = make_told_unet(1)
    pictures = []
    for red in range(0, 250, 25):
        path = tmp_path / f"{red}.png"
        Image.new("RGB", (16, 16), (red, 60, 60)).save(path)
        pictures.append(ProbePicture(path, "theme", "kind", 0.5, red / 250))
    features, _ = collect(ImageModel(told, model.scheduler, model.null_text, Encoder()), pictures, (100,), 1, False)
    reds = [picture.arousal for picture in pictures]
    assert np.corrcoef(features["told"][:, 0], reds)[0, 1] > 0.99
    assert set(features) == {"told", "t 100, layer 0", "t 100, layer 1"}


def test_reconstruction_is_near_with_many_steps(model):
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    errors = [float((reconstruct(model, pixels, steps, 300) - pixels).abs().mean()) for steps in (3, 60)]
    assert errors[1] < errors[0] and errors[1] < 0.1
