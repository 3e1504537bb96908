"""Chords as people write them: "Am F C G", "ii-V-I", "Dm7 | G7 | Cmaj7 A7"."""

from __future__ import annotations

import re

from melfusion_core.score.chords import CHORD_KINDS, BeatChord
from melfusion_core.score.keys import SCALES

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
_OTHER_NAMES = {
    "maj": "", "M": "", "min": "m", "mi": "m", "-": "m", "M7": "maj7", "ma7": "maj7", "Δ": "maj7", "Δ7": "maj7",
    "min7": "m7", "mi7": "m7", "-7": "m7", "o": "dim", "°": "dim", "o7": "dim7", "°7": "dim7", "ø": "m7b5",
    "ø7": "m7b5", "m7♭5": "m7b5", "sus": "sus4", "M9": "maj9", "min9": "m9", "min6": "m6",
}  # fmt: skip
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_LETTER_CHORD = re.compile(r"([A-G])([#♯b♭]?)([^/]*)(?:/([A-G])([#♯b♭]?))?")
_NUMERAL_CHORD = re.compile(r"([#♯b♭]?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)([^IViv/]*)")


class ChordTextError(ValueError):
    """Chords that cannot be read; the message says which and what can."""


def parse_chord(text: str, tonic: int = 0, mode: str = "major") -> BeatChord:
    """Read one chord.

    Args:
        text: a letter with a kind, such as "Am7", "F#", "C/E", or a numeral in the key, such as "ii7", "V7", "bVII".
        tonic: pitch class of the key, for numerals.
        mode: "major" or "minor", for numerals.

    Raises:
        ChordTextError: it is no chord.
    """
    letters, numerals = _LETTER_CHORD.fullmatch(text), _NUMERAL_CHORD.fullmatch(text)
    if letters:
        root = (_LETTERS[letters[1]] + _SIGNS[letters[2]]) % 12
        bass = root if letters[4] is None else (_LETTERS[letters[4]] + _SIGNS[letters[5]]) % 12
        return BeatChord(root, _kind(letters[3], text), bass)
    if numerals:
        sign, numeral, kind = numerals.groups()
        step = SCALES[mode][_NUMERALS.index(numeral.upper())]
        if sign:  # a sign counts from the major scale, whatever the mode
            step = SCALES["major"][_NUMERALS.index(numeral.upper())] + _SIGNS[sign]
        return BeatChord((tonic + step) % 12, _numeral_kind(numeral, kind, text), (tonic + step) % 12)
    raise ChordTextError(f"{text!r} is no chord; chords are written like Am, F#m7, Bb, C/E, or ii, V7, bVII.")


def _kind(written: str, text: str) -> str:
    kind = _OTHER_NAMES.get(written, written)
    if kind not in CHORD_KINDS:
        known = ", ".join(name for name in CHORD_KINDS if name)
        raise ChordTextError(f"{text!r}: there is no kind of chord {written!r}; kinds are {known}, or none for major.")
    return kind


def _numeral_kind(numeral: str, written: str, text: str) -> str:
    if numeral.isupper():
        return _kind(written, text)
    lowered = {"": "m", "7": "m7", "9": "m9", "6": "m6"}
    return lowered.get(written) or _kind(written, text)


def parse_progression(text: str, tonic: int = 0, mode: str = "major") -> list[list[BeatChord]]:
    """Read chords bar by bar.

    Args:
        text: chords between spaces, commas or hyphens, each for a bar; or bars between "|", each with its chords.
        tonic: pitch class of the key, for numerals.
        mode: "major" or "minor", for numerals.

    Returns:
        The chords of every bar.

    Raises:
        ChordTextError: there are none, or one cannot be read.
    """
    spaced = re.sub(r"[,;]|[-–](?=\s*[#♯b♭]?[A-GIViv])", " ", text)
    if "|" in spaced:
        bars = [part.split() for part in spaced.strip().strip("|").split("|")]
    else:
        bars = [[word] for word in spaced.split()]
    if not bars or not all(bars):
        raise ChordTextError("There are no chords, or there is an empty bar; write them like Am F C G.")
    return [[parse_chord(word, tonic, mode) for word in bar] for bar in bars]


def chords_by_beat(bars: list[list[BeatChord]], beats_per_bar: int, count: int) -> tuple[BeatChord, ...]:
    """The chord of every beat; a progression begins anew where it ends.

    Args:
        bars: chords of every bar.
        beats_per_bar: beats of a bar.
        count: number of bars wanted.

    Raises:
        ChordTextError: a bar has more chords than beats.
    """
    beats: list[BeatChord] = []
    for index in range(count):
        chords = bars[index % len(bars)]
        if len(chords) > beats_per_bar:
            raise ChordTextError(f"A bar of {beats_per_bar} beats has no room for {len(chords)} chords.")
        beats += [chords[beat * len(chords) // beats_per_bar] for beat in range(beats_per_bar)]
    return tuple(beats)
