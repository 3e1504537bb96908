"""What the music UNet sees of a score's latents: what is known, where it lies, and rows folded into channels.

Shape legend: ``batch``, ``channels``, ``beats``, ``rows`` of the latent image; ``fold`` rows become one.
"""

from __future__ import annotations

import functools
import math

import torch

from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.layout import CHANNELS, DRUM_DIM, DRUM_ROW, FIRST_OCTAVE_ROW, OCTAVES, ROWS

PERIODS = (2, 4, 8, 16, 32, 3, 6, 12, 24)
"""Beats after which the coordinates of time come back: bars of four and of three, and their phrases."""


@functools.cache
def meaningful() -> torch.Tensor:
    """Which channels of which rows have a meaning.

    Returns:
        Of shape ``(channels, rows)``, bool.
    """
    mask = torch.zeros(CHANNELS, ROWS, dtype=torch.bool)
    for row, channels in FIELDS.values():
        mask[channels, row] = True
    mask[:, FIRST_OCTAVE_ROW : FIRST_OCTAVE_ROW + OCTAVES] = True
    mask[:DRUM_DIM, DRUM_ROW] = True
    return mask


def fold_rows(latents: torch.Tensor, fold: int) -> torch.Tensor:
    """Turn neighbouring rows into channels: a wide network on few positions learns more per second.

    Args:
        latents: Of shape ``(batch, channels, beats, rows)``.
        fold: How many rows become one; divides their number.

    Returns:
        Of shape ``(batch, channels * fold, beats, rows / fold)``.
    """
    batch, channels, beats, rows = latents.shape
    return latents.view(batch, channels, beats, rows // fold, fold).permute(0, 1, 4, 2, 3).flatten(1, 2)


def unfold_rows(folded: torch.Tensor, fold: int) -> torch.Tensor:
    """Undo :func:`fold_rows`.

    Args:
        folded: Of shape ``(batch, channels * fold, beats, rows / fold)``.
        fold: How many rows became one.

    Returns:
        Of shape ``(batch, channels, beats, rows)``.
    """
    batch, channels, beats, rows = folded.shape
    return (
        folded.view(batch, channels // fold, fold, beats, rows)
        .permute(0, 1, 3, 4, 2)
        .reshape(batch, channels // fold, beats, rows * fold)
    )


def input_channels(fold: int) -> int:
    """Channels of what the UNet sees.

    Args:
        fold: How many rows become one.

    Returns:
        Their number.
    """
    return 2 * CHANNELS * fold + ROWS // fold + 2 * len(PERIODS)


def unet_input(
    noisy: torch.Tensor, clean: torch.Tensor, known: torch.Tensor, start: torch.Tensor | int, fold: int
) -> torch.Tensor:
    """Latents with what is known in its place, which that is, the number of each row, and the time.

    Args:
        noisy: Of shape ``(batch, channels, beats, rows)``.
        clean: Values of what is known, same shape.
        known: What is known, same shape, bool.
        start: Beat of its piece at which each passage starts, a number or of shape ``(batch,)``.
        fold: How many rows become one.

    Returns:
        Of shape ``(batch, input_channels(fold), beats, rows / fold)``.
    """
    batch, _, beats, rows = noisy.shape
    seen = torch.where(known, clean, noisy) * meaningful().to(noisy).unsqueeze(1)
    places = torch.eye(rows // fold, device=noisy.device, dtype=noisy.dtype)
    places = places.view(1, rows // fold, 1, rows // fold).expand(batch, -1, beats, -1)
    when = torch.as_tensor(start, device=noisy.device).expand(batch)[:, None] + torch.arange(
        beats, device=noisy.device
    )
    angles = when[:, None, :] * (2 * math.pi / torch.tensor(PERIODS, device=noisy.device)).view(1, -1, 1)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1).to(noisy.dtype)
    waves = waves.unsqueeze(-1).expand(-1, -1, -1, rows // fold)
    return torch.cat([fold_rows(seen, fold), fold_rows(known.to(noisy.dtype), fold), places, waves], dim=1)
