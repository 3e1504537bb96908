"""An image model that is told how pictures feel and what they show."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from melfusion_core.models.features import capture_image_features
from melfusion_core.models.picture_encoder import (
    PictureEncoder,
    PictureReading,
    embed_pictures,
    load_picture_encoder,
)
from melfusion_core.models.picture_words import NO_MOOD, UNCLEAR, describe
from melfusion_core.models.text import TextCondition
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from tests.conftest import PICTURE_EYE, make_image_unet, make_picture_encoder, make_told_unet

NULL = TextCondition(torch.zeros(1, 2, 32), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 32))
CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def some_pictures(count: int = 2, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_what_is_read_survives_saving_and_takes_pictures_or_pixels(tmp_path):
    encoder = make_picture_encoder()
    reading = encoder.read(some_pictures(3))
    assert len(reading) == 3 and reading.words.shape == (3, 4) and reading.meanings.shape == (3, 3)
    torch.testing.assert_close(reading.words.sum(1), torch.ones(3))
    told = encoder(some_pictures(3))
    assert told.shape == (3, encoder.dim) == (3, 5)
    torch.testing.assert_close(told, torch.cat([reading.moods, reading.meanings], dim=1))
    assert (told[0] - told[1]).abs().max() > 1e-3
    encoder.save_pretrained(tmp_path)
    loaded = PictureEncoder.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(some_pictures(3)), told)
    array = np.random.default_rng(0).integers(0, 255, (32, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    pixels = torch.from_numpy(array[:, 4:36].copy()).permute(2, 0, 1)[None] / 127.5 - 1.0  # the centre square
    torch.testing.assert_close(encoder.read([picture]).moods, encoder.read(pixels).moods)
    assert embed_pictures(None, [picture]) is None


def test_mirror_images_are_read_alike_and_other_sizes_are_brought_to_the_eyes():
    encoder = make_picture_encoder()
    pixels = some_pictures(2, 32)
    torch.testing.assert_close(encoder(pixels), encoder(pixels.flip(-1)))
    seen = []
    encoder.networks[0].network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    hooked = encoder.networks[0].network.conv_stem
    hooked.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 40, 50))
    assert seen[0].shape == (2, 3, 32, 32)
    torch.testing.assert_close(seen[0][0, :, 5, 5], torch.tensor([0.6 / 0.2, 0.0, -0.6 / 0.2]))


def test_regressions_are_kernel_sums():
    encoder = make_picture_encoder()
    features, logs = encoder.see(some_pictures(2))
    reading = encoder.interpret(features, logs)
    distance = (features[0] - encoder.support).square().sum(1)
    kernel = torch.exp(-0.01 * distance)
    expected = (kernel @ encoder.mood_dual - encoder.mood_mean) / encoder.mood_std
    torch.testing.assert_close(reading.moods[0], expected, rtol=1e-3, atol=1e-3)
    codes = logs.exp()[0] @ encoder.word_codes + kernel @ encoder.meaning_dual
    torch.testing.assert_close(
        reading.meanings[0], (codes - encoder.meaning_mean) / encoder.meaning_std, rtol=1e-3, atol=1e-3
    )


def test_words_have_meanings_in_the_same_space():
    encoder = make_picture_encoder()
    pooled = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    meanings = encoder.meaning_of(pooled)
    torch.testing.assert_close(encoder.locate(meanings), (pooled - encoder.text_mean) @ encoder.basis)
    torch.testing.assert_close(encoder.meaning_of(encoder.text_mean[None]), torch.zeros(1, 3))


def test_several_eyes_share_their_words():
    one, other = make_picture_encoder(), make_picture_encoder(eyes=[PICTURE_EYE, {**PICTURE_EYE, "size": 48}])
    assert other.size == 48 and other.config.features == 2 * one.config.features
    logs = [eye(torch.nn.functional.interpolate(some_pictures(1, 48), (eye.size,) * 2, mode="bicubic",
                                                antialias=True).clamp(-1, 1))[1].log_softmax(1)
            for eye in other.networks]  # fmt: skip
    mirrored = other.see(some_pictures(1, 48).flip(-1))[1]
    torch.testing.assert_close(other.see(some_pictures(1, 48))[1], mirrored)
    assert not torch.allclose(logs[0], logs[1])


def test_an_eye_of_open_clip(tmp_path):
    import open_clip

    config = tmp_path / "tiny-clip.json"
    config.write_text(json.dumps(CLIP))
    open_clip.add_model_config(config)
    eye = {"library": "open_clip", "architecture": "tiny-clip", "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    encoder = make_picture_encoder(eyes=[eye])
    assert encoder.config.features == 2 * 2 * 32  # mean and deviation of two stages
    assert encoder(some_pictures(2)).isfinite().all()
    encoder.save_pretrained(tmp_path / "saved")
    loaded = PictureEncoder.from_pretrained(tmp_path / "saved").eval()
    torch.testing.assert_close(loaded(some_pictures(2)), encoder(some_pictures(2)))


def test_eyes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="library must be"):
        PictureEncoder([{**PICTURE_EYE, "library": "caffe"}])


def reading_of(words: list[float], moods: list[float]) -> PictureReading:
    return PictureReading(torch.tensor([moods]), torch.tensor([words]), torch.zeros(1, 3))


def test_what_is_seen_is_said_only_where_it_is_sure():
    encoder = make_picture_encoder()
    encoder.word_truth = torch.tensor([1.0, 0.0])  # confidence is the probability
    encoder.mood_slope, encoder.mood_error = torch.tensor([0.6, 0.6]), torch.tensor([0.8, 0.8])
    sure = describe(encoder, reading_of([0.05, 0.05, 0.8, 0.1], [1.0, -3.0]))[0]
    assert [each.word for each in sure.shows] == ["beach"] and sure.shows[0].confidence == pytest.approx(0.8, abs=1e-4)
    assert sure.text == "looks like: beach; calm, rather pleasant"
    coarse = describe(encoder, reading_of([0.05, 0.05, 0.5, 0.4], [0.0, 0.0]))[0]
    assert [each.word for each in coarse.shows] == ["the shore"]
    chance = 0.5 * (1.0 + math.erf(0.6 / 0.8 / math.sqrt(2.0)))
    assert sure.feels[1].confidence == pytest.approx(chance, abs=1e-4)
    unsure = describe(encoder, reading_of([0.3, 0.2, 0.3, 0.2], [0.1, -0.1]))[0]
    assert unsure.text == f"{UNCLEAR}; {NO_MOOD}" and not unsure.shows and not unsure.feels
    encoder.word_truth = torch.tensor([1.0, -3.0])  # such words turned out to be less often true
    assert not describe(encoder, reading_of([0.05, 0.05, 0.8, 0.1], [0.0, 0.0]))[0].shows


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
    encoder, unet = make_picture_encoder(), make_told_unet(5)
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
    encoder = make_picture_encoder()
    parts = {**tiny_pipeline.components, "image_encoder": encoder}
    with pytest.raises(ValueError, match="image_encoder"):
        MelFusionPipeline(**parts)
    with pytest.raises(ValueError, match="told needs"):
        tiny_pipeline.encode_image(sunset, torch.zeros(1, 5))
    parts["image_unet"] = make_told_unet(encoder.dim)
    with pytest.raises(ValueError, match="image_encoder"):
        MelFusionPipeline(**{**parts, "image_encoder": None})
    pipe = MelFusionPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    features = pipe.encode_image([sunset, checkers]).layers[0][0][0]
    pipe.save_pretrained(tmp_path)
    loaded = MelFusionPipeline.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded.encode_image([sunset, checkers]).layers[0][0][0], features)
    # A correction is another telling; what was read says the same as saying it.
    reading = encoder.read([sunset, checkers])
    told = encoder.tell(reading.moods, reading.meanings)
    torch.testing.assert_close(pipe.encode_image([sunset, checkers], told).layers[0][0][0], features)
    corrected = encoder.tell(reading.moods + 2.0, reading.meanings)
    assert not torch.allclose(pipe.encode_image([sunset, checkers], corrected).layers[0][0][0], features)
    torch.testing.assert_close(pipe.encode_image([sunset, checkers]).layers[0][0][0], features)
    with pytest.raises(ValueError, match="one row"):
        pipe.encode_image(sunset, told)
    encoder.mood_mean.add_(3.0)  # an encoder that says something else changes what is heard
    pipe.clear_image_cache()
    assert not torch.equal(pipe.encode_image([sunset, checkers]).layers[0][0][0], features)
