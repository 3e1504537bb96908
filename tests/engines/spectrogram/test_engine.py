"""The engine of spectrograms: the contract, and what is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from melfusion_core.engines.base import Rendered
from melfusion_core.engines.spectrogram.engine import SpectrogramEngine, SpectrogramView
from melfusion_core.mel import MelSpectrogram, mel_to_db
from melfusion_core.take import TakeSettings
from tests.conftest import TINY_MEL, make_engine
from tests.engines.contract import EngineContract


@pytest.fixture
def engine() -> SpectrogramEngine:
    torch.manual_seed(0)
    return make_engine()


def tone(hertz: float, samples: int = 1024) -> Rendered:
    time = torch.arange(samples) / TINY_MEL.sample_rate
    return Rendered(0.3 * torch.sin(2 * torch.pi * hertz * time)[None], TINY_MEL.sample_rate)


class TestSpectrogramEngine(EngineContract):
    @pytest.fixture
    def music(self) -> list[Rendered]:
        return [tone(60.0), tone(220.0)]

    @pytest.fixture
    def channels(self) -> int:
        return 4 + 1 + 2 * 3


def test_coordinates_come_in_odd_numbers(engine):
    for channels in (4, 5, 7, 15):
        engine.check_channels(channels)
    with pytest.raises(ValueError, match="odd number more"):
        engine.check_channels(6)


def test_encoding_is_that_of_the_codec(engine):
    mel = MelSpectrogram(TINY_MEL)(tone(60.0).audio)
    decoded = engine.mel(engine.encode([tone(60.0)]))
    with torch.no_grad():
        expected = engine.vae.decode(engine.vae.encode(mel).latent_dist.mode()).sample
    torch.testing.assert_close(decoded, expected, atol=1e-4, rtol=1e-4)
    short = engine.encode([tone(60.0, 1000)])
    assert short.shape == (1, 4, 8, 4), "what does not fill a position is silence"


def test_views_are_of_the_model_s_spectrogram_or_of_sound(engine):
    latents = torch.randn(1, 4, 8, 4)
    [view], mel = engine.view(latents), engine.mel(latents)
    np.testing.assert_array_equal(view.mel_db, mel_to_db(mel[0, 0], TINY_MEL).numpy())
    assert view.duration_s == pytest.approx(64 * 16 / 800)
    heard = SpectrogramView.of_sound(tone(60.0, 1030).audio, TINY_MEL)
    assert heard.mel_db.shape == (64, 32) and heard.mel_db[:, :8].mean() > heard.mel_db[:, 24:].mean() + 20


def test_length_is_exact_to_the_sample(engine):
    plan = engine.plan([""], TakeSettings(duration_s=1.003))
    latents = torch.randn(1, *plan.shape)
    assert engine.decode(latents, plan)[0].audio.shape == (1, 802)
