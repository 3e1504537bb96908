"""Reading the triplets of a corpus: `metadata.jsonl` with pictures and audio beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")
PHOTO = "photo"
"""Kind of the photographs whose mood people rated, in their own colours."""


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
        kind: Kind of the picture: "photo", "regraded" or "scene"; empty when unknown.
        theme: What the picture shows, coarsely; empty when unknown.
        style: Style of the music; empty when unknown.
        mode: "major" or "minor"; empty when unknown.
        tempo_word: Class of the tempo, such as "slow"; empty when unknown.
        tempo_bpm: Quarter notes per minute; 0 when unknown.
        onset_rate_hz: Onsets of the score per second; 0 when unknown.
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
    kind: str = ""
    theme: str = ""
    style: str = ""
    mode: str = ""
    tempo_word: str = ""
    tempo_bpm: float = 0.0
    onset_rate_hz: float = 0.0


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
    attributes = row["attributes"]
    return Triplet(
        id=row["id"],
        audio=root / row["audio"],
        image=root / row["image"],
        caption=row["caption"],
        lead=attributes["lead"],
        instruments=tuple(attributes["instruments"]),
        image_valence=row["image_valence"],
        image_arousal=row["image_arousal"],
        music_valence=row["music_valence"],
        music_arousal=row["music_arousal"],
        kind=row.get("image_kind") or "",
        theme=row.get("theme") or "",
        style=attributes.get("style") or "",
        mode=attributes.get("mode") or "",
        tempo_word=attributes.get("tempo_word") or "",
        tempo_bpm=float(attributes.get("tempo_bpm") or 0.0),
        onset_rate_hz=float(attributes.get("onset_rate_hz") or 0.0),
    )
