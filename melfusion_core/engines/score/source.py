"""A piece that exists: what of it stays, while the rest is composed anew around it.

One mechanism serves to accompany a melody, to redo or add players, to redo some bars, and to go on before or after.

Shape legend: ``channels``, ``beats``, ``rows`` of the latent image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import encode_grid
from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.grid import grid_from_score, transposition
from melfusion_core.engines.score.known import part_mask
from melfusion_core.engines.score.layout import CHANNELS, PARTS, ROLES, ROWS
from melfusion_core.engines.score.measure import measure_controls
from melfusion_core.engines.score.names import INSTRUMENT_NUMBERS, STYLE_NUMBERS
from melfusion_core.score.score import Score, playable

_FACTS = ("song.style", "song.swing", "song.tonic", "song.mode")
_HARMONY = ("harmony.root", "harmony.tones", "harmony.bass")


MOST_NOTES, MOST_BEATS = 50_000, 10_000


class SourceError(ValueError):
    """A piece cannot be worked on; the message says why."""


@dataclass(frozen=True)
class Source:
    """A piece and what of it stays.

    Outside ``redo`` everything stays; inside it only ``keep`` and, if wanted, the harmony.

    Args:
        score: The piece; it starts with a bar, and every role stands once at most.
        bars: Its whole bars.
        keep: Parts that stay throughout.
        redo: First bar that is composed anew and the first one after them, from 0; None for all bars.
        harmony: Whether the chords stay where bars are composed anew.
        before: Bars of new music that come before it.
        instruments: Whether parts that stay keep their instruments where all bars are composed anew.

    Raises:
        SourceError: When a part is unknown, a role stands twice, or the bars do not fit.
    """

    score: Score
    bars: int
    keep: tuple[str, ...] = ()
    redo: tuple[int, int] | None = None
    harmony: bool = False
    before: int = 0
    instruments: bool = True

    def __post_init__(self) -> None:
        unknown = set(self.keep) - set(PARTS)
        if unknown:
            raise SourceError(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
        roles = [track.role for track in self.score.tracks]
        if len(set(roles)) < len(roles):
            raise SourceError(f"every part may stand once, and here are {', '.join(roles)}")
        _check_score(self.score)
        if self.bars < 1 or self.before < 0:
            raise SourceError("a piece has at least one bar, and no fewer than none come before it")
        if self.redo and not 0 <= self.redo[0] <= self.redo[1] <= self.bars:
            raise SourceError(f"bars {self.redo[0] + 1} to {self.redo[1]} are not among its {self.bars}")

    @property
    def beats(self) -> int:
        """Its length."""
        return self.bars * self.score.beats_per_bar

    @property
    def first_beat(self) -> int:
        """Where it begins in the new piece."""
        return self.before * self.score.beats_per_bar

    def as_dict(self) -> dict[str, Any]:
        """Give it for JSON, exactly."""
        return {
            "score": self.score.to_dict(), "bars": self.bars, "keep": list(self.keep), "harmony": self.harmony,
            "redo": None if self.redo is None else list(self.redo), "before": self.before,
            "instruments": self.instruments,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Source:
        """Undo :meth:`as_dict`.

        Args:
            told: What it gave.

        Returns:
            The source.

        Raises:
            SourceError: When it is not of that form.
        """
        try:
            redo = told["redo"]
            return cls(
                Score.from_dict(told["score"]), int(told["bars"]), tuple(told["keep"]),
                None if redo is None else (int(redo[0]), int(redo[1])), bool(told["harmony"]), int(told["before"]),
                bool(told["instruments"]),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise SourceError(f"this is no piece to work on: {error}") from error

    def stays(self, part: str, beat: int) -> bool:
        """Whether the notes of a part that start in a beat stay.

        Args:
            part: One of the parts.
            beat: Beat of the piece itself.
        """
        first, end = self._redone()
        return 0 <= beat < self.beats and (part in self.keep or not first <= beat < end)

    def _redone(self) -> tuple[int, int]:
        first, end = self.redo or (0, self.bars)
        return first * self.score.beats_per_bar, end * self.score.beats_per_bar

    def cells(self, codec: CellCodec, beats: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What stays, as known cells of the new piece.

        Args:
            codec: The cell codec.
            beats: Length of the new piece.

        Returns:
            Values and mask of shape ``(channels, beats, rows)``; the values are 0 where nothing is known.

        Raises:
            GridError: When a role is unknown.
        """
        values, mask = torch.zeros(CHANNELS, beats, ROWS), torch.zeros(CHANNELS, beats, ROWS, dtype=torch.bool)
        own = min(self.beats, beats - self.first_beat)
        if own <= 0:
            return values, mask
        place = slice(self.first_beat, self.first_beat + own)
        values[:, place] = self._encoded(codec)[:, :own]
        whole = torch.ones(CHANNELS, own, ROWS, dtype=torch.bool)
        for name in ("song.begin", "song.end", "song.valence", "song.arousal"):  # of the new piece, not of this one
            row, channels = FIELDS[name]
            whole[channels, :, row] = False
        first, end = self._redone()
        whole[:, first:end] = False
        for part in self.keep:
            whole |= part_mask(part, own)
            if part in ROLES and not self.instruments and self.redo is None:
                row, channels = FIELDS[f"{part}.instrument"]
                whole[channels, :, row] = False
        kept = mask[:, place]
        kept |= whole
        for name in (*_FACTS, *(_HARMONY if self.harmony else ())):
            row, channels = FIELDS[name]
            kept[channels, :, row] = values[channels, place, row].abs().sum(0) > 0
        for name in _FACTS:  # of the whole new piece
            row, channels = FIELDS[name]
            values[channels, :, row], mask[channels, :, row] = values[channels, place, row][:, :1], True
        if not self.score.style:
            row, channels = FIELDS["song.style"]
            mask[channels, :, row] = False
        return torch.where(mask, values, 0.0), mask

    def _encoded(self, codec: CellCodec) -> torch.Tensor:
        grid = grid_from_score(self.score, self.beats)
        style = STYLE_NUMBERS.get(self.score.style, 0)
        said = measure_controls(self.score, grid, style, INSTRUMENT_NUMBERS, (0.5, 0.5))
        return encode_grid(codec, grid, said)

    def restored(self, made: Score) -> Score:
        """Put the notes that stay into what was composed, so that they come back exactly.

        Args:
            made: What was composed; in another key the notes move with it.

        Returns:
            It, with the notes that stay in place of those found there.
        """
        shift = transposition(self.score.tonic) - transposition(made.tonic)
        old, new = ({track.role: track for track in score.tracks} for score in (self.score, made))
        tracks = []
        for role in PARTS:
            composed = new[role].notes if role in new else []
            fresh = [note for note in composed if not self.stays(role, int(note.start) - self.first_beat)]
            kept = [note for note in (old[role].notes if role in old else []) if self.stays(role, int(note.start))]
            moved = [
                replace(note, start=note.start + self.first_beat, pitch=note.pitch + (role != "drums") * shift)
                for note in kept
            ]
            if fresh or moved:
                tracks.append(replace(new.get(role) or old[role], notes=playable([*fresh, *moved])))
        return replace(made, tracks=tracks)


def _check_score(score: Score) -> None:
    """Refuse what a recipe from elsewhere may hold and no piece has."""
    count = sum(len(track.notes) for track in score.tracks)
    if count > MOST_NOTES:
        raise SourceError(f"a piece to work on has at most {MOST_NOTES} notes; this one has {count}")
    sane = (
        score.beats_per_bar in (3, 4)
        and score.tonic in range(12)
        and score.mode in ("major", "minor")
        and 20 <= score.tempo_bpm <= 400
        and all(track.instrument in {*INSTRUMENT_NUMBERS, "drums"} for track in score.tracks)
        and all(
            0 <= note.start < MOST_BEATS and 0 < note.duration < MOST_BEATS
            and note.pitch in range(128) and note.velocity in range(128)
            for track in score.tracks for note in track.notes
        )
    )  # fmt: skip
    if not sane:
        raise SourceError("a piece to work on has a tempo, key, instrument or note that none can have")


def source_bars(score: Score) -> int:
    """Whole bars that the onsets of a score fill.

    Args:
        score: The score.

    Returns:
        At least 1.
    """
    last = max((note.start for track in score.tracks for note in track.notes), default=0.0)
    return int(last // score.beats_per_bar) + 1
