"""What the music UNet sees of a score's latents, and how its output is read: known parts, coordinates, gates.

Shape legend: ``batch``, ``channels``, ``beats``, ``rows`` of the latent image; ``fold`` rows become one.
"""

from __future__ import annotations

import functools
import math

import torch

from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.layout import (
    CELL_DIM,
    CHANNELS,
    DRUM_DIM,
    DRUM_ROW,
    FIRST_OCTAVE_ROW,
    OCTAVES,
    ROLES,
    ROWS,
)

PERIODS = (2, 4, 8, 16, 32, 3, 6, 12, 24)
"""Beats after which the coordinates of time come back: bars of four and of three, and their phrases."""

SUREST = 12.0
"""Largest log-odds that a cell gives of itself."""
_LEAST_NOISE = 1e-3


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


def fold_of(latent_channels: int) -> int:
    """How many rows became one.

    Args:
        latent_channels: Channels of folded latents.

    Returns:
        Their number.
    """
    return latent_channels // CHANNELS


def filled_odds(noisy: torch.Tensor, alpha_cumprod: torch.Tensor | float) -> torch.Tensor:
    """What noisy cells say by themselves of whether notes are in them.

    Most cells are empty, and the others lie on a sphere of mean square 1. Under noise an empty cell's square is that
    of the noise and a filled one's that of noise and sphere; these are the log-odds of the second against the first,
    with the sphere taken as a Gaussian, before anything is known of how often cells are filled.

    Args:
        noisy: Of shape ``(batch, channels, beats, rows)``.
        alpha_cumprod: Cumulative product of the noise schedule, a number or of shape ``(batch,)``.

    Returns:
        Of shape ``(batch, roles, beats, rows)``, float32, at most :data:`SUREST` either way; 0 in rows of controls. In
        the row of drums every role says the same.
    """
    alpha = torch.as_tensor(alpha_cumprod, device=noisy.device, dtype=torch.float32).view(-1, 1, 1, 1)
    power = noisy.float().unflatten(1, (len(ROLES), -1)).square().sum(2)
    power[..., DRUM_ROW] = noisy[:, :DRUM_DIM, :, DRUM_ROW].float().square().sum(1, keepdim=True)
    size = torch.full((ROWS,), float(CELL_DIM), device=noisy.device)
    size[DRUM_ROW] = DRUM_DIM
    empty = (1.0 - alpha).clamp_min(_LEAST_NOISE)
    filled = empty + alpha
    odds = 0.5 * power * (1.0 / empty - 1.0 / filled) - 0.5 * size * (filled / empty).log()
    odds[..., :FIRST_OCTAVE_ROW] = 0.0
    return odds.clamp(-SUREST, SUREST)


def output_channels(fold: int) -> int:
    """Channels of what the UNet gives; see :func:`clean_estimate`.

    Args:
        fold: How many rows become one.

    Returns:
        Their number.
    """
    return (CHANNELS + len(ROLES)) * fold


def clean_estimate(output: torch.Tensor, noisy: torch.Tensor, alpha_cumprod: torch.Tensor | float) -> torch.Tensor:
    """The clean latents that a UNet's output stands for: the mean of a mixture of empty and filled cells.

    A cell's mean is the chance that it is filled times its mean if it is. The chance is the logistic function of what
    the cell says by itself (:func:`filled_odds`) and what the network adds from all around. The mean if filled is
    ``sqrt(a) x + sqrt(1 - a) F`` with the network's F: the best linear guess, put right in the share of the noise (the
    preconditioning of Karras et al. 2022, section 5). So nothing that the latents' sparseness alone tells must be
    learnt, and no note has to pass through a network that is narrower than what it denoises. Controls are never empty:
    their gate weighs the noisy latents only.

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
    odds = fold_rows(filled_odds(unfold_rows(noisy, fold), alpha.flatten()), fold)
    # Channels are role-major and fold-minor: (roles, dim, fold); gates are (roles, fold).
    chance = (gates + odds).sigmoid().unflatten(1, (len(ROLES), 1, fold))
    cells = fold_rows((torch.arange(ROWS) >= FIRST_OCTAVE_ROW).view(1, 1, 1, ROWS).to(noisy.device), fold)
    passed = (noisy.float() * alpha.sqrt()).unflatten(1, (len(ROLES), -1, fold)) * chance
    known_better = ((1.0 - alpha).sqrt() * values).unflatten(1, (len(ROLES), -1, fold))
    return (passed + known_better * torch.where(cells.unsqueeze(1), chance, 1.0)).flatten(1, 3)


def input_channels(fold: int) -> int:
    """Channels of what the UNet sees.

    Args:
        fold: How many rows become one.

    Returns:
        Their number.
    """
    return (2 * CHANNELS + len(ROLES)) * fold + ROWS // fold + 2 * len(PERIODS)


def unet_input(
    noisy: torch.Tensor,
    clean: torch.Tensor,
    known: torch.Tensor,
    start: torch.Tensor | int,
    fold: int,
    alpha_cumprod: torch.Tensor | float,
) -> torch.Tensor:
    """Latents with what is known in its place, which that is, the number of each row, the time, and the cells' odds.

    Args:
        noisy: Of shape ``(batch, channels, beats, rows)``.
        clean: Values of what is known, same shape.
        known: What is known, same shape, bool.
        start: Beat of its piece at which each passage starts, a number or of shape ``(batch,)``.
        fold: How many rows become one.
        alpha_cumprod: Cumulative product of the noise schedule, a number or of shape ``(batch,)``.

    Returns:
        Of shape ``(batch, input_channels(fold), beats, rows / fold)``.
    """
    batch, _, beats, rows = noisy.shape
    sure = filled_odds(clean, 1.0)
    told = known.unflatten(1, (len(ROLES), -1)).any(2)
    odds = torch.where(told, sure, filled_odds(noisy, alpha_cumprod)).to(noisy.dtype)
    seen = torch.where(known, clean, noisy) * meaningful().to(noisy).unsqueeze(1)
    places = torch.eye(rows // fold, device=noisy.device, dtype=noisy.dtype)
    places = places.view(1, rows // fold, 1, rows // fold).expand(batch, -1, beats, -1)
    when = torch.as_tensor(start, device=noisy.device).expand(batch)[:, None] + torch.arange(
        beats, device=noisy.device
    )
    angles = when[:, None, :] * (2 * math.pi / torch.tensor(PERIODS, device=noisy.device)).view(1, -1, 1)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1).to(noisy.dtype)
    waves = waves.unsqueeze(-1).expand(-1, -1, -1, rows // fold)
    parts = [fold_rows(seen, fold), fold_rows(known.to(noisy.dtype), fold), places, waves]
    return torch.cat([*parts, fold_rows(odds / SUREST, fold)], dim=1)
