"""The first look at a model with one's own pictures."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from melfusion_core.research.photographs import photographs


class Tones:
    """Plays a tone whose pitch follows the picture's brightness; `deaf` ignores the picture."""

    sample_rate = 32000

    def __init__(self, deaf=False):
        self.deaf = deaf

    def __call__(self, prompt, image, num_inference_steps, synapse_strength, generator):
        hears = image is not None and synapse_strength > 0 and not self.deaf
        pitch = 220 * (1 + np.asarray(image).mean() / 255) if hears else 220
        time = np.arange(64000) / 32000
        bursts = np.sin(2 * np.pi * pitch * time) * (time % 0.5 < 0.25) * 0.3
        return SimpleNamespace(audios=bursts[None].astype(np.float32))


def picture(path, level):
    Image.new("RGB", (32, 32), (level, level, level)).save(path)
    return path


def test_report(tmp_path):
    pictures = [picture(tmp_path / "dark.png", 10), picture(tmp_path / "light.png", 240)]
    report = photographs(Tones(), pictures, tmp_path / "out", "a piece of music", 0, 2)
    assert set(report["takes"]) == {"dark", "light", "text-only"}
    assert report["takes"]["dark"]["finite"] and report["takes"]["dark"]["onsets"] >= 2
    assert report["distance_db"]["dark / light"] > 1.0
    assert report["strength_0_is_text_only"] and report["second_run_is_identical"]
    assert json.loads((tmp_path / "out" / "photographs.json").read_text())["seed"] == 0
    assert (tmp_path / "out" / "light.flac").is_file()


def test_a_deaf_model_is_seen_through(tmp_path):
    pictures = [picture(tmp_path / "dark.png", 10), picture(tmp_path / "light.png", 240)]
    report = photographs(Tones(deaf=True), pictures, tmp_path / "out", "a piece of music", 0, 2)
    assert set(report["distance_db"].values()) == {0.0}


def test_one_picture_is_too_few(tmp_path):
    with pytest.raises(ValueError, match="at least two pictures"):
        photographs(Tones(), [picture(tmp_path / "dark.png", 10)], tmp_path / "out", "music", 0, 2)
