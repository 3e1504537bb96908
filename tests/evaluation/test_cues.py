from __future__ import annotations

import math

import numpy as np
import pytest

from melfusion_core.evaluation.cues import audio_cues, chroma_energy, rms_dbfs

RATE = 16000


def sine(frequency_hz: float, seconds: float = 2.0, level: float = 0.5) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


def plucks(per_second: float, seconds: float = 4.0) -> tuple[np.ndarray, int]:
    """Plucked notes with eight partials that ring on, and their number."""
    time = np.arange(int(seconds * 2 * RATE)) / (2 * RATE)
    starts = np.arange(0.2, seconds - 0.1, 1 / per_second)
    samples = np.zeros_like(time)
    for index, start in enumerate(starts):
        since, frequency = np.clip(time - start, 0, None), 220 * (1 + index % 3 / 4)
        samples += (
            sum(np.sin(2 * np.pi * frequency * k * since) / k for k in range(1, 9)) * np.exp(-since / 0.15) * 0.1
        )
    return samples.astype(np.float32), len(starts)


def test_level_of_a_sine() -> None:
    assert rms_dbfs(sine(440.0, level=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert rms_dbfs(np.zeros(10)) == -math.inf


@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_every_plucked_note_is_an_onset(rate: float) -> None:
    samples, count = plucks(rate)
    assert audio_cues(samples, 2 * RATE).onset_rate_hz == pytest.approx(count / 4.0)


def test_centroid_and_silence() -> None:
    assert audio_cues(sine(1000.0), RATE).centroid_hz == pytest.approx(1000.0, rel=0.05)
    silent = audio_cues(np.zeros(RATE), RATE)
    assert (silent.onset_rate_hz, silent.rms_dbfs, silent.mode) == (0.0, -math.inf, 0.0)


def test_noise_between_the_partials_costs_contrast() -> None:
    samples, _ = plucks(4.0)
    noise = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    clear, veiled, noisy = (audio_cues(samples + level * noise, 2 * RATE).contrast_db for level in (0.0, 0.003, 0.3))
    assert clear > veiled + 3 > noisy + 6
    assert audio_cues(np.zeros(RATE), RATE).contrast_db == 0.0


def test_mode_of_scales() -> None:
    # The degrees of C major and of C minor, the tonic triad twice as loud.
    scales = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
    sounds = [
        sum(sine(261.63 * 2 ** (s / 12), level=0.1 if s in (scale[0], scale[2], scale[4]) else 0.05) for s in scale)
        for scale in scales
    ]
    assert audio_cues(sounds[0], RATE).mode > 0 > audio_cues(sounds[1], RATE).mode


def test_chroma_of_a_note() -> None:
    energy = chroma_energy(sine(440.0), RATE)
    assert int(energy.argmax()) == 9 and energy.sum() == pytest.approx(1.0)
    assert chroma_energy(np.zeros(100), RATE).sum() == 0.0


def test_bad_waveforms_are_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        audio_cues(np.zeros((2, 100)), RATE)
    with pytest.raises(ValueError, match="finite"):
        audio_cues(np.array([0.0, np.nan]), RATE)
    with pytest.raises(ValueError, match="mono"):
        audio_cues(np.zeros(0), RATE)
