from __future__ import annotations

import math

import pytest
import torch

from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder, integrate_phase
from melfusion_core.mel import MelSpectrogram


@pytest.fixture(scope="module")
def vocoder() -> ISTFTVocoder:
    torch.manual_seed(0)
    return ISTFTVocoder(dim=8, num_layers=1, expansion=2, refine_rounds=4).eval()


def tone(frequency_hz: float, frames: int = 40) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * frequency_hz / 32000 * torch.arange(frames * 512))[None]


def test_length_and_config(vocoder):
    mel = MelSpectrogram(vocoder.mel_config)(tone(440.0))
    waveform = vocoder(mel)
    assert waveform.shape == (1, 40 * 512)
    assert waveform.dtype == torch.float32
    assert torch.equal(waveform, vocoder(mel))


def test_wrong_shape_is_refused(vocoder):
    with pytest.raises(ValueError, match="frames, 128"):
        vocoder(torch.zeros(1, 128, 40))


@pytest.mark.parametrize("frequency_hz", [220.0, 1234.5])
def test_a_tone_keeps_its_pitch_even_before_training(vocoder, frequency_hz):
    waveform = vocoder(MelSpectrogram(vocoder.mel_config)(tone(frequency_hz)))
    spectrum = torch.fft.rfft(waveform[0, 4096:-4096] * torch.hann_window(40 * 512 - 8192)).abs()
    found = float(spectrum.argmax()) * 32000 / (40 * 512 - 8192)
    assert found == pytest.approx(frequency_hz, abs=30.0)


def test_integrated_phase_rebuilds_a_tone_from_its_magnitudes():
    waveform = tone(1000.3)
    window = torch.hann_window(2048)
    magnitude = torch.stft(waveform, 2048, 512, window=window, return_complex=True).abs()
    phase = integrate_phase(magnitude, 2048, 512)
    rebuilt = torch.istft(torch.polar(magnitude, phase), 2048, 512, window=window, length=waveform.shape[1])
    again = torch.stft(rebuilt, 2048, 512, window=window, return_complex=True).abs()
    middle = slice(4, -4)
    error = (again - magnitude)[..., middle].norm() / magnitude[..., middle].norm()
    assert error < 0.02


def test_silence_is_quiet(vocoder):
    config = vocoder.mel_config
    silence = torch.full((1, 1, 16, 128), (math.log(config.log_floor) - config.log_mean) / config.log_std)
    assert vocoder(silence).abs().max() < 1e-3


def test_save_and_load(vocoder, tmp_path):
    vocoder.save_pretrained(tmp_path)
    loaded = ISTFTVocoder.from_pretrained(tmp_path)
    mel = MelSpectrogram(vocoder.mel_config)(tone(330.0))
    assert torch.equal(loaded.log_magnitude(mel), vocoder.log_magnitude(mel))
    assert loaded.mel_config == vocoder.mel_config


def test_gradient_reaches_the_trunk(vocoder):
    vocoder.log_magnitude(torch.zeros(1, 1, 8, 128)).mean().backward()
    assert vocoder.head.weight.grad.abs().sum() > 0
    vocoder.zero_grad()
