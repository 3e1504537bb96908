"""An image model that is told what pictures show."""

from __future__ import annotations

import pytest
import timm
import torch
from diffusers import DDIMScheduler

from melfusion_core.models.features import capture_image_features
from melfusion_core.models.picture_encoder import PictureEncoder, embed_pictures, load_picture_encoder
from melfusion_core.models.text import TextCondition
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from melfusion_core.training.picture_encoder import (
    LEAST_STD,
    RatedPictures,
    fit_mood,
    load_classifier,
    measure,
    standardise,
)
from tests.conftest import make_image_unet, make_told_unet

ARCHITECTURE = "test_efficientnet"
NULL = TextCondition(torch.zeros(1, 2, 32), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 32))


def make_encoder(tells: str = "embedding") -> PictureEncoder:
    torch.manual_seed(0)
    encoder = PictureEncoder(ARCHITECTURE, size=32, tells=tells).eval()
    standardise(encoder, encoder.embed(some_pictures(16)))
    return encoder


def some_pictures(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_embeddings_are_standardised_and_survive_saving(tmp_path):
    encoder = make_encoder()
    assert torch.isfinite(encoder.std).all() and encoder.dim == len(encoder.std)
    said, varied = encoder(some_pictures(16)), encoder.std > LEAST_STD  # the others vary too little to be scaled up
    torch.testing.assert_close(said.mean(0), torch.zeros(encoder.dim), atol=1e-4, rtol=0)
    torch.testing.assert_close(said.std(0)[varied], torch.ones(int(varied.sum())), atol=1e-3, rtol=0)
    assert varied.any()
    said = encoder(some_pictures(3))
    assert said.shape == (3, encoder.dim) and not said.requires_grad
    assert (said[0] - said[1]).abs().max() > 0.01
    encoder.save_pretrained(tmp_path)
    loaded = PictureEncoder.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(some_pictures(3)), said)
    assert embed_pictures(None, some_pictures()) is None


def test_moods_are_read_as_ranks_and_told_with_unit_variance():
    encoder = make_encoder("mood")
    assert encoder.dim == 2
    with torch.no_grad():
        encoder.mood.weight.zero_()
        encoder.mood.bias.copy_(torch.tensor([0.75, 7.0]))
    pixels = some_pictures(3)
    torch.testing.assert_close(encoder.read_mood(encoder.embed(pixels)), torch.tensor([[0.75, 1.0]] * 3))
    torch.testing.assert_close(encoder(pixels), torch.tensor([[0.25, 0.5]] * 3) * 12**0.5)
    with pytest.raises(ValueError, match="tells must be"):
        PictureEncoder(ARCHITECTURE, tells="lies")


