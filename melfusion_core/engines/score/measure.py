"""Controls measured on the notes of a score: what the control rows say of music that is already there."""

from __future__ import annotations

import numpy as np

from melfusion_core.engines.score.controls import KINDS, Controls
from melfusion_core.engines.score.grid import Grid
from melfusion_core.engines.score.layout import PARTS, ROLES, TICKS
from melfusion_core.score.estimate import estimate_chords
from melfusion_core.score.score import Note, Score


def measure_controls(
    score: Score,
    grid: Grid,
    style: int,
    instruments: dict[str, int],
    mood: tuple[float, float],
    begins: bool = True,
    ends: bool = False,
) -> Controls:
    """Measure a score's controls.

    Args:
        score: The piece.
        grid: Its notes on the grid.
        style: Number of its style.
        instruments: Number of every instrument by name.
        mood: Its valence and arousal, 0 to 1.
        begins: Whether the piece begins with the first beat.
        ends: Whether it ends with the last one.

    Returns:
        The controls.
    """
    beats = grid.beats
    tracks = {track.role: track for track in score.tracks}
    level = np.zeros((len(PARTS), beats))
    articulation = np.zeros((len(PARTS), beats))
    for row, part in enumerate(PARTS):
        if part in tracks:
            level[row] = _carried(_means(tracks[part].notes, lambda n: n.velocity, beats), 78.0)
            articulation[row] = _carried(_articulation(tracks[part].notes, beats), 0.7)
    onsets = np.concatenate([grid.onset.sum(axis=(2, 3, 4)), grid.hits.sum(axis=(1, 2))[None]]).astype(float)
    distinct = (grid.onset.any(axis=(0, 2, 3)) | grid.hits.any(axis=1)).sum(axis=1).astype(float)
    every = [note for track in score.tracks for note in track.notes]
    root, kind, bass = harmony_of(score, beats)
    sounding = (grid.onset | grid.hold).sum(axis=(0, 2, 4))
    return Controls(
        tempo_bpm=np.full(beats, score.tempo_bpm),
        beats_per_bar=np.full(beats, score.beats_per_bar),
        swing=np.full(beats, _swing(grid)),
        tonic=np.full(beats, score.tonic),
        minor=np.full(beats, score.mode == "minor"),
        valence=np.full(beats, mood[0]),
        arousal=np.full(beats, mood[1]),
        style=np.full(beats, style),
        to_end=np.arange(beats - 1, -1, -1, dtype=float) if ends else np.full(beats, np.inf),
        since_begin=np.arange(beats, dtype=float) if begins else np.full(beats, np.inf),
        presence=np.array([[part in tracks] * beats for part in PARTS]),
        level=level,
        density=onsets,
        articulation=articulation,
        song_level=_carried(_means(every, lambda n: n.velocity, beats), 78.0),
        song_density=distinct,
        instrument=np.array(
            [[instruments[tracks[role].instrument] if role in tracks else -1] * beats for role in ROLES]
        ),
        root=root,
        kind=kind,
        bass=bass,
        pitches=sounding >= 2,
    )


def harmony_of(score: Score, beats: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chords of a score, estimated from its notes where it does not tell them.

    Args:
        score: The piece.
        beats: Number of beats.

    Returns:
        Root and bass above the tonic and the kind's number of every beat, -1 where unknown, each of shape
        ``(beats,)``: root, kind, bass.
    """
    pitched = [note for track in score.tracks if not track.is_drum for note in track.notes]
    chords = score.harmony or estimate_chords(pitched, beats, score.beats_per_bar)
    out = np.full((3, beats), -1)
    for beat, chord in enumerate(chords[:beats]):
        if chord is not None:
            out[:, beat] = (
                (chord.root - score.tonic) % 12, KINDS.index(chord.kind), (chord.bass - score.tonic) % 12,
            )  # fmt: skip
    return out[0], out[1], out[2]


def _means(notes: list[Note], value, beats: int) -> np.ndarray:
    total, count = np.zeros(beats), np.zeros(beats)
    for note in notes:
        beat = round(note.start * TICKS) // TICKS
        if 0 <= beat < beats:
            total[beat] += value(note)
            count[beat] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _articulation(notes: list[Note], beats: int) -> np.ndarray:
    starts = sorted({note.start for note in notes})
    following = dict(zip(starts, [*starts[1:], np.inf], strict=True))
    return _means(notes, lambda n: min(n.duration / max(following[n.start] - n.start, 1 / TICKS), 1.0), beats)


def _carried(values: np.ndarray, default: float) -> np.ndarray:
    """Beats without a value take the last one's, the first ones that of the first that has one."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.full(len(values), default)
    source = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
    return values[known[source]]


def _swing(grid: Grid) -> float:
    """Where the second half of the beats starts, as far as there are notes that tell."""
    counts = grid.onset.sum(axis=(0, 1, 2, 3)) + grid.hits.sum(axis=(0, 1))
    late = counts[6:10].astype(float)
    return 0.5 if late.sum() < 4 else float((late @ np.arange(6, 10)) / late.sum() / TICKS)
