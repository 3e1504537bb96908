"""An engine without a model: after a few steps it gives a sine wave, another one where there is a picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from demo.takes import Reading, Request, Settings
from melfusion_core.engines.base import Rendered
from melfusion_core.engines.spectrogram.engine import SpectrogramView
from melfusion_core.mel import MelConfig
from melfusion_core.pipelines.rendering import TEXT_ONLY, WITH_IMAGE, Finished, Step
from melfusion_core.take import KNOBS


def wish(image_path: str | None = None, caption: str = "", **others: Any) -> Request:
    """A request from loose settings."""
    knobs = {name: others.pop(name) for name in [*others] if name in KNOBS}
    return Request(image_path, caption, knobs, **others)


class FakeEngine:
    """Stands in for the model.

    Args:
        hold_at: Step after which it goes on giving that step until it is closed; ``None`` never holds.
    """

    def __init__(self, hold_at: int | None = None) -> None:
        self.sample_rate = MelConfig().sample_rate
        self.model_name = "fake"
        self.model_sha256 = "0" * 64
        self.device = "cpu"
        self.sounds_sha256: str | None = None
        self.hold_at = hold_at
        self.closed = threading.Event()
        self.settings: list[Settings] = []
        self.said: str | None = None
        self.looked: list[Image.Image] = []

    def reads(self, caption: str) -> Reading:
        return Reading(cut=caption[200:])

    def scene(self, image: Image.Image) -> str | None:
        self.looked.append(image)
        return self.said

    def render(self, settings: Settings) -> Generator[Step | Finished, None, None]:
        self.settings.append(settings)
        self.closed.clear()
        try:
            sounds = {}
            if settings.image is not None:
                red = float(np.asarray(settings.image)[..., 0].mean())
                level = 0.05 if settings.synapse_strength else 0.4  # at 0 it is the twin, sample by sample
                sounds[WITH_IMAGE] = _sine(settings.duration_s, 220.0 + red * settings.synapse_strength, level)
            if settings.caption and (settings.compares or not sounds):
                sounds[TEXT_ONLY] = _sine(settings.duration_s, 220.0, 0.4)
            config, mel_db = MelConfig(), next(iter(sounds.values())).view.mel_db
            noise = np.random.default_rng(settings.seed).uniform(-80, 20, mel_db.shape).astype(np.float32)
            for step in range(1, settings.num_inference_steps + 1):
                share = step / settings.num_inference_steps
                formed = SpectrogramView(share * mel_db + (1 - share) * noise, config)
                preview = formed if step in (1, 2) or step % 5 == 0 else None
                yield Step(step, settings.num_inference_steps, preview)
                while step == self.hold_at:
                    time.sleep(0.02)
                    yield Step(step, settings.num_inference_steps)
            yield Finished(sounds)
        finally:
            self.closed.set()


@lru_cache(maxsize=32)
def _sine(duration_s: float, frequency_hz: float, amplitude: float) -> Rendered:
    config = MelConfig()
    seconds = torch.arange(round(duration_s * config.sample_rate) // 512 * 512) / config.sample_rate
    beat = 0.3 + 0.7 * (1.0 - (2.0 * seconds) % 1.0)
    waveform = amplitude * beat * sum(torch.sin(2 * torch.pi * frequency_hz * k * seconds) / k for k in (1, 2, 3))
    return Rendered(waveform[None], config.sample_rate, SpectrogramView.of_sound(waveform[None], config))
