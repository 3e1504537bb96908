from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from melfusion_core.mel import MelConfig, MelSpectrogram, mel_filterbank, mel_to_db


@pytest.fixture(scope="module")
def transform() -> MelSpectrogram:
    return MelSpectrogram()


def test_native_clip_has_640_frames(transform):
    assert transform(torch.zeros(2, 327_680)).shape == (2, 1, 640, 128)


def test_matches_librosa(transform):
    config = transform.config
    waveform = torch.randn(1, 32_768, generator=torch.Generator().manual_seed(0)) * 0.1
    reference = librosa.feature.melspectrogram(
        y=waveform[0].numpy(),
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=True,
        norm=None,
        power=1.0,
        pad_mode="reflect",
    )[:, :-1]
    expected = (np.log(np.maximum(reference, config.log_floor)) - config.log_mean) / config.log_std
    np.testing.assert_allclose(transform(waveform)[0, 0].numpy().T, expected, atol=2e-4)


def test_silence_is_the_floor_and_a_tone_is_where_it_belongs(transform):
    floor = transform.normalise(torch.tensor(math.log(transform.config.log_floor)))
    assert torch.allclose(transform(torch.zeros(1, 8192)), floor)
    time = torch.arange(8192) / 32_000
    mel = transform(torch.sin(2 * math.pi * 1000.0 * time)[None])[0, 0, 8]
    assert int(mel.argmax()) == int(mel_filterbank(transform.config)[64].argmax())  # bin 64 of 2048 is 1000 Hz


def test_normalised_values_are_deviations_from_the_mean(transform):
    mel = torch.randn(3, 4)
    config = transform.config
    torch.testing.assert_close(transform.normalise(mel) * config.log_std + config.log_mean, mel)


def test_no_filter_is_empty():
    assert (mel_filterbank(MelConfig()).sum(dim=0) > 0).all()


def test_decibels():
    config = MelConfig()
    mel = (torch.tensor([1.0, 0.1, 1e-9]).log() - config.log_mean) / config.log_std
    floor_db = 20.0 * math.log10(config.log_floor)
    torch.testing.assert_close(mel_to_db(mel), torch.tensor([0.0, -20.0, floor_db]), atol=1e-4, rtol=0)


def test_batch_rows_are_independent_and_gradients_flow(transform):
    waveform = (torch.randn(2, 8192) * 0.1).requires_grad_()
    both = transform(waveform)
    torch.testing.assert_close(both[1:], transform(waveform[1:]))
    both.sum().backward()
    assert torch.isfinite(waveform.grad).all()


@pytest.mark.parametrize("shape, message", [((8192,), "shape"), ((1, 8191), "multiple"), ((1, 512), "too short")])
def test_wrong_shapes_raise(transform, shape, message):
    with pytest.raises(ValueError, match=message):
        transform(torch.zeros(shape))


@pytest.mark.parametrize("field", [{"hop_length": 4096}, {"fmax": 20_000.0}, {"log_std": 0.0}, {"n_mels": 0}])
def test_impossible_configurations_raise(field):
    with pytest.raises(ValueError):
        MelConfig(**field)
