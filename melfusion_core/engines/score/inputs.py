"""What the music UNet sees of a score's latents, and how its output is read: known parts, coordinates, gates.

Shape legend: ``batch``, ``channels``, ``beats``, ``rows`` of the latent image; ``fold`` rows become one.
"""

from __future__ import annotations

import functools
import math

import torch

from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.layout import CHANNELS, DRUM_DIM, DRUM_ROW, FIRST_OCTAVE_ROW, OCTAVES, ROLES, ROWS

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


def output_channels(fold: int) -> int:
    """Channels of what the UNet gives; see :func:`clean_estimate`.

    Args:
        fold: How many rows become one.

    Returns:
        Their number.
    """
    return (CHANNELS + len(ROLES)) * fold


def fold_of(latent_channels: int) -> int:
    """How many rows became one.

    Args:
        latent_channels: Channels of folded latents.

    Returns:
        Their number.
    """
    return latent_channels // CHANNELS


def clean_estimate(output: torch.Tensor, noisy: torch.Tensor, alpha_cumprod: torch.Tensor | float) -> torch.Tensor:
    """The clean latents that a UNet's output stands for.

    Nearly all cells are empty, and the others lie on a sphere of mean square 1. Were it known which are filled, the
    best linear guess of those would be ``sqrt(a) x`` and of the others zero. So the network says for each cell how
    likely it is filled, which is a gate on the noisy latents, and adds what it knows better, in the share of the noise
    (the preconditioning of Karras et al. 2022, section 5, gated). Without the gate every note must pass through a
    network that is narrower than what it denoises.

    Args:
        output: Of shape ``(batch, output_channels(fold), beats, rows)``: the latents' channels, then a gate for each
            role's channels.
        noisy: Folded noisy latents of shape ``(batch, channels * fold, beats, rows)``.
        alpha_cumprod: Cumulative product of the noise schedule, a number or of shape ``(batch,)``.

    Returns:
        Of the shape of the noisy latents, float32.
    """
    alpha = torch.as_tensor(alpha_cumprod, device=noisy.device, dtype=torch.float32).view(-1, 1, 1, 1)
    fold = fold_of(noisy.shape[1])
    values, gates = output.float().split([CHANNELS * fold, len(ROLES) * fold], dim=1)
    # Channels are role-major and fold-minor: (roles, dim, fold); gates are (roles, fold).
    gates = gates.sigmoid().unflatten(1, (len(ROLES), 1, fold))
    passed = (noisy.float().unflatten(1, (len(ROLES), -1, fold)) * gates).flatten(1, 3)
    return alpha.sqrt() * passed + (1.0 - alpha).sqrt() * values


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
