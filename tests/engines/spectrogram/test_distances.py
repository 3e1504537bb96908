from __future__ import annotations

import pytest
import torch

from melfusion_core.engines.spectrogram.distances import stft_distances


def test_distances_rise_with_damage_from_nothing():
    generator = torch.Generator().manual_seed(0)
    waveform, noise = (torch.randn(4096, generator=generator) * 0.1 for _ in range(2))
    rows = [stft_distances(waveform, waveform + level * noise) for level in (0.0, 0.01, 0.1)]
    assert rows[0] == (0.0, 0.0) and rows[0] < rows[1] < rows[2] and rows[1][1] < rows[2][1]


def test_half_the_gain_is_half_a_convergence_and_a_log_of_two():
    waveform = torch.randn(8192, generator=torch.Generator().manual_seed(0))
    convergence, level = stft_distances(waveform, 0.5 * waveform)
    assert convergence == pytest.approx(0.5) and level == pytest.approx(0.6931, abs=1e-3)
