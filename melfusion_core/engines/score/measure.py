"""Controls measured on the notes of a score: what the control rows say of music that is already there."""

from __future__ import annotations

import numpy as np

from melfusion_core.engines.score.controls import CHORD_KINDS, Controls
from melfusion_core.engines.score.grid import Grid
from melfusion_core.engines.score.layout import PARTS, ROLES, TICKS
from melfusion_core.score.score import Note, Score

_MIN_FIT = 0.62
"""Below this a beat's notes are not said to be a chord."""


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
    root, kind, bass, pitches = chords_of(grid)
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
        pitches=pitches,
    )


def chords_of(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The harmony of every beat, by the chord whose notes cover most of what sounds.

    Args:
        grid: The notes.

    Returns:
        Root, kind and bass of every beat, -1 where unknown, each of shape ``(beats,)``; and the pitch classes that
        sound, of shape ``(beats, 12)``.
    """
    sounding = grid.onset | grid.hold
    weight = sounding.sum(axis=(0, 2, 4)).astype(float)  # (beats, 12): ticks that each pitch class sounds
    pitches = weight >= 2
    any_role = sounding.any(axis=(0, 4)).reshape(grid.beats, -1)  # (beats, octaves * 12), bass first
    lowest = np.where(any_role.any(axis=1), any_role.argmax(axis=1) % 12, -1)
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    templates, roots, kinds = _templates()
    present = np.minimum(share / 0.12, 1.0)
    size = templates.sum(axis=1)
    fit = share @ templates.T + 0.35 * (present @ templates.T) / size - 0.03 * size
    fit += 0.12 * (lowest[:, None] == roots[None])
    best = fit.argmax(axis=1)
    sure = (fit.max(axis=1) - 0.35 > _MIN_FIT) & (pitches.sum(axis=1) >= 2)
    return np.where(sure, roots[best], -1), np.where(sure, kinds[best], -1), lowest, pitches


def _templates() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, roots, kinds = [], [], []
    for kind, tones in enumerate(CHORD_KINDS.values()):
        for root in range(12):
            row = np.zeros(12)
            row[[(root + tone) % 12 for tone in tones]] = 1.0
            rows.append(row)
            roots.append(root)
            kinds.append(kind)
    return np.array(rows), np.array(roots), np.array(kinds)


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
