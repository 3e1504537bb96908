"""Coordinates that the music UNet sees beside the latents."""

from __future__ import annotations

import math

import pytest
import torch

from melfusion_core.engines.spectrogram.latents import add_coordinates


def test_no_coordinates_leave_the_latents():
    latents = torch.randn(2, 3, 8, 4)
    assert add_coordinates(latents, 3) is latents


def test_frequency_runs_from_minus_one_to_one():
    added = add_coordinates(torch.zeros(2, 3, 8, 5), 4)[:, 3]
    assert torch.allclose(added[1, 7], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))


def test_time_waves_keep_their_phase_in_a_crop():
    whole = add_coordinates(torch.zeros(1, 3, 32, 4), 3 + 1 + 2 * 4)
    crop = add_coordinates(torch.zeros(2, 3, 8, 4), 3 + 1 + 2 * 4, torch.tensor([5, 20]))
    assert torch.allclose(crop[0], whole[0, :, 5:13], atol=1e-5)
    assert torch.allclose(crop[1], whole[0, :, 20:28], atol=1e-5)
    wave = whole[0, 8, :, 0]  # sine of the third octave: a period of 8 positions
    assert torch.allclose(wave, torch.sin(2 * math.pi * torch.arange(32) / 8), atol=1e-5)


@pytest.mark.parametrize("channels", [2, 5])
def test_wrong_numbers_of_channels(channels):
    with pytest.raises(ValueError, match="coordinates"):
        add_coordinates(torch.zeros(1, 3, 8, 4), channels)
