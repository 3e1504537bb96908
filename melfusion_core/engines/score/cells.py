"""The cell codec: what one role plays in one beat of one octave, and what the drums play in a beat, as a few numbers.

Shape legend: ``batch``, ``dim`` numbers of a cell, ``beats``, ``octaves``, 288 ``bits`` of a cell (12 pitch classes or
drum classes x 12 ticks, twice: onsets and holds, or hits and accents).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

from melfusion_core.engines.score.layout import CELL_DIM, DRUM_DIM, TICKS

BITS = 2 * 12 * TICKS


class CellCodec(ModelMixin, ConfigMixin):
    """Bits of a cell to a point on a sphere, and back.

    An empty cell is the origin; every other one lies on a sphere on which a number has mean square 1, so that noise of
    a given level blurs all cells alike and silence is as far from any notes as they are from their neighbours. The
    decoder sees the cells around one (a held note goes on from the last beat) and is trained on noised points: what a
    denoiser leaves over snaps to notes.

    Args:
        dim: Numbers of a pitched cell.
        drum_dim: Numbers of a beat of drums.
        width: Hidden units.
    """

    @register_to_config
    def __init__(self, dim: int = CELL_DIM, drum_dim: int = DRUM_DIM, width: int = 768) -> None:
        super().__init__()
        self.notes_in = _encoder(width, dim)
        self.drums_in = _encoder(width, drum_dim)
        self.notes_out = _decoder((3, 3), dim, width)
        self.drums_out = _decoder((3, 1), drum_dim, width)

    def encode_notes(self, bits: torch.Tensor) -> torch.Tensor:
        """Pitched cells as points.

        Args:
            bits: Of shape ``(cells, 288)``, 0 or 1.

        Returns:
            Of shape ``(cells, dim)``.
        """
        return _on_sphere(self.notes_in(bits), bits)

    def encode_drums(self, bits: torch.Tensor) -> torch.Tensor:
        """Beats of drums as points.

        Args:
            bits: Of shape ``(cells, 288)``, 0 or 1.

        Returns:
            Of shape ``(cells, drum_dim)``.
        """
        return _on_sphere(self.drums_in(bits), bits)

    def decode_notes(self, points: torch.Tensor) -> torch.Tensor:
        """Log-odds of a role's bits.

        Args:
            points: Of shape ``(batch, dim, beats, octaves)``.

        Returns:
            Of shape ``(batch, 288, beats, octaves)``.
        """
        return self.notes_out(points)

    def decode_drums(self, points: torch.Tensor) -> torch.Tensor:
        """Log-odds of the drums' bits.

        Args:
            points: Of shape ``(batch, drum_dim, beats)``.

        Returns:
            Of shape ``(batch, 288, beats)``.
        """
        return self.drums_out(points.unsqueeze(-1)).squeeze(-1)


def _encoder(width: int, dim: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(BITS, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU(),
        torch.nn.Linear(width, dim),
    )  # fmt: skip


def _decoder(kernel: tuple[int, int], dim: int, width: int) -> torch.nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(dim, width, kernel, padding=padding), torch.nn.SiLU(), torch.nn.Conv2d(width, width, 1),
        torch.nn.SiLU(), torch.nn.Conv2d(width, BITS, 1),
    )  # fmt: skip


def _on_sphere(points: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    return F.normalize(points, dim=-1) * points.shape[-1] ** 0.5 * bits.any(dim=-1, keepdim=True)
