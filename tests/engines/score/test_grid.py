"""Notes on the grid and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from melfusion_core.engines.score.grid import (
    Grid,
    GridError,
    drum_notes_from_grid,
    fold,
    grid_from_score,
    notes_from_grid,
    transposition,
)
from melfusion_core.engines.score.layout import DRUM_CLASSES, HIGHEST_PITCH, LOWEST_PITCH, ROLES, TICKS
from melfusion_core.score.score import Note, Score, Track


def key(note: Note) -> tuple[int, int, int]:
    return round(note.start * TICKS), round(note.duration * TICKS), note.pitch


def test_notes_come_back(duet):
    grid = grid_from_score(duet, 4)
    shift = -transposition(duet.tonic)
    for track in duet.tracks[:2]:
        row = ROLES.index(track.role)
        back = notes_from_grid(grid.onset[row], grid.hold[row], np.full(4, 64), shift)
        assert sorted(map(key, back)) == sorted(map(key, track.notes))
    drums = drum_notes_from_grid(grid.hits, grid.accents, np.array([110, 70, 70, 70]))
    assert [(n.start, n.pitch) for n in drums] == [(n.start, n.pitch) for n in duet.tracks[2].notes]
    assert [n.velocity for n in drums] == [n.velocity for n in duet.tracks[2].notes]


def test_accents_are_louder_than_other_hits_of_their_beat():
    notes = [Note(0.0, 0.1, 36, 110), Note(0.5, 0.1, 42, 60)]
    score = Score([Track("drums", 0, notes, is_drum=True, role="drums")], 100.0, 4, 0, "major", "rock", "x", "t", 0)
    grid = grid_from_score(score, 1)
    back = drum_notes_from_grid(grid.hits, grid.accents, np.array([85]))
    assert back[0].velocity > back[1].velocity and np.mean([n.velocity for n in back]) == 85


@pytest.mark.parametrize("seed", range(20))
def test_any_monophonic_or_polyphonic_part_on_the_ticks_comes_back(seed):
    rng = np.random.default_rng(seed)
    beats, tonic = int(rng.integers(2, 9)), int(rng.integers(12))
    free = np.ones((128, beats * TICKS + 1), dtype=bool)
    notes = []
    for _ in range(40):
        start, pitch = int(rng.integers(beats * TICKS)), int(rng.integers(LOWEST_PITCH + 6, HIGHEST_PITCH - 6))
        length = min(int(rng.integers(1, 30)), beats * TICKS - start)
        if free[pitch, start : start + length].all():
            free[pitch, start : start + length] = False
            notes.append(Note(start / TICKS, length / TICKS, pitch, 64))
    track = Track("piano", 0, notes, role="chords")
    score = Score([track], 100.0, 4, tonic, "minor", "classical", "test/x", "test", 0)
    grid = grid_from_score(score, beats)
    row = ROLES.index("chords")
    back = notes_from_grid(grid.onset[row], grid.hold[row], np.full(beats, 64), -transposition(tonic))
    assert sorted(map(key, back)) == sorted(map(key, notes))


def test_a_note_struck_again_ends_the_one_before():
    notes = [Note(0.0, 3.0, 60, 64), Note(1.0, 0.5, 60, 64)]
    score = Score([Track("piano", 0, notes, role="lead")], 100.0, 4, 0, "major", "folk", "x", "t", 0)
    grid = grid_from_score(score, 4)
    back = notes_from_grid(grid.onset[0], grid.hold[0], np.full(4, 64))
    assert [key(n) for n in back] == [(0, 12, 60), (12, 6, 60)]


def test_every_class_of_drums_comes_back():
    notes = [Note(row / TICKS, 0.1, pitches[0], 80) for row, (_, pitches) in enumerate(DRUM_CLASSES)]
    track = Track("drums", 0, notes, is_drum=True, role="drums")
    grid = grid_from_score(Score([track], 100.0, 4, 5, "major", "rock", "x", "t", 0), 1)
    back = drum_notes_from_grid(grid.hits, grid.accents, np.full(1, 80))
    assert [n.pitch for n in back] == [n.pitch for n in notes]


def test_pitches_outside_fold_by_octaves():
    assert fold(LOWEST_PITCH - 1) == LOWEST_PITCH + 11
    assert fold(HIGHEST_PITCH + 1) == HIGHEST_PITCH - 11
    assert fold(60) == 60
    assert all(-6 <= transposition(tonic) <= 5 and (tonic + transposition(tonic)) % 12 == 0 for tonic in range(12))


def test_a_role_stands_once(duet):
    twice = replace(duet, tracks=[*duet.tracks, duet.tracks[0]])
    with pytest.raises(GridError, match="may stand once"):
        grid_from_score(twice, 4)
    assert not Grid.empty(3).onset.any() and Grid.empty(3).beats == 3
