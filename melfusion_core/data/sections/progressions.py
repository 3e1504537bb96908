"""The chords of a section: a period for its phrases, cadences where they end, and now and then a borrowed colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from melfusion_core.data.harmony import Chord, Slot, choose_progression, parse_chord
from melfusion_core.data.sections.form import Phrase

_TWELVE_BARS = {
    "major": ("I7 IV7 I7 I7", "IV7 IV7 I7 VI7", "ii7 V7 I7 V7", "V7 IV7 I7 V7"),
    "minor": ("i7 iv7 i7 i7", "iv7 iv7 i7 i7", "VI7 V7 i7 V7", "VI7 V7 i7 V7"),
}
_TASTE = {
    "jazz": 0.3, "bossa": 0.22, "soul": 0.15, "functional": 0.16, "tango": 0.16, "march": 0.14, "pop": 0.08,
    "folk": 0.06, "blues": 0.08, "epic": 0.06,
}  # fmt: skip
"""Chance that a bar leads to the next chord by that chord's own dominant, by family."""

_MODAL = frozenset({"ambient", "celtic", "rock", "metal", "dance", "funk", "reggae"})
"""Families whose phrases need no leading note to lead on."""

_SEVENTHS = frozenset({"jazz", "bossa", "soul", "funk", "blues"})


def _fitted(first: list[str], second: list[str], count: int, closed: bool) -> list[str]:
    """A phrase of `count` slots from an antecedent and a consequent of four."""
    line = second if closed else first
    if count <= 0:
        return []
    if count == 1:
        return [line[-1]]
    if count < 4:
        return {2: [line[0] if not closed else line[2], line[3]], 3: [line[0], line[2], line[3]]}[count]
    while len(line) < count:
        line = (first if closed else second)[: min(count - len(line), 4)] + line
    return line


def _tonic(numerals: list[str]) -> str:
    """The tonic chord as this period writes it."""
    return numerals[-1].split("-")[-1]


def _leads_on(numeral: str, family: str, mode: str) -> str:
    """A last slot that leads on: a tonic at the end is followed by the dominant."""
    chord = parse_chord(numeral.split("-")[-1], 0, mode)
    if chord.root != 0:
        return numeral
    dominant = "V7" if family in _SEVENTHS else "V" if family not in _MODAL or mode == "major" else "v"
    return f"{numeral.split('-')[-1]}-{dominant}"


def _laid_out(numerals: list[str], start: float, length: float, beats: int, tonic: int, mode: str, phrase: int,
              ending: str) -> list[Slot]:  # fmt: skip
    """The slots of one phrase; two chords of one slot share it, in three as two and one."""
    slots = []
    per_bar = beats * max(1, round(length / beats / len(numerals))) if len(numerals) * beats <= length + 1e-6 else 0.0
    for index, text in enumerate(numerals):
        if per_bar:
            begin = index * per_bar
            end = begin + per_bar if index < len(numerals) - 1 else length
        else:
            begin, end = index * length / len(numerals), (index + 1) * length / len(numerals)
        parts = text.split("-")
        span = end - begin
        cut = span / 2 if span % 2 == 0 else float(np.ceil(span / 2))
        points = [begin, begin + cut, end] if len(parts) == 2 else [begin, end]
        for place, numeral in enumerate(parts):
            chord = parse_chord(numeral, tonic, mode)
            final = index == len(numerals) - 1 and place == len(parts) - 1
            cadence = {"close": "authentic", "half": "half", "open": "turn"}[ending] if final else ""
            slots.append(Slot(start + points[place], points[place + 1] - points[place], chord, phrase, cadence))
    return slots


def _dominant_of(chord: Chord) -> Chord:
    """The dominant seventh of a chord."""
    root = (chord.root + 7) % 12
    tones = tuple((root + step) % 12 for step in (0, 4, 7, 10))
    return Chord(f"V7/{chord.numeral}", "7", root, tones, root, "D")


