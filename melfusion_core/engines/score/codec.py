"""Between grids and latents: cells through the cell codec, controls through their codes.

Shape legend: ``channels``, ``beats``, ``rows`` of the latent image; ``roles``, ``octaves``; 288 ``bits`` of a cell.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from melfusion_core.engines.score.cells import BITS, CellCodec
from melfusion_core.engines.score.controls import CONTROL_ROWS, Controls, encode_controls
from melfusion_core.engines.score.grid import Grid
from melfusion_core.engines.score.layout import (
    CHANNELS,
    DRUM_CLASSES,
    DRUM_DIM,
    DRUM_ROW,
    FIRST_OCTAVE_ROW,
    OCTAVES,
    ROLES,
    ROWS,
    TICKS,
    role_channels,
)

SNAP_LEAST = 0.3
"""Root mean square from which an estimated cell counts as filled; notes have 1."""


def cell_bits(grid: Grid) -> np.ndarray:
    """Bits of all pitched cells.

    Args:
        grid: The notes.

    Returns:
        Of shape ``(roles, beats, octaves, 288)``, bool.
    """
    both = np.stack([grid.onset, grid.hold], axis=3)
    return both.reshape(*both.shape[:3], BITS)


def drum_bits(grid: Grid) -> np.ndarray:
    """Bits of all beats of drums.

    Args:
        grid: The notes.

    Returns:
        Of shape ``(beats, 288)``, bool.
    """
    return np.stack([grid.hits, grid.accents], axis=1).reshape(grid.beats, BITS)


@torch.no_grad()
def encode_cells(codec: CellCodec, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of all cells; only those with notes are computed.

    Args:
        codec: The cell codec.
        grid: The notes.

    Returns:
        Of shape ``(roles, dim, beats, octaves)``, and of the drums ``(drum_dim, beats)``.
    """
    bits, drums = cell_bits(grid), drum_bits(grid)
    points = torch.zeros(*bits.shape[:3], codec.config.dim, device=codec.device)
    filled = torch.from_numpy(bits.any(axis=-1))
    if filled.any():
        points[filled] = codec.encode_notes(torch.from_numpy(bits[filled.numpy()]).to(codec.device, codec.dtype))
    drum_points = torch.zeros(grid.beats, codec.config.drum_dim, device=codec.device)
    beats = torch.from_numpy(drums.any(axis=-1))
    if beats.any():
        drum_points[beats] = codec.encode_drums(torch.from_numpy(drums[beats.numpy()]).to(codec.device, codec.dtype))
    return points.permute(0, 3, 1, 2), drum_points.T


def encode_grid(codec: CellCodec, grid: Grid, controls: Controls) -> torch.Tensor:
    """A passage as latents.

    Args:
        codec: The cell codec.
        grid: The notes.
        controls: What is said of every beat.

    Returns:
        Of shape ``(channels, beats, rows)``.
    """
    points, drum_points = encode_cells(codec, grid)
    latents = torch.zeros(CHANNELS, grid.beats, ROWS)
    latents[:, :, :CONTROL_ROWS] = torch.from_numpy(encode_controls(controls))
    for row, role in enumerate(ROLES):
        latents[role_channels(role), :, FIRST_OCTAVE_ROW : FIRST_OCTAVE_ROW + OCTAVES] = points[row].cpu()
    latents[:DRUM_DIM, :, DRUM_ROW] = drum_points.cpu()
    return latents


@torch.no_grad()
def snap_cells(codec: CellCodec, latents: torch.Tensor, least: float = SNAP_LEAST) -> torch.Tensor:
    """Move estimated cells to the points of the notes that they decode to.

    Estimates are means of what may be there and lie between the codec's points. Moving them to real ones while there
    is still noise to remove keeps the sampler from settling in between (the clamping trick of Li et al. 2022,
    "Diffusion-LM", section 4.2, with our codec in place of the nearest word).

    Args:
        codec: The cell codec.
        latents: Of shape ``(batch, channels, beats, rows)``.
        least: Cells whose root mean square is less become empty.

    Returns:
        Same shape; controls are as they were.
    """
    out = latents.clone()
    rows = slice(FIRST_OCTAVE_ROW, FIRST_OCTAVE_ROW + OCTAVES)
    cells = latents[..., rows].unflatten(1, (len(ROLES), -1)).flatten(0, 1).to(codec.device, codec.dtype)
    bits = codec.decode_notes(_on_sphere(cells, least)) > 0
    bits[:, BITS // 2 :] &= ~bits[:, : BITS // 2]  # what starts is not held
    snapped = _points(bits.permute(0, 2, 3, 1), codec.encode_notes, codec.config.dim).permute(0, 3, 1, 2)
    out[..., rows] = snapped.unflatten(0, (-1, len(ROLES))).flatten(1, 2).to(out)
    drums = latents[:, :DRUM_DIM, :, DRUM_ROW].to(codec.device, codec.dtype)
    bits = codec.decode_drums(_on_sphere(drums, least)) > 0
    bits[:, BITS // 2 :] &= bits[:, : BITS // 2]  # what is loud is played
    snapped = _points(bits.permute(0, 2, 1), codec.encode_drums, codec.config.drum_dim).permute(0, 2, 1)
    out[:, :DRUM_DIM, :, DRUM_ROW] = snapped.to(out)
    return out


def _on_sphere(cells: torch.Tensor, least: float) -> torch.Tensor:
    size = cells.square().mean(dim=1, keepdim=True).sqrt()
    return torch.where(size > least, cells / size.clamp_min(1e-6), 0.0)


def _points(bits: torch.Tensor, encode: Callable[[torch.Tensor], torch.Tensor], dim: int) -> torch.Tensor:
    """Points of cells from their bits; only those with notes are computed."""
    filled = bits.any(dim=-1)
    points = torch.zeros(*filled.shape, dim, device=bits.device)
    if filled.any():
        points[filled] = encode(bits[filled].float()).float()
    return points


@torch.no_grad()
def decode_cells(codec: CellCodec, latents: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of all bits of one passage.

    Args:
        codec: The cell codec.
        latents: Of shape ``(channels, beats, rows)``.

    Returns:
        Of the roles, of shape ``(roles, beats, octaves, 2, pitch, ticks)``, and of the drums,
        ``(beats, 2, classes, ticks)``.
    """
    rows = latents[:, :, FIRST_OCTAVE_ROW : FIRST_OCTAVE_ROW + OCTAVES]
    points = torch.stack([rows[role_channels(role)] for role in ROLES]).to(codec.device, codec.dtype)
    notes = codec.decode_notes(points).float().cpu().numpy().transpose(0, 2, 3, 1)
    drums = codec.decode_drums(latents[None, :DRUM_DIM, :, DRUM_ROW].to(codec.device, codec.dtype))
    drums = drums[0].float().cpu().numpy().T
    return (
        notes.reshape(*notes.shape[:3], 2, 12, TICKS),
        drums.reshape(len(drums), 2, len(DRUM_CLASSES), TICKS),
    )
