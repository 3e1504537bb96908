"""Pictures of spectrograms and grids, written during training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from melfusion_core.mel import MelConfig, mel_to_db

_STOPS = np.array([[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]])


def save_spectrograms(path: Path, rows: list[torch.Tensor], config: MelConfig, low_db: float = -80.0) -> None:
    """Write a grid of spectrograms: one row of the grid per batch, low frequencies at the bottom.

    Args:
        path: PNG file to write.
        rows: Normalised log-mel batches of equal shape `(batch, 1, frames, n_mels)`.
        config: The mel configuration.
        low_db: Level shown as black, in dB; the brightest is the highest level in the grid.
    """
    levels = mel_to_db(torch.stack(rows)[:, :, 0].detach().cpu().float(), config)
    high = max(float(levels.max()), low_db + 1.0)
    shade = ((levels - low_db) / (high - low_db)).clamp(0, 1).flip(-1).transpose(-1, -2).numpy()
    grid = np.concatenate([np.concatenate([_edge(image) for image in row], axis=1) for row in shade], axis=0)
    places = np.linspace(0.0, 1.0, len(_STOPS))
    colours = np.stack([np.interp(grid, places, _STOPS[:, channel]) for channel in range(3)], axis=-1)
    Image.fromarray(colours.astype(np.uint8)).save(path)


def save_pictures(path: Path, rows: list[torch.Tensor]) -> None:
    """Write a grid of pictures.

    Args:
        path: PNG file to write.
        rows: Batches of equal shape `(batch, 3, height, width)` in [-1, 1], one per row of the grid.
    """
    grid = torch.stack(rows).detach().cpu().float().clamp(-1, 1)
    grid = ((grid + 1) * 127.5).round().to(torch.uint8)
    lines = [torch.cat([torch.nn.functional.pad(p, (1, 1, 1, 1)) for p in row], dim=-1) for row in grid]
    Image.fromarray(torch.cat(lines, dim=-2).permute(1, 2, 0).numpy()).save(path)


def _edge(image: np.ndarray) -> np.ndarray:
    return np.pad(image, 2)
