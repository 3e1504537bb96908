from __future__ import annotations

import dataclasses

import pytest

from melfusion_core.training.config import TrainConfig, field_help, parse_config
from melfusion_core.training.image import ImageConfig
from melfusion_core.training.music import MusicConfig
from melfusion_core.training.prepare import PrepareConfig
from melfusion_core.training.vocoder import VocoderConfig

CONFIGS = (TrainConfig, VocoderConfig, ImageConfig, MusicConfig, PrepareConfig)


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_field_has_help(config_class):
    helps = field_help(config_class)
    assert [field.name for field in dataclasses.fields(config_class) if not helps.get(field.name)] == []


def test_flags_become_fields():
    config = parse_config(
        VocoderConfig, ["--data", "d", "--out", "o", "--max-minutes", "1.5", "--no-resume", "--mel-noise", "1e-5"]
    )
    assert (config.max_minutes, config.resume, config.mel_noise) == (1.5, False, 1e-5)


def test_lists_become_tuples():
    flags = ["--data", "d", "--out", "o", "--parts", "captions", "--key-timesteps", "50", "200"]
    config = parse_config(PrepareConfig, flags)
    assert config.parts == ("captions",)
    assert config.key_timesteps == (50, 200)


@pytest.mark.parametrize(
    ("config_class", "settings"),
    [
        (TrainConfig, {}),
        (TrainConfig, {"max_steps": 1, "warmup": 1.0}),
        (TrainConfig, {"max_steps": 1, "precision": "fp8"}),
        (TrainConfig, {"max_steps": 1, "batch_size": 0}),
        (VocoderConfig, {"max_steps": 1, "adversarial_start": 2.0}),
        (ImageConfig, {"max_steps": 1, "caption_dropout": -0.1}),
        (MusicConfig, {"max_steps": 1, "text_dropout": 0.6, "image_dropout": 0.6}),
        (MusicConfig, {"max_steps": 1, "picture_crop": 0.0}),
        (MusicConfig, {"max_steps": 1, "caption_draws": 0}),
        (PrepareConfig, {"parts": ("latents",)}),
        (PrepareConfig, {"parts": ("sounds",)}),
    ],
)
def test_bad_settings_are_refused(config_class, settings):
    with pytest.raises(ValueError):
        config_class(data="d", out="o", **settings)


def test_bad_flags_end_the_program(capsys):
    with pytest.raises(SystemExit):
        parse_config(VocoderConfig, ["--data", "d", "--out", "o"])
    assert "max_steps or max_minutes" in capsys.readouterr().err
