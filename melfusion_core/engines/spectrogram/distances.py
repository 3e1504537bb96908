"""How far two waveforms are apart, by their spectrograms."""

from __future__ import annotations

import statistics

import torch

STFT_SIZES = (512, 1024, 2048)


def stft_distances(original: torch.Tensor, rebuilt: torch.Tensor, floor: float = 1e-3) -> tuple[float, float]:
    """Multi-resolution STFT distances (Yamamoto, Song & Kim, 2020), windows of 512, 1024 and 2048 samples.

    Args:
        original: Of shape `(samples,)`.
        rebuilt: Of shape `(samples,)`.
        floor: Lowest magnitude under the logarithm.

    Returns:
        Spectral convergence `|| |X| - |Y| || / || |X| ||` and mean absolute difference of log magnitudes in nats, both
        averaged over the resolutions.
    """
    pair = torch.stack([original, rebuilt]).float()
    convergence, level = [], []
    for size in STFT_SIZES:
        window = torch.hann_window(size, device=pair.device)
        one, other = torch.stft(pair, size, size // 4, window=window, return_complex=True).abs()
        convergence.append(float(torch.linalg.norm(one - other) / torch.linalg.norm(one).clamp_min(1e-9)))
        level.append(float((one.clamp_min(floor).log() - other.clamp_min(floor).log()).abs().mean()))
    return statistics.fmean(convergence), statistics.fmean(level)
