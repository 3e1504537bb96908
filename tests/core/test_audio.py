from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch

from melfusion_core.audio import (
    AudioError,
    integrated_lufs,
    load_audio,
    match_loudness_together,
    peak_dbfs,
    resample,
    save_audio,
)

RATE = 32_000


def tone(frequency_hz: float = 997.0, seconds: float = 2.0, amplitude: float = 0.5, rate: int = RATE) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * frequency_hz * torch.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("extension, subtype, tolerance", [("wav", "PCM_16", 1e-4), ("flac", "PCM_24", 1e-6)])
def test_saved_audio_comes_back(tmp_path, extension, subtype, tolerance):
    path = save_audio(tmp_path / f"tone.{extension}", tone(), RATE, subtype=subtype)
    torch.testing.assert_close(load_audio(path, RATE), tone(), atol=tolerance, rtol=0)


def test_stereo_is_averaged_and_part_of_a_file_can_be_read(tmp_path):
    left, right = tone(440.0).numpy(), tone(660.0).numpy()
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    part = load_audio(tmp_path / "a.wav", RATE, offset_s=0.5, duration_s=0.25)
    np.testing.assert_allclose(part.numpy(), ((left + right) / 2)[16_000:24_000], atol=1e-6)


def test_other_rates_are_resampled(tmp_path):
    save_audio(tmp_path / "a.wav", tone(rate=44_100), 44_100)
    loaded = load_audio(tmp_path / "a.wav", RATE)
    assert loaded.shape == (2 * RATE,)
    torch.testing.assert_close(loaded[1000:-1000], tone()[1000:-1000], atol=1e-3, rtol=0)
    with pytest.raises(AudioError):
        resample(tone(), 0, RATE)


def test_unusable_files_raise(tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), RATE, subtype="FLOAT")
    for name in ("missing.wav", "text.wav", "empty.wav", "nan.wav"):
        with pytest.raises(AudioError, match="audio|samples"):
            load_audio(tmp_path / name, RATE)
    save_audio(tmp_path / "a.wav", tone(), RATE)
    with pytest.raises(AudioError, match="none at"):
        load_audio(tmp_path / "a.wav", RATE, offset_s=5.0)


@pytest.mark.parametrize(
    "bad", [torch.zeros(0), torch.tensor([0.0, math.nan]), torch.zeros(100, 2), torch.zeros(1, 2, 9)]
)
def test_unusable_waveforms_are_not_saved(tmp_path, bad):
    with pytest.raises(AudioError):
        save_audio(tmp_path / "a.wav", bad, RATE)
    with pytest.raises(AudioError):
        save_audio(tmp_path / "a.nothing", tone(), RATE)


def test_beyond_full_scale_clips_and_does_not_wrap(tmp_path):
    loaded = load_audio(save_audio(tmp_path / "a.wav", tone(amplitude=2.0), RATE), RATE)
    assert loaded.abs().max() <= 1.0 and (loaded * tone(amplitude=2.0) >= 0).all()


def test_loudness_of_a_full_scale_tone():
    """BS.1770: a full-scale 997 Hz sine in one channel reads -3.01 LUFS."""
    assert integrated_lufs(tone(amplitude=1.0), RATE) == pytest.approx(-3.01, abs=0.05)
    assert integrated_lufs(torch.zeros(RATE), RATE) == -math.inf
    with pytest.raises(AudioError, match=r"0\.4 s"):
        integrated_lufs(tone(seconds=0.3), RATE)


def test_peak():
    assert peak_dbfs(torch.tensor([0.1, -0.5])) == pytest.approx(-6.02, abs=0.01)
    assert peak_dbfs(torch.zeros(5)) == -math.inf


def test_matching_reaches_the_target_or_the_ceiling():
    assert integrated_lufs(match_loudness_together([tone(amplitude=0.01)], RATE, -16.0)[0], RATE) == pytest.approx(
        -16.0, abs=0.05
    )
    clicks = torch.zeros(RATE)
    clicks[::4000] = 0.5
    assert peak_dbfs(match_loudness_together([clicks], RATE, -16.0, -1.0)[0]) == pytest.approx(-1.0, abs=0.01)
    assert torch.equal(match_loudness_together([torch.zeros(RATE)], RATE)[0], torch.zeros(RATE))


def test_matching_together_keeps_all_equally_loud():
    clicks = torch.zeros(RATE)
    clicks[::4000] = 0.5
    matched = match_loudness_together([clicks, tone(), torch.zeros(RATE)], RATE)
    assert integrated_lufs(matched[0], RATE) == pytest.approx(integrated_lufs(matched[1], RATE), abs=0.05)
    assert max(peak_dbfs(item) for item in matched) <= -1.0 + 1e-3
