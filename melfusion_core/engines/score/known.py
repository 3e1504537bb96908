"""Which cells belong together.

Shape legend: ``channels``, ``beats``, ``rows`` of the latent image.
"""

from __future__ import annotations

import torch

from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.layout import (
    CHANNELS,
    DRUM_DIM,
    DRUM_ROW,
    FIRST_OCTAVE_ROW,
    OCTAVES,
    ROWS,
    role_channels,
)


def part_mask(part: str, beats: int, facts: bool = True) -> torch.Tensor:
    """All that belongs to one part.

    Args:
        part: One of :data:`~melfusion_core.engines.score.layout.PARTS`.
        beats: Length in beats.
        facts: Whether its control rows belong to it.

    Returns:
        Of shape ``(channels, beats, rows)``, bool.
    """
    mask = torch.zeros(CHANNELS, beats, ROWS, dtype=torch.bool)
    if part == "drums":
        mask[:DRUM_DIM, :, DRUM_ROW] = True
    else:
        mask[role_channels(part), :, FIRST_OCTAVE_ROW : FIRST_OCTAVE_ROW + OCTAVES] = True
    if facts:
        for name in FIELDS:
            if name.split(".")[0] == part:
                row, channels = FIELDS[name]
                mask[channels, :, row] = True
    return mask
