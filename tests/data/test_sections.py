"""Sections of whole bars: composed, and cut from scores."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.data.ensembles import exact_style
from melfusion_core.data.score_files import Piece, ScoreError
from melfusion_core.data.sections.compose import SECTION_STYLES, compose_section
from melfusion_core.data.sections.excerpts import excerpt_section
from melfusion_core.data.sections.roles import share_roles
from melfusion_core.data.sections.windows import Window, quantised, section_windows
from melfusion_core.score.chords import BeatChord, chord_names
from melfusion_core.score.estimate import estimate_chords
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import TICKS_PER_BEAT, Note


def on_grid(value):
    return abs(value * TICKS_PER_BEAT - round(value * TICKS_PER_BEAT)) < 1e-6


def check_section(score, bars):
    """What every section keeps, wherever it comes from."""
    beats = bars * score.beats_per_bar
    roles = [track.role for track in score.tracks]
    assert len(set(roles)) == len(roles) and set(roles) <= {"lead", "counter", "chords", "pad", "bass", "drums"}
    assert "lead" in roles and len(score.harmony) == beats
    assert score.chords == chord_names(score.harmony)
    for track in score.tracks:
        assert track.notes and track.is_drum == (track.role == "drums") and -16 <= track.gain_db <= 8
        last: dict[int, float] = {}
        for note in sorted(track.notes, key=lambda n: n.start):
            assert on_grid(note.start) and on_grid(note.duration) and note.duration * TICKS_PER_BEAT > 0.99
            assert 0 <= note.start and note.start + note.duration <= beats + 1e-6 and 1 <= note.velocity <= 127
            assert last.get(note.pitch, 0.0) <= note.start + 1e-6, "a key is struck while it is held"
            last[note.pitch] = note.start + note.duration
            if not track.is_drum:
                assert INSTRUMENTS[track.instrument].low <= note.pitch <= INSTRUMENTS[track.instrument].high + 12


def draw(seed, **options):
    rng = np.random.default_rng(seed)
    valence, arousal = rng.random(2)
    return compose_section(rng, valence, arousal, "p", **options)


@pytest.mark.parametrize("bars", range(4, 17))
@pytest.mark.parametrize("closing", [True, False])
def test_sections_are_whole_bars_on_the_grid(bars, closing):
    for seed in range(6):
        check_section(draw(seed, bars=bars, closing=closing), bars)


@pytest.mark.parametrize("style", sorted({style.name for style in SECTION_STYLES}))
def test_every_style_writes_sections(style):
    for seed in range(4):
        score = draw(seed, bars=(8, 6, 12, 5)[seed], closing=seed % 2 == 0, style=style)
        assert exact_style(style, len(score.tracks)) == score.style
        check_section(score, (8, 6, 12, 5)[seed])


def test_same_seed_same_section():
    assert draw(3) == draw(3) and draw(3) != draw(4)


def test_what_cannot_be_composed_is_refused():
    with pytest.raises(ValueError, match="4 to 16 bars"):
        draw(0, bars=3)
    with pytest.raises(ValueError, match="unknown style"):
        draw(0, style="noise")
    with pytest.raises(ValueError, match="is in 3, not in 4"):
        draw(0, style="waltz", beats_per_bar=4)
    with pytest.raises(ValueError, match="no style has 5"):
        draw(0, beats_per_bar=5)
    with pytest.raises(ValueError, match="valence and arousal"):
        compose_section(np.random.default_rng(0), 1.2, 0.5, "p")
    assert draw(0, beats_per_bar=3).beats_per_bar == 3


def test_closing_sections_come_home():
    for seed in range(40):
        closed, opened = draw(seed, closing=True), draw(seed, closing=False)
        assert closed.harmony[-1].root == closed.tonic and opened.harmony[-1].root != opened.tonic
        final = closed.lead.notes[-1]
        end = 8 * closed.beats_per_bar
        assert final.pitch % 12 in closed.harmony[-1].tones
        assert final.duration >= 1.0 and final.start >= end - closed.beats_per_bar
        bass = next((track for track in closed.tracks if track.role == "bass"), None)
        if bass is not None:
            low = max(bass.notes, key=lambda n: n.start)
            assert low.pitch % 12 == closed.harmony[-1].bass and low.start == end - closed.beats_per_bar
        for drums in (track for track in closed.tracks if track.is_drum):
            assert max(note.start for note in drums.notes) == end - closed.beats_per_bar


def chord_notes(symbols, beats_each):
    notes = []
    for index, (root, steps) in enumerate(symbols):
        notes += [Note(float(index * beats_each), float(beats_each), 48 + root + step, 80) for step in steps]
    return notes


def test_chords_are_heard():
    major, minor, seventh = (0, 4, 7), (0, 3, 7), (0, 4, 7, 10)
    notes = chord_notes([(0, major), (9, minor), (2, minor), (7, seventh)], 4)
    heard = estimate_chords(notes, 16, 4)
    assert heard[::4] == (BeatChord(0, "", 0), BeatChord(9, "m", 9), BeatChord(2, "m", 2), BeatChord(7, "7", 7))
    assert all(heard[beat] == heard[beat - beat % 4] for beat in range(16))
    cluster = [Note(0.0, 4.0, 60 + step, 80) for step in range(6)]
    assert estimate_chords(cluster, 4, 4) == (None,) * 4
    assert estimate_chords([], 4, 4) == (None,) * 4


def test_chords_of_composed_sections_are_heard():
    right = []
    for seed in range(30):
        score = draw(seed)
        if len(score.tracks) < 3:
            continue
        notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
        heard = estimate_chords(notes, len(score.harmony), score.beats_per_bar)
        right += [a.root == b.root for a, b in zip(heard, score.harmony, strict=True) if a is not None]
    assert np.mean(right) > 0.85


def piece(bars=20, size=4, parts=3, gap=False):
    rng = np.random.default_rng(0)
    rows = []
    for part in range(parts):
        base = 72 - 12 * part
        steps = rng.choice([0, 2, 4, 5, 7], bars * size)
        rows.append([Note(float(beat), 1.0, base + int(step), 80) for beat, step in enumerate(steps)])
    downbeats = [float(bar * size) for bar in range(bars)]
    if gap:  # a bar of another length in the middle
        downbeats = [beat if beat < 8 * size else beat + 1 for beat in downbeats]
    return Piece("pack/a", "mutopia_pd", rows, [0] * parts, [], size, float(bars * size), downbeats)


def test_windows_use_every_bar():
    whole = section_windows(piece(bars=20), 8)
    assert [w.begin for w in whole] == [0.0, 32.0, 48.0] and whole[-1].last and not whole[0].last
    covered = {bar for w in whole for bar in range(int(w.begin // 4), int(w.begin // 4) + w.bars)}
    assert covered == set(range(20))
    assert [w.begin for w in section_windows(piece(bars=12), 8, hop=2)] == [0.0, 8.0, 16.0]
    assert section_windows(piece(bars=6), 8) == [] and section_windows(piece(bars=6), 8, least=4)[0].bars == 6
    parted = section_windows(piece(gap=True), 8)
    assert all(w.begin + 32 <= 32 or w.begin >= 33 for w in parted)
    with pytest.raises(ValueError, match="least"):
        section_windows(piece(), 8, least=9)


def test_notes_are_drawn_to_the_grid():
    notes = [Note(8.01, 0.98, 60, 80), Note(9.03, 0.5, 62, 80), Note(7.0, 2.0, 48, 80), Note(7.5, 0.6, 50, 80)]
    out, moved = quantised(notes, 8.0, 4)
    assert [(n.start, n.duration) for n in out] == [(0.0, 1.0), (1.0, 0.5), (0.0, 1.0)] and moved == 1


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_excerpts_are_sections(size, parts):
    source = piece(24, size, parts)
    for number, window in enumerate(section_windows(source, 8)):
        rng = np.random.default_rng(number)
        score = excerpt_section(rng, source, window, 0.5, 0.2 + 0.2 * number)
        check_section(score, 8)
        assert score.piece == "pack/a" and score.beats_per_bar == size
        again = excerpt_section(np.random.default_rng(number), source, window, 0.5, 0.2 + 0.2 * number)
        assert again == score


def test_roles_keep_tune_and_bass():
    top = [Note(float(b), 1.0, 76 + (b % 3), 80) for b in range(16)]
    second = [Note(float(b), 1.0, 69 + (b % 2), 80) for b in range(16)]
    held = [Note(float(4 * b), 4.0, 62 + step, 80) for b in range(4) for step in (0, 3)]
    low = [Note(float(b), 1.0, 40 + (b % 4), 80) for b in range(16)]
    parts = share_roles([low, held, second, top], [], 4, 4)
    assert [n.pitch for n in parts.lead] == [n.pitch for n in top]
    assert [n.pitch for n in parts.bass] == [n.pitch for n in low]
    assert [n.pitch for n in parts.counter] == [n.pitch for n in second] and parts.drums is None
    assert {n.pitch for row in (parts.chords or [], parts.pad or []) for n in row} == {62, 65}


def test_the_tune_goes_from_part_to_part():
    """Two players share a tune: each has half of it, and rests elsewhere."""
    first = [Note(float(b), 1.0, 74 + (b % 5), 80) for b in range(16)]
    second = [Note(float(b), 1.0, 72 + (b % 5), 80) for b in range(16, 32)]
    low = [Note(float(2 * b), 2.0, 45, 80) for b in range(16)]
    parts = share_roles([first, second, low], [], 8, 4)
    assert [n.pitch for n in parts.lead] == [n.pitch for n in [*first, *second]]
    assert parts.bass == low and parts.counter is None


def test_doublings_are_no_second_voice():
    top = [Note(float(b), 1.0, 76 + (b % 3), 80) for b in range(16)]
    octave = [Note(n.start, 1.0, n.pitch - 12, 80) for n in top]
    low = [Note(float(b), 1.0, 40 + (b % 4), 80) for b in range(16)]
    parts = share_roles([top, list(top), octave, low], [], 4, 4)
    assert parts.counter is None and {n.pitch for n in parts.chords} == {n.pitch for n in octave}


def test_a_keyboard_on_one_staff_is_taken_apart():
    notes = [Note(float(b), 1.0, 74, 80) for b in range(16)]
    notes += [Note(float(2 * b), 2.0, pitch, 70) for b in range(8) for pitch in (41, 57, 60)]
    parts = share_roles([sorted(notes, key=lambda n: n.start)], [], 4, 4)
    assert {n.pitch for n in parts.lead} == {74} and {n.pitch for n in parts.bass} == {41}
    assert {n.pitch for n in parts.chords} == {57, 60}


def test_silence_is_refused():
    source = piece()
    source.parts = [[note for note in part if note.start < 8] for part in source.parts]
    with pytest.raises(ScoreError, match="silent"):
        excerpt_section(np.random.default_rng(0), source, Window(0.0, 8), 0.5, 0.5)
    source.parts = [[]]
    with pytest.raises(ScoreError, match="no tune"):
        excerpt_section(np.random.default_rng(0), source, Window(0.0, 8), 0.5, 0.5)
