"""Chords, progressions, melodies."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.data.harmony import (
    FAMILIES,
    choose_progression,
    chord_scale,
    harmonise,
    parse_chord,
    voice_lead,
)
from melfusion_core.data.leadsheets import accompaniment, chords_under
from melfusion_core.data.patterns import BASS_PATTERNS, COMP, accompany, bass_density, bass_line, comp_density, voice
from melfusion_core.data.phrases import MelodyCharacter, bar_rhythm, counter_line, melody, strong_beats
from melfusion_core.score.chords import CHORD_KINDS
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import SCALES, TONICS
from melfusion_core.score.score import Note


def period(family, mode, seed=0, slot=4.0, slots=8, tonic=0):
    first, second = choose_progression(np.random.default_rng(seed), family, mode, 0.5)
    return harmonise(first, second, tonic, mode, slot, slots)


def test_numerals():
    assert parse_chord("I", 0, "major").tones == (0, 4, 7)
    assert parse_chord("V7", 9, "minor").tones == (4, 8, 11, 2)  # E7: the leading note G sharp
    assert parse_chord("vii°7", 9, "minor").tones == (8, 11, 2, 5)
    assert parse_chord("bVII", 7, "major").symbol == "F" and parse_chord("bII", 9, "minor").symbol == "Bb"
    assert parse_chord("I/3", 0, "major").symbol == "C/E" and parse_chord("ii7", 0, "major").symbol == "Dm7"
    assert [parse_chord(n, 0, "major").function for n in ("I", "IV", "ii7", "V7", "vi", "VI7")] == list("TPPDTP")
    for wrong in ("H", "Vx", "", "I/7"):
        with pytest.raises(ValueError, match="Roman numeral|unknown chord quality"):
            parse_chord(wrong, 0, "major")


@pytest.mark.parametrize("family", [*FAMILIES, "functional"])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_periods_open_and_close(family, mode):
    for seed in range(8):
        slots = period(family, mode, seed)
        assert slots[-1].start + slots[-1].length == 32.0
        cadences = [(slot.start + slot.length, slot.cadence) for slot in slots if slot.cadence]
        assert [end for end, _ in cadences] == [16.0, 32.0]
        assert cadences[0][1] in ("half", "turn", "authentic") and cadences[1][1] == "authentic"
        assert slots[-1].chord.root == 0


def test_valence_chooses_brighter_chords():
    def minors(valence):
        rng = np.random.default_rng(0)
        lines = [choose_progression(rng, "pop", "major", valence) for _ in range(150)]
        return np.mean([n[0].islower() or n[:2] == "iv" for a, b in lines for s in a + b for n in s.split("-")])

    assert minors(0.0) > minors(1.0) + 0.03


def test_voice_leading_moves_little():
    for mode in ("major", "minor"):
        for family in (*FAMILIES, "functional"):
            previous = None
            for slot in period(family, mode, tonic=TONICS[mode][0]):
                voicing = voice_lead(slot.chord.tones, previous, 58)
                assert {p % 12 for p in voicing} == set(slot.chord.tones)
                if previous:
                    assert abs(np.mean(voicing) - np.mean(previous)) <= 7
                previous = voicing


def test_scale_bends_to_the_chord():
    assert chord_scale(parse_chord("V7", 9, "minor"), 9, SCALES["minor"])[6] == 11
    assert chord_scale(parse_chord("iv", 0, "major"), 0, SCALES["major"])[5] == 8
    for mode in ("major", "minor"):
        for family in (*FAMILIES, "functional"):
            for slot in period(family, mode):
                assert len(set(chord_scale(slot.chord, 0, SCALES[mode]))) >= 6
    assert all(steps[0] == 0 for steps in CHORD_KINDS.values())


@pytest.mark.parametrize("beats", [3, 4])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_melodies_stand_on_chord_tones_and_end_phrases(beats, mode):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        slots = period("functional", mode, seed, float(beats), 8)
        tune = melody(rng, slots, 0, SCALES[mode], beats, 8, 0.4 + 0.15 * seed, 55, 88, 70.0, MelodyCharacter())
        assert all(55 <= pitch <= 88 for _, _, pitch in tune)

        def tones(beat, slots=slots):
            return next(s.chord.tones for s in reversed(slots) if s.start <= beat + 1e-6)

        strong = [(s, p) for s, _, p in tune if s % beats in strong_beats(beats)]
        assert np.mean([p % 12 in tones(s) for s, p in strong]) == 1.0
        last = tune[-1]
        assert last[0] >= 7 * beats and last[1] >= 1.0 and last[2] % 12 in slots[-1].chord.tones[:2]  # home: 1 or 3
        rest = [d for s, d, _ in tune if 3 * beats <= s < 4 * beats]
        assert max(rest) >= 1.0  # the first phrase comes to rest as well
        steps = np.abs(np.diff([p for _, _, p in tune]))
        assert np.mean(steps <= 5) > 0.6 and steps.max() <= 16


def test_motifs_repeat():
    rng = np.random.default_rng(3)
    slots = period("folk", "major", 1)
    tune = melody(rng, slots, 0, SCALES["major"], 4, 8, 1.5, 55, 88, 70.0, MelodyCharacter())
    rhythm = [tuple(round(s % 4, 3) for s, _, _ in tune if int(s // 4) == bar) for bar in range(8)]
    assert rhythm[0] == rhythm[4] and rhythm[1] == rhythm[5]


def test_rhythm_density_follows_the_wish():
    rng = np.random.default_rng(0)
    counts = [np.mean([len(bar_rhythm(rng, 4, p, MelodyCharacter())) for _ in range(60)]) for p in (0.3, 1.0, 2.5)]
    assert counts[0] < 2.2 < counts[1] < 5.5 < counts[2]
    jig = bar_rhythm(rng, 3, 2.0, MelodyCharacter(metre="jig"))
    assert sum(d for _, d in jig) == pytest.approx(3.0)


def test_counter_line_moves_little():
    line = counter_line(period("folk", "major"), 60, 48, 76)
    assert np.abs(np.diff([p for _, _, p in line])).max() <= 5


@pytest.mark.parametrize("pattern", ["sustain", *COMP])
def test_accompaniments(pattern):
    beats = 4 if pattern == "sustain" else COMP[pattern][0]
    harmony = voice(period("jazz", "minor", slot=float(beats), slots=4), 57)
    notes = accompany(pattern, harmony, beats, 4, 70, 0.9, INSTRUMENTS["piano"])
    assert notes and max(n.start + n.duration for n in notes) <= 4 * beats + 1e-6
    assert comp_density(pattern) > 0
    if pattern != "sustain":
        with pytest.raises(ValueError, match="does not have"):
            accompany(pattern, harmony, 7 - beats, 4, 70, 0.9, INSTRUMENTS["piano"])


@pytest.mark.parametrize("pattern", BASS_PATTERNS)
def test_bass_lines_begin_on_the_bass_note(pattern):
    slots = period("functional", "major", 2)
    notes = bass_line(np.random.default_rng(0), pattern, slots, 4, 0, 80, INSTRUMENTS["electric bass"])
    assert bass_density(pattern) > 0
    assert all(28 <= n.pitch <= 60 for n in notes)
    for slot in slots:
        first = min((n for n in notes if n.start >= slot.start), key=lambda n: n.start)
        assert first.pitch % 12 == (0 if pattern == "pedal" else slot.chord.bass)


def test_unknown_bass_pattern_is_refused():
    with pytest.raises(ValueError, match="unknown bass pattern"):
        bass_line(np.random.default_rng(0), "slippery", period("pop", "major"), 4, 0, 70, INSTRUMENTS["electric bass"])


def test_chords_are_found_under_a_tune():
    roots = (0, 5, 7, 0)  # a broken chord a bar: C, F, G, C
    tune = [
        Note(bar * 4 + i, 1.0, 60 + r + step, 80) for bar, r in enumerate(roots) for i, step in enumerate((0, 4, 7, 4))
    ]
    slots = chords_under(tune, 0, "major", 4, 4)
    assert [slot.chord.root for slot in slots] == list(roots)
    tracks, symbols = accompaniment(
        np.random.default_rng(0), tune, 0, "major", 4, 4, 1.0, 80, INSTRUMENTS["piano"], INSTRUMENTS["acoustic bass"]
    )
    assert [track.role for track in tracks] == ["chords", "bass"] and symbols == ("C", "F", "G7", "C")
    waltz, _ = accompaniment(np.random.default_rng(0), tune, 9, "minor", 3, 5, 2.0, 80, INSTRUMENTS["accordion"], None)
    assert len(waltz) == 1 and waltz[0].notes
