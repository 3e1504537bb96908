"""Reading the triplets of a corpus: `metadata.jsonl` with pictures and audio beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Triplet:
    """One picture, caption and clip.

    Attributes:
        id: Name within the corpus.
        audio: Path of the clip.
        image: Path of the picture.
        caption: What the music is.
        lead: Name of the lead instrument.
        instruments: Names of all instruments.
        image_valence: Rank-normalised valence of the picture, [0, 1].
        image_arousal: Rank-normalised arousal of the picture, [0, 1].
        music_valence: Rank-normalised valence of the music, [0, 1].
        music_arousal: Rank-normalised arousal of the music, [0, 1].
    """

    id: str
    audio: Path
    image: Path
    caption: str
    lead: str
    instruments: tuple[str, ...]
    image_valence: float
    image_arousal: float
    music_valence: float
    music_arousal: float


def load_triplets(root: Path | str, split: str) -> list[Triplet]:
    """Read one split.

    Args:
        root: Corpus folder.
        split: "train", "validation" or "test".

    Returns:
        The triplets, in the order of the file.

    Raises:
        FileNotFoundError: If there is no `metadata.jsonl`.
        ValueError: If `split` is unknown or empty, or a line is damaged or lacks a field.
    """
    root = Path(root)
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose from {', '.join(SPLITS)}")
    table = root / "metadata.jsonl"
    if not table.is_file():
        raise FileNotFoundError(f"no corpus at {root}: metadata.jsonl is missing")
    triplets = []
    with table.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if row["split"] == split:
                    triplets.append(_triplet(root, row))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"line {number} of {table} is damaged or lacks a field: {error}") from error
    if not triplets:
        raise ValueError(f"the corpus at {root} has no triplets in split {split}")
    return triplets


def _triplet(root: Path, row: dict[str, Any]) -> Triplet:
    return Triplet(
        id=row["id"],
        audio=root / row["audio"],
        image=root / row["image"],
        caption=row["caption"],
        lead=row["attributes"]["lead"],
        instruments=tuple(row["attributes"]["instruments"]),
        image_valence=row["image_valence"],
        image_arousal=row["image_arousal"],
        music_valence=row["music_valence"],
        music_arousal=row["music_arousal"],
    )
