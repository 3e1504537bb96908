"""Scores in a table: the notes of many passages in one array, which is how a score corpus lies on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melfusion_core.score.chords import BeatChord
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import Note, Score, Track

TICKS = 12
"""Ticks of a beat that notes are kept to."""
NOTE = np.dtype([("start", "<u2"), ("ticks", "<u2"), ("pitch", "u1"), ("velocity", "u1"), ("track", "u1")])
CLIPS, NOTES, OFFSETS = "scores.jsonl", "notes.npy", "offsets.npy"


@dataclass
class ScoreTable:
    """Passages and their notes.

    Args:
        clips: What is known of every passage: tracks, tempo, key and whatever else was said of it.
        notes: All notes, one passage after another, of dtype :data:`NOTE`.
        offsets: First note of every passage, and the number of all, of shape ``(passages + 1,)``.
    """

    clips: list[dict[str, Any]]
    notes: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.clips)

    def score(self, row: int) -> Score:
        """One passage.

        Args:
            row: Its number.

        Returns:
            The score, its notes on the ticks.
        """
        clip = self.clips[row]
        tracks = []
        for instrument, role in clip["tracks"]:
            drums = role == "drums"
            tracks.append(Track(instrument, 0 if drums else INSTRUMENTS[instrument].program, [], drums, role))
        for start, ticks, pitch, velocity, track in self.notes[self.offsets[row] : self.offsets[row + 1]].tolist():
            tracks[track].notes.append(Note(start / TICKS, ticks / TICKS, pitch, velocity))
        return Score(
            tracks=tracks,
            tempo_bpm=clip["tempo_bpm"],
            beats_per_bar=clip["beats_per_bar"],
            tonic=clip["tonic"],
            mode=clip["mode"],
            style=clip["style"],
            piece=clip["piece"],
            source=clip["source"],
            seed=clip["seed"],
            chords=tuple(clip["chords"]),
            harmony=tuple(None if chord is None else BeatChord(*chord) for chord in clip["harmony"]),
            swing=clip["swing"],
        )

    def save(self, folder: Path) -> None:
        """Write the table.

        Args:
            folder: Where to; made where there is none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / NOTES, self.notes)
        np.save(folder / OFFSETS, self.offsets)
        text = "".join(json.dumps(clip) + "\n" for clip in self.clips)
        (folder / CLIPS).write_text(text, encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> ScoreTable:
        """Open a table; its notes stay on disk.

        Args:
            folder: What :meth:`save` wrote.

        Returns:
            The table.
        """
        with (folder / CLIPS).open(encoding="ascii") as lines:
            clips = [json.loads(line) for line in lines]
        return cls(clips, np.load(folder / NOTES, mmap_mode="r"), np.load(folder / OFFSETS))

    @classmethod
    def from_scores(cls, scores: Sequence[Score], extra: Sequence[dict[str, Any]]) -> ScoreTable:
        """Make a table of scores; their notes go to the nearest ticks.

        Args:
            scores: The passages.
            extra: What else to keep of each.

        Returns:
            The table.
        """
        clips, rows, offsets = [], [], [0]
        for score, more in zip(scores, extra, strict=True):
            for number, track in enumerate(score.tracks):
                for note in track.notes:
                    start = max(round(note.start * TICKS), 0)
                    rows.append((start, max(round(note.duration * TICKS), 1), note.pitch, note.velocity, number))
            offsets.append(len(rows))
            clips.append(
                {
                    "piece": score.piece,
                    "source": score.source,
                    "style": score.style,
                    "tempo_bpm": score.tempo_bpm,
                    "beats_per_bar": score.beats_per_bar,
                    "tonic": score.tonic,
                    "mode": score.mode,
                    "seed": score.seed,
                    "chords": list(score.chords),
                    "harmony": [chord and (chord.root, chord.kind, chord.bass) for chord in score.harmony],
                    "swing": score.swing,
                    "tracks": [(track.instrument, track.role) for track in score.tracks],
                    **more,
                }
            )
        return cls(clips, np.array(rows, dtype=NOTE), np.array(offsets, dtype=np.int64))

    @classmethod
    def concat(cls, parts: Sequence[ScoreTable]) -> ScoreTable:
        """Join tables.

        Args:
            parts: The tables, in order.

        Returns:
            One table.
        """
        shifts = np.cumsum([0, *(len(part.notes) for part in parts)])
        offsets = [part.offsets[:-1] + shift for part, shift in zip(parts, shifts, strict=False)]
        return cls(
            [clip for part in parts for clip in part.clips],
            np.concatenate([part.notes for part in parts]),
            np.concatenate([*offsets, shifts[-1:]]),
        )
