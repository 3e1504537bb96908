"""A small discriminator of log-magnitude spectrograms, for the vocoder's texture."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SpectrumDiscriminator(nn.Module):
    """Judges patches of a log-magnitude spectrogram; each band of frequencies has its own network.

    Args:
        bands: Number of equal bands that the bins are cut into.
        channels: Channels of the first layer; the others have twice as many.
    """

    def __init__(self, bands: int = 4, channels: int = 16) -> None:
        super().__init__()
        self.bands = nn.ModuleList(self._band(channels) for _ in range(bands))

    def forward(self, level: torch.Tensor) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """Judge spectrograms.

        Args:
            level: Log magnitudes, about unit scale, of shape `(batch, frames, bins)`.

        Returns:
            Per band, scores of shape `(batch, 1, frames', bins')` and a list of hidden features.
        """
        scores, features = [], []
        for layers, part in zip(self.bands, level[..., :-1].chunk(len(self.bands), dim=-1), strict=True):
            hidden, kept = part.unsqueeze(1), []
            for layer in layers[:-1]:
                hidden = functional.leaky_relu(layer(hidden), 0.1)
                kept.append(hidden)
            scores.append(layers[-1](hidden))
            features.append(kept)
        return scores, features

    @staticmethod
    def _band(channels: int) -> nn.ModuleList:
        def convolution(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Module:
            padding = (kernel[0] // 2, kernel[1] // 2)
            return nn.utils.parametrizations.weight_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding))

        return nn.ModuleList(
            [
                convolution(1, channels, (3, 9), (1, 4)),
                convolution(channels, 2 * channels, (3, 5), (2, 2)),
                convolution(2 * channels, 2 * channels, (3, 3), (1, 1)),
                convolution(2 * channels, 1, (3, 3), (1, 1)),
            ]
        )
