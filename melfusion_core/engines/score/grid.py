"""Notes on a beat grid: which pitches start and which are held at every tick, by role, and the drums.

Shape legend: ``roles``, ``beats``, ``octaves``, 12 ``pitch`` classes, 12 ``ticks`` a beat, ``classes`` of drums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melfusion_core.engines.score.layout import (
    DRUM_CLASSES,
    HIGHEST_PITCH,
    LOWEST_PITCH,
    OCTAVES,
    ROLES,
    TICKS,
)
from melfusion_core.score.score import Note, Score

_CLASS_OF = {pitch: row for row, (_, pitches) in enumerate(DRUM_CLASSES) for pitch in pitches}
_ACCENT = 6
"""A hit this much louder than the mean of the drums, in MIDI velocity, is an accent."""
_GHOST_STEP = 14
"""Accents and plain hits lie this far apart in MIDI velocity when they are played."""


class GridError(ValueError):
    """A score does not fit on the grid; the message says why."""


@dataclass
class Grid:
    """The notes of a passage, transposed so that its tonic is C.

    Args:
        onset: Whether a note starts, of shape ``(roles, beats, octaves, pitch, ticks)``, bool.
        hold: Whether a note that started before goes on, same shape.
        hits: Drum hits, of shape ``(beats, classes, ticks)``, bool.
        accents: Which hits are loud, same shape.
    """

    onset: np.ndarray
    hold: np.ndarray
    hits: np.ndarray
    accents: np.ndarray

    @property
    def beats(self) -> int:
        """Length in beats."""
        return self.onset.shape[1]

    @classmethod
    def empty(cls, beats: int) -> Grid:
        """A grid without notes.

        Args:
            beats: Length in beats.

        Returns:
            The grid.
        """
        pitched = (len(ROLES), beats, OCTAVES, 12, TICKS)
        drums = (beats, len(DRUM_CLASSES), TICKS)
        return cls(*(np.zeros(shape, dtype=bool) for shape in (pitched, pitched, drums, drums)))


def transposition(tonic: int) -> int:
    """Semitones by which a piece moves so that its tonic becomes C.

    Args:
        tonic: Pitch class, 0 to 11.

    Returns:
        From -6 to 5.
    """
    return (6 - tonic) % 12 - 6


def fold(pitch: int) -> int:
    """A pitch moved by octaves into the grid.

    Args:
        pitch: MIDI note number.

    Returns:
        The nearest one of that pitch class inside the grid.
    """
    if pitch < LOWEST_PITCH:
        return pitch + 12 * (-(-(LOWEST_PITCH - pitch) // 12))
    if pitch > HIGHEST_PITCH:
        return pitch - 12 * (-(-(pitch - HIGHEST_PITCH) // 12))
    return pitch


def grid_from_score(score: Score, beats: int) -> Grid:
    """Write a score's notes on a grid.

    Onsets go to the nearest tick, lengths to at least one; notes that ring past the end are cut there. Pitches outside
    the seven octaves move by octaves.

    Args:
        score: The piece; every role at most once.
        beats: Length in beats.

    Returns:
        The grid.

    Raises:
        GridError: When two tracks share a role, or a role is unknown.
    """
    roles = [track.role for track in score.tracks]
    if len(set(roles)) < len(roles) or not set(roles) <= {*ROLES, "drums"}:
        raise GridError(f"every role of {', '.join((*ROLES, 'drums'))} may stand once, got {', '.join(roles)}")
    grid = Grid.empty(beats)
    shift = transposition(score.tonic)
    for track in score.tracks:
        if track.is_drum:
            _write_drums(grid, track.notes)
        else:
            _write_notes(grid, ROLES.index(track.role), track.notes, shift)
    return grid


def _write_notes(grid: Grid, role: int, notes: Sequence[Note], shift: int) -> None:
    end = grid.beats * TICKS
    onset = np.zeros((OCTAVES * 12, end), dtype=bool)
    hold = np.zeros_like(onset)
    for note in sorted(notes, key=lambda note: note.start):
        start = round(note.start * TICKS)
        stop = min(max(round((note.start + note.duration) * TICKS), start + 1), end)
        if not 0 <= start < end:
            continue
        row = fold(note.pitch + shift) - LOWEST_PITCH
        onset[row, start] = True
        hold[row, start] = False
        hold[row, start + 1 : stop] = True
        # An earlier, longer note of the same pitch ends where this one starts and does not sound again after it.
        later = np.flatnonzero(hold[row, stop:])
        if len(later) and later[0] == 0:
            cut = np.flatnonzero(~hold[row, stop:])
            hold[row, stop : stop + (cut[0] if len(cut) else end)] = False
    shape = (OCTAVES, 12, grid.beats, TICKS)
    grid.onset[role] = onset.reshape(shape).transpose(2, 0, 1, 3)
    grid.hold[role] = hold.reshape(shape).transpose(2, 0, 1, 3)


def _write_drums(grid: Grid, notes: Sequence[Note]) -> None:
    known = [note for note in notes if note.pitch in _CLASS_OF]
    if not known:
        return
    mean = float(np.mean([note.velocity for note in known]))
    for note in known:
        beat, tick = divmod(round(note.start * TICKS), TICKS)
        if 0 <= beat < grid.beats:
            row = _CLASS_OF[note.pitch]
            grid.hits[beat, row, tick] = True
            grid.accents[beat, row, tick] |= note.velocity > mean + _ACCENT


def notes_from_grid(onset: np.ndarray, hold: np.ndarray, velocity: np.ndarray, shift: int = 0) -> list[Note]:
    """Read one role's notes off a grid.

    Args:
        onset: Of shape ``(beats, octaves, pitch, ticks)``, bool.
        hold: Same shape.
        velocity: MIDI velocity of notes by the beat they start in, of shape ``(beats,)``.
        shift: Semitones to add.

    Returns:
        The notes, by onset and pitch.
    """
    beats = onset.shape[0]
    starts = onset.transpose(1, 2, 0, 3).reshape(-1, beats * TICKS)
    held = hold.transpose(1, 2, 0, 3).reshape(-1, beats * TICKS) & ~starts
    # How many ticks of holding follow each tick: count backwards, starting again where nothing is held.
    run = np.zeros((starts.shape[0], beats * TICKS + 1), dtype=np.int32)
    for tick in range(beats * TICKS - 1, -1, -1):
        run[:, tick] = np.where(held[:, tick], run[:, tick + 1] + 1, 0)
    rows, ticks = np.nonzero(starts)
    lengths = 1 + run[rows, ticks + 1]
    order = np.lexsort((rows, ticks))
    return [
        Note(
            start=float(ticks[i]) / TICKS,
            duration=float(lengths[i]) / TICKS,
            pitch=int(rows[i]) + LOWEST_PITCH + shift,
            velocity=int(velocity[ticks[i] // TICKS]),
        )
        for i in order
    ]


def drum_notes_from_grid(hits: np.ndarray, accents: np.ndarray, velocity: np.ndarray) -> list[Note]:
    """Read the drums off a grid.

    Args:
        hits: Of shape ``(beats, classes, ticks)``, bool.
        accents: Same shape.
        velocity: Mean MIDI velocity of the hits of every beat, of shape ``(beats,)``.

    Returns:
        The hits, by onset; in every beat accents and plain hits lie around its mean.
    """
    notes = []
    for beat in range(hits.shape[0]):
        rows, ticks = np.nonzero(hits[beat])
        if not len(rows):
            continue
        loud = accents[beat, rows, ticks]
        plain = velocity[beat] - _GHOST_STEP * float(loud.mean())
        for row, tick, accent in zip(rows, ticks, loud, strict=True):
            level = int(np.clip(round(plain + _GHOST_STEP * accent), 1, 127))
            start = beat + float(tick) / TICKS
            notes.append(Note(start, 1.0 / TICKS, DRUM_CLASSES[row][1][0], level))
    return sorted(notes, key=lambda note: (note.start, note.pitch))
