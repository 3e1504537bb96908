"""Between grids and latents: cells through the cell codec, controls through their codes.

Shape legend: ``channels``, ``beats``, ``rows`` of the latent image; ``roles``, ``octaves``; 288 ``bits`` of a cell.
"""

from __future__ import annotations

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
