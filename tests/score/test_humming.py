"""Hummed tunes become notes."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.score.humming import (
    SAMPLE_RATE,
    HummingError,
    SungNote,
    melody_score,
    sung_notes,
    tempo_of_onsets,
)


def hum(notes: list[tuple[float, float, float]], seed: int) -> np.ndarray:
    """A voice-like sound: six partials with vibrato, scooped onsets, a noise floor; notes as start, length, pitch."""
    rng = np.random.default_rng(seed)
    total = round((notes[-1][0] + notes[-1][1] + 0.3) * SAMPLE_RATE)
    sound = 0.004 * rng.normal(size=total)
    for start, length, pitch in notes:
        time = np.arange(round(length * SAMPLE_RATE)) / SAMPLE_RATE
        vibrato = 0.35 * np.sin(2 * np.pi * rng.uniform(4.5, 6.0) * time) * np.clip(time / 0.25, 0, 1)
        scoop = -rng.uniform(0.0, 0.8) * np.exp(-time / 0.03)
        hertz = 440.0 * 2.0 ** ((pitch + rng.normal(0, 0.08) + vibrato + scoop - 69) / 12)
        phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
        voice = sum(np.sin(k * phase) / k**1.3 for k in range(1, 7))
        swell = np.clip(time / 0.04, 0, 1) * np.clip((length - time) / 0.06, 0, 1)
        first = round(start * SAMPLE_RATE)
        sound[first : first + len(time)] += 0.2 * rng.uniform(0.7, 1.0) * swell * voice
    return sound.astype(np.float32)


def tune(seed: int) -> tuple[list[tuple[float, float, float]], float]:
    """Five to eight notes of a scale at some tempo, in quarters, eighths and halves, and the tempo."""
    rng = np.random.default_rng(1000 + seed)
    tempo, place, degree = float(rng.integers(72, 132)), 0.0, 0
    scale = (0, 2, 4, 5, 7, 9, 11)
    middle, notes = int(rng.integers(48, 65)), []
    for _ in range(int(rng.integers(4, 7))):
        beats = float(rng.choice([0.5, 1.0, 1.0, 2.0]))
        degree = int(np.clip(degree + rng.choice([-2, -1, -1, 0, 1, 1, 2]), -4, 8))
        pitch = middle + scale[degree % 7] + 12 * (degree // 7)
        notes.append((place * 60 / tempo, beats * 60 / tempo * rng.uniform(0.85, 0.97), float(pitch)))
        place += beats
    return notes, tempo


def f_measure(found: list[SungNote], notes: list[tuple[float, float, float]]) -> float:
    """Notes with onsets within 80 ms and pitches within half a semitone."""
    free, hits = list(found), 0
    for start, _, pitch in notes:
        near = [n for n in free if abs(n.start_s - start) < 0.08 and abs(n.pitch - pitch) < 0.5]
        if near:
            free.remove(near[0])
            hits += 1
    return 2 * hits / (len(found) + len(notes))


def test_twenty_hummed_tunes_are_written_down():
    scores = []
    for seed in range(20):
        notes, _ = tune(seed)
        scores.append(f_measure(sung_notes(hum(notes, seed)), notes))
    assert np.mean(scores) >= 0.85 and min(scores) > 0.5, np.round(scores, 2)


def test_a_tune_is_put_on_its_beats():
    notes = [(0.0, 0.55, 60.2), (0.6, 0.5, 62.2), (1.2, 0.28, 64.2), (1.5, 0.27, 65.2), (1.8, 1.1, 60.2)]
    found = sung_notes(hum(notes, 3))
    score = melody_score(found, tempo_bpm=100.0)
    assert [(note.start, note.pitch) for note in score.lead.notes] == [
        (0.0, 60), (1.0, 62), (2.0, 64), (2.5, 65), (3.0, 60)
    ]  # fmt: skip
    assert (score.tempo_bpm, score.tonic, score.mode) == (100.0, 0, "major")
    assert tempo_of_onsets(np.array([0.0, 0.6, 1.2, 1.5, 1.8, 2.4])) == pytest.approx(100.0, abs=1.5)


def test_repeated_notes_are_told_apart_by_the_breath_between():
    notes = [(0.5 * k, 0.42, 62.0) for k in range(4)]
    assert len(sung_notes(hum(notes, 1))) == 4


def test_notes_never_overlap():
    sung = [SungNote(0.0, 2.0, 60.0, 0.0), SungNote(0.5, 1.0, 64.0, -3.0), SungNote(0.52, 1.0, 65.0, -3.0)]
    line = melody_score(sung, 60.0).lead.notes
    assert all(a.start + a.duration <= b.start for a, b in zip(line, line[1:], strict=False)) and len(line) == 2


@pytest.mark.parametrize("wave", [np.zeros(SAMPLE_RATE), np.zeros(10), np.full(SAMPLE_RATE, np.nan)])
def test_where_there_is_no_tune_it_is_said(wave):
    with pytest.raises(HummingError):
        sung_notes(wave)
    with pytest.raises(HummingError, match="no voice"):
        sung_notes(0.3 * np.random.default_rng(0).normal(size=SAMPLE_RATE))
