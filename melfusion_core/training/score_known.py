"""Which parts of a passage are known in training, so that anything may be known later and the rest composed around it.

Shape legend: ``channels``, ``beats``, ``rows`` of the latent image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.known import part_mask
from melfusion_core.engines.score.layout import (
    CHANNELS,
    PARTS,
    ROLES,
    ROWS,
)

_SONG_FACTS: tuple[tuple[str, ...], ...] = (
    ("song.tempo",), ("song.metre",), ("song.swing",), ("song.tonic",), ("song.mode",),
    ("song.valence", "song.arousal"), ("song.valence",), ("song.arousal",), ("song.style",), ("song.end",),
    ("song.begin",), ("song.level",), ("song.density",), ("harmony.root", "harmony.tones"),
    ("harmony.root", "harmony.tones", "harmony.bass"), ("harmony.bass",),
    ("harmony.pitches",),
)  # fmt: skip
"""What is told together."""
_SHAPE = ("song.tempo", "song.metre", "song.begin", "song.end")
"""What is known as soon as a length is fixed."""


def tell(mask: torch.Tensor, name: str, beats: slice = slice(None)) -> None:
    """Mark a control as known.

    Args:
        mask: Of shape ``(channels, beats, rows)``, bool; changed in place.
        name: One of :data:`~melfusion_core.engines.score.controls.FIELDS`.
        beats: In which beats.
    """
    row, channels = FIELDS[name]
    mask[channels, beats, row] = True


def draw_known(rng: np.random.Generator, beats: int, parts: Sequence[str]) -> torch.Tensor:
    """Draw what is known of a passage.

    Args:
        rng: Source of randomness.
        beats: Its length.
        parts: Parts that it has.

    Returns:
        Of shape ``(channels, beats, rows)``, bool.
    """
    mask = torch.zeros(CHANNELS, beats, ROWS, dtype=torch.bool)
    kind = rng.choice(["nothing", "shape", "facts", "parts", "span"], p=[0.15, 0.3, 0.2, 0.2, 0.15])
    if kind == "nothing":
        return mask
    if kind == "shape" or rng.random() < 0.7:
        for name in _SHAPE:
            tell(mask, name)
    if kind == "facts" or rng.random() < 0.3 * (kind != "shape"):
        _tell_facts(rng, mask)
    if kind == "parts" or rng.random() < 0.2 * (kind == "span"):
        _tell_parts(rng, mask, parts)
    if kind == "span":
        mask |= _span(rng, beats)
    return mask


def _tell_facts(rng: np.random.Generator, mask: torch.Tensor) -> None:
    beats = mask.shape[1]
    share = rng.random() ** 1.5
    per_part = [(f"{part}.{field}",) for part in PARTS for field in ("presence", "level", "density", "articulation")]
    # A part is there or not for all parts at once, an instrument for each: the cast of a piece.
    cast = [tuple(f"{part}.presence" for part in PARTS), *((f"{role}.instrument",) for role in ROLES)]
    for facts in (*_SONG_FACTS, *cast, *per_part):
        if rng.random() < share:
            partial = rng.random() < 0.2
            for name in facts:
                tell(mask, name, _beats(rng, beats) if partial else slice(None))


def _tell_parts(rng: np.random.Generator, mask: torch.Tensor, parts: Sequence[str]) -> None:
    """Some of the parts as notes; with those that are silent, it is known that nothing else plays."""
    present = list(parts)
    count = int(rng.integers(1, max(len(present), 2)))
    chosen = [str(part) for part in rng.permutation(present)[:count]]
    facts = rng.random() < 0.8
    for part in chosen:
        mask |= part_mask(part, mask.shape[1], facts)
    if rng.random() < 0.3:
        for part in set(PARTS) - set(present):
            mask |= part_mask(part, mask.shape[1])


def _beats(rng: np.random.Generator, beats: int) -> slice:
    first, last = sorted(int(x) for x in rng.integers(0, beats + 1, 2))
    return slice(first, max(last, first + 1))


def _span(rng: np.random.Generator, beats: int) -> torch.Tensor:
    """All of a passage but some beats: before, after or between."""
    mask = torch.ones(CHANNELS, beats, ROWS, dtype=torch.bool)
    length = int(rng.integers(2, beats))
    first = {"before": 0, "after": beats - length, "between": int(rng.integers(0, beats - length + 1))}
    start = first[str(rng.choice(["before", "after", "after", "between"]))]
    mask[:, start : start + length] = False
    return mask