def rated(count: int, noise: float, seed: int) -> RatedPictures:
    """Pictures of ten themes whose valence is in their third feature."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, len(make_encoder().mean), generator=generator)
    moods = torch.stack([0.5 + 0.1 * embeddings[:, 2], torch.full((count,), 0.3)], dim=1)
    moods = moods + noise * torch.randn(count, 2, generator=generator)
    groups = tuple(f"theme {row % 10}" for row in range(count))
    return RatedPictures(embeddings, moods, groups, torch.arange(count) % 2 == 0)


def test_the_mood_is_learned_and_measured():
    encoder = make_encoder("mood")
    weak, strong = (fit_mood(encoder, rated(400, noise, 5)) for noise in (0.01, 3.0))
    assert weak < strong  # noise wants a stronger penalty
    fit_mood(encoder, rated(400, 0.01, 5))
    found = measure(encoder, rated(60, 0.01, 6))
    assert found["scenes"]["n"] == found["photographs"]["n"] == 30
    assert found["photographs"]["valence"] > 0.95 > 0.5 > abs(found["scenes"]["arousal"])


def test_the_pixels_reach_the_network_as_it_was_trained_on_them():
    torch.manual_seed(0)
    encoder = PictureEncoder(ARCHITECTURE, 32, pixel_mean=(0.4, 0.5, 0.6), pixel_std=(0.2, 0.25, 0.5)).eval()
    seen = []
    encoder.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 40, 50))
    assert seen[0].shape == (1, 3, 32, 32)
    torch.testing.assert_close(seen[0][0, :, 5, 5], torch.tensor([0.6 / 0.2, 0.0, -0.6 / 0.5]))


def test_a_classifier_is_taken_under_its_own_or_other_names():
    torch.manual_seed(3)
    classifier = timm.create_model(ARCHITECTURE, num_classes=10).eval()
    weights = classifier.state_dict()
    others = {f"layer_{number}": value for number, value in enumerate(weights.values()) if value.ndim}
    pixels = torch.randn(2, 3, 32, 32)
    expected = classifier.forward_head(classifier.forward_features(pixels), pre_logits=True)
    for given in (weights, others):
        encoder = PictureEncoder(ARCHITECTURE, 32).eval()
        load_classifier(encoder, given)
        torch.testing.assert_close(encoder.network(pixels), expected)
    with pytest.raises(ValueError, match="not those of"):
        load_classifier(PictureEncoder(ARCHITECTURE, 32), dict(list(others.items())[1:]))
    with pytest.raises(ValueError, match="not those of"):
        load_classifier(PictureEncoder(ARCHITECTURE, 32), dict(list(others.items())[:9]))


def test_what_a_picture_shows_reaches_the_keys_and_values():
    torch.manual_seed(0)
    unet, scheduler = make_told_unet(5), DDIMScheduler(num_train_timesteps=1000)
    told = torch.randn(2, 5, generator=torch.Generator().manual_seed(4))

    def features(embedding: torch.Tensor | None) -> torch.Tensor:
        pixels = some_pictures(1).expand(2, -1, -1, -1)
        return capture_image_features(
            unet, scheduler, pixels, NULL, (100,), 1, torch.float32, embedding=embedding
        ).layers[0][0][0]

    keys = features(told)
    assert (keys[0] - keys[1]).abs().max() > 1e-3  # the same pixels, told otherwise
    torch.testing.assert_close(features(told.flip(0)), keys.flip(0))
    with pytest.raises(ValueError, match="needs an embedding"):
        features(None)
    unet = make_image_unet()
    with pytest.raises(ValueError, match="takes no embedding"):
        features(told)


def test_the_encoder_is_found_beside_its_image_model(tmp_path):
    encoder, unet = make_encoder(), make_told_unet(5)
    assert load_picture_encoder(tmp_path / "a", make_image_unet()) is None
    with pytest.raises(FileNotFoundError, match="no picture encoder"):
        load_picture_encoder(tmp_path / "model/image_unet", unet)
    for folder in ("export/image_encoder", "model/image_encoder"):
        encoder.save_pretrained(tmp_path / folder)
    for folder in ("export", "model/image_unet"):
        found = load_picture_encoder(tmp_path / folder, unet)
        torch.testing.assert_close(found(some_pictures()), encoder(some_pictures()))
        assert not any(parameter.requires_grad for parameter in found.parameters())


def test_a_pipeline_with_an_encoder(tiny_pipeline, sunset, checkers, tmp_path):
    encoder = make_encoder()
    parts = {**tiny_pipeline.components, "image_encoder": encoder}
    with pytest.raises(ValueError, match="image_encoder"):
        MelFusionPipeline(**parts)
    parts["image_unet"] = make_told_unet(encoder.dim)
    with pytest.raises(ValueError, match="image_encoder"):
        MelFusionPipeline(**{**parts, "image_encoder": None})
    pipe = MelFusionPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    features = pipe.encode_image([sunset, checkers]).layers[0][0][0]
    pipe.save_pretrained(tmp_path)
    loaded = MelFusionPipeline.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded.encode_image([sunset, checkers]).layers[0][0][0], features)
    with torch.no_grad():  # an encoder that says something else changes what is heard
        encoder.mean.add_(3.0)
    pipe.clear_image_cache()
    assert not torch.equal(pipe.encode_image([sunset, checkers]).layers[0][0][0], features)
