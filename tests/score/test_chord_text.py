"""Chords as people write them."""

from __future__ import annotations

import pytest

from melfusion_core.score.chord_text import ChordTextError, chords_by_beat, parse_chord, parse_progression


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("Am", "Am"), ("F", "F"), ("Bbmaj7", "Bbmaj7"), ("F#m7", "F#m7"), ("C/E", "C/E"), ("G7/B", "G7/B"),
        ("Dmin7", "Dm7"), ("CM7", "Cmaj7"), ("Bø", "Bm7b5"), ("Ebsus", "Ebsus4"), ("G♭", "F#"), ("E5", "E5"),
    ],
)  # fmt: skip
def test_letters(text, symbol):
    assert parse_chord(text).symbol == symbol


@pytest.mark.parametrize(
    ("text", "tonic", "mode", "symbols"),
    [
        ("ii-V-I", 0, "major", ["Dm", "G", "C"]),
        ("ii7 V7 Imaj7", 7, "major", ["Am7", "D7", "Gmaj7"]),
        ("i, VI, III, VII", 9, "minor", ["Am", "F", "C", "G"]),
        ("I bVII IV", 2, "major", ["D", "C", "G"]),
        ("i iiø V7", 0, "minor", ["Cm", "Dm7b5", "G7"]),
        ("vii°", 0, "major", ["Bdim"]),
    ],
)
def test_numerals_follow_the_key(text, tonic, mode, symbols):
    assert [chord.symbol for [chord] in parse_progression(text, tonic, mode)] == symbols


def test_bars_with_several_chords():
    bars = parse_progression("| Dm7 | G7 Db7 | Cmaj7 |")
    assert [[chord.symbol for chord in bar] for bar in bars] == [["Dm7"], ["G7", "C#7"], ["Cmaj7"]]
    beats = [chord.symbol for chord in chords_by_beat(bars, 4, 4)]
    assert beats == ["Dm7"] * 4 + ["G7"] * 2 + ["C#7"] * 2 + ["Cmaj7"] * 4 + ["Dm7"] * 4
    assert [chord.symbol for chord in chords_by_beat(bars, 3, 2)][3:] == ["G7", "G7", "C#7"]


@pytest.mark.parametrize("text", ["", "H", "Cwhat", "Am | | F", "ivory", "A- -"])
def test_what_is_no_chord_is_named(text):
    with pytest.raises(ChordTextError):
        parse_progression(text)
    with pytest.raises(ChordTextError, match="no room"):
        chords_by_beat(parse_progression("A B C D E |"), 4, 1)