def _coloured(rng: np.random.Generator, slots: list[Slot], family: str, mode: str, tonic: int, valence: float,
              beats: int) -> list[Slot]:  # fmt: skip
    """Dominants of the next chord, a minor subdominant before a tonic, suspensions on dominants: now and then."""
    out: list[Slot] = []
    taste = _TASTE.get(family, 0.0)
    minor_four = parse_chord("iv", tonic, mode)
    for slot, following in zip(slots, [*slots[1:], None], strict=True):
        splits = not slot.cadence and slot.length >= beats and slot.length % 2 == 0
        aim = following.chord if following and splits else None
        if aim and aim.root not in (tonic, slot.chord.root) and aim.function != "D" \
                and aim.quality not in ("dim", "dim7", "m7b5", "5") and rng.random() < taste:  # fmt: skip
            half = slot.length / 2
            out += [replace(slot, length=half), Slot(slot.start + half, half, _dominant_of(aim), slot.phrase, "")]
        elif aim and mode == "major" and aim.root == tonic and slot.chord.root == (tonic + 5) % 12 \
                and slot.chord.quality in ("", "maj7") and rng.random() < 0.5 * (1 - valence):  # fmt: skip
            half = slot.length / 2
            out += [replace(slot, length=half), Slot(slot.start + half, half, minor_four, slot.phrase, "")]
        elif slot.chord.function == "D" and slot.chord.quality == "" and slot.chord.root == (tonic + 7) % 12 \
                and slot.length >= 4 and slot.length % 2 == 0 and rng.random() < 0.12:  # fmt: skip
            half = slot.length / 2
            held = parse_chord("Vsus", tonic, "major")
            out += [Slot(slot.start, half, held, slot.phrase, ""), replace(slot, start=slot.start + half, length=half)]
        else:
            out.append(slot)
    return out


def section_slots(
    rng: np.random.Generator, family: str, mode: str, tonic: int, valence: float, phrases: list[Phrase], beats: int,
    per_bar: float, loop: bool,
) -> list[Slot]:  # fmt: skip
    """The chords of a section.

    Args:
        rng: source of randomness.
        family: a key of `harmony.FAMILIES`, or "functional".
        mode: "major" or "minor".
        tonic: pitch class of the key.
        valence: 0 to 1; darker progressions are likelier when it is low.
        phrases: the form.
        beats: beats of a bar.
        per_bar: chords a bar: 2, 1 or 0.5.
        loop: whether every phrase has the same chords, as in dance music.
    """
    blues = family == "blues" and len(phrases) == 3 and all(phrase.bars == 4 for phrase in phrases)
    periods: dict[str, tuple[list[str], list[str]]] = {}
    slots: list[Slot] = []
    for number, phrase in enumerate(phrases):
        letter = "a" if loop and rng.random() < 0.8 else phrase.label
        if letter not in periods:
            periods[letter] = choose_progression(rng, family, mode, valence)
        first, second = periods[letter]
        count = max(int(np.ceil(phrase.bars * per_bar)), 1)
        closed = phrase.ending == "close"
        if blues:
            numerals = _TWELVE_BARS[mode][number if number < 2 else int(rng.integers(2, 4))].split()
            if closed and number == 2:
                numerals[-1] = "I7" if mode == "major" else "i7"
        else:
            numerals = _fitted(first, second, count, closed)
        home = _tonic(second)
        if closed and number == len(phrases) - 1:
            numerals = [*numerals[:-1], home]
        elif not closed:
            numerals = [*numerals[:-1], _leads_on(numerals[-1], family, mode)]
        start = float(phrase.start * beats)
        slots += _laid_out(numerals, start, float(phrase.bars * beats), beats, tonic, mode, number, phrase.ending)
    slots = _coloured(rng, slots, family, mode, tonic, valence, beats)
    return _home_bar(slots, phrases, beats) if phrases[-1].ending == "close" else slots


def _home_bar(slots: list[Slot], phrases: list[Phrase], beats: int) -> list[Slot]:
    """The tonic fills the last bar, and no more than the last two."""
    end = float((phrases[-1].start + phrases[-1].bars) * beats)
    home = slots[-1]
    bar = end - beats
    kept = [replace(s, length=min(s.length, bar - s.start)) for s in slots[:-1] if s.start < bar - 1e-6]
    if home.start > bar - 1e-6 or not kept:
        start = bar if kept else 0.0
        return [*kept, replace(home, start=start, length=end - start)]
    return [*kept, home]
