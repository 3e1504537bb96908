"""Accompaniment and bass patterns of the procedural composer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.data.harmony import Slot, voice_lead
from melfusion_core.score.instruments import Instrument, fit_register
from melfusion_core.score.score import Note

Step = tuple[float, float, str, int]
"""Start and duration in beats, which voices ("all", "top", "power", "bass" or a number), velocity offset."""


def _run(unit: float, order: str, length: float | None = None) -> list[Step]:
    """Single voices one after another; "." rests."""
    return [
        (i * unit, length or unit * 1.6, voice, 4 if i % 4 == 0 else 0)
        for i, voice in enumerate(order)
        if voice != "."
    ]


def _hits(starts: str, length: float, voices: str = "all", unit: float = 0.5) -> list[Step]:
    """Chords on a grid: "X" accent, "x" normal, "o" soft."""
    level = {"X": 6, "x": 0, "o": -10}
    return [(i * unit, length, voices, level[mark]) for i, mark in enumerate(starts) if mark != "."]


COMP: dict[str, tuple[int, list[Step]]] = {
    "block": (4, _hits("X...x...", 1.9)), "quarters": (4, _hits("XxXx", 0.9, unit=1.0)),
    "hymn": (4, _hits("XxXx", 1.0, unit=1.0)), "eighths": (4, _hits("XxxxXxxx", 0.42)),
    "arpeggio": (4, _run(0.5, "01232321")), "slow arpeggio": (4, _run(1.0, "0123")),
    "rolling": (4, _run(0.25, "0123210101232101")), "alberti": (4, _run(0.5, "02120212", 0.5)),
    "alberti16": (4, _run(0.25, "0212021202120212", 0.25)), "offbeat": (4, _hits(".x.x.x.x", 0.3)),
    "skank": (4, _hits("..X...X.", 0.35)), "double skank": (4, _hits("....Xx......Xx..", 0.2, unit=0.25)),
    "ska": (4, _hits(".X.X.X.X", 0.22)), "bubble": (4, _hits(".xx..xx.", 0.25)),
    "bossa": (4, _hits("X..x..x.x..x..x.", 0.45, unit=0.25)),
    "samba": (4, _hits("X.x.xx.xX.x.x.xx", 0.22, unit=0.25)),
    "afterbeat": (4, _hits(".x.x.x.x", 0.3)), "strum": (4, _hits("X.xo.oxo", 0.5)),
    "strum16": (4, _hits("X.xox.xoX.xox.xo", 0.25, unit=0.25)), "charleston": (4, _hits("X..x....", 0.6)),
    "comping": (4, _hits("X..x..x.", 0.4)), "freddie": (4, _hits("xXxX", 0.55, unit=1.0)),
    "ostinato": (4, _run(0.5, "00102010", 0.4)), "ostinato16": (4, _run(0.25, "0010201000102010", 0.2)),
    "fastarp": (4, _run(0.25, "0123012301230123", 0.24)), "chiparp": (4, _run(0.25, "0120120120120123", 0.22)),
    "synth arp": (4, _run(0.25, "0.12.01.20.12.13", 0.22)), "gate": (4, _hits("X.xX.xX.X.xX.xX.", 0.2, unit=0.25)),
    "scratch": (4, _hits("X.oX..x.oX.xo.x.", 0.14, unit=0.25)), "stabs": (4, _hits("X..x..x...x..x..", 0.25,
        unit=0.25)),
    "house stabs": (4, _hits("X..X..X...X..X..", 0.3, unit=0.25)), "chug": (4, _hits("XxxxXxxx", 0.4, "power")),
    "gallop": (4, _hits("X.xxX.xxX.xxX.xx", 0.22, "power", 0.25)),
    "riff": (4, _hits("X.xX..x.X.x.xX..", 0.3, "power", 0.25)), "ring": (4, _hits("X.......", 3.9, "power")),
    "half ring": (4, _hits("X...X.x.", 1.4, "power")), "marcato": (4, _hits("XxXx", 0.4, unit=1.0)),
    "sincopa": (4, _hits("X.x.x.X.", 0.35)), "boogie": (4, _hits("XxXxXxXx", 0.4, "top")),
    "oompah": (4, [(b, 0.5, "bass" if b % 2 == 0 else "all", 4 if b == 0 else 0) for b in range(4)]),
    "travis": (4, _run(0.5, "0213021302130213"[:8], 0.6)), "tremolo": (4, _hits("XoxoxoxoXoxoxoxo", 0.24, unit=0.25)),
    "waltz": (3, _hits(".xx", 0.6, unit=1.0)), "waltz arpeggio": (3, _run(0.5, "012321")),
    "slow waltz": (3, _run(1.0, "012")), "waltz block": (3, _hits("X..", 2.9, unit=1.0)),
    "waltz strum": (3, _hits("X.xoxo", 0.5)), "jig chop": (3, _hits("X.xX.x", 0.3)), "jig arpeggio": (3, _run(0.5,
        "012021")),
}  # fmt: skip
"""Accompaniment patterns by name: beats of a bar, and what happens in it. "sustain" holds each chord instead."""


def comp_density(pattern: str) -> float:
    """Onsets per beat of an accompaniment pattern.

    Args:
        pattern: a key of `COMP`, or "sustain".
    """
    if pattern == "sustain":
        return 0.2
    beats, steps = COMP[pattern]
    return len(steps) / beats


@dataclass(frozen=True)
class Harmony:
    """Chords of a piece, voiced.

    Args:
        slots: chords in time.
        voicings: MIDI pitches of each slot, low to high.
    """

    slots: list[Slot]
    voicings: list[list[int]]

    def at(self, beat: float) -> int:
        """Number of the slot that sounds at a beat.

        Args:
            beat: beats from the start.
        """
        for index in range(len(self.slots) - 1, -1, -1):
            if self.slots[index].start <= beat + 1e-6:
                return index
        return 0


def voice(slots: list[Slot], centre: float) -> Harmony:
    """Voice-lead the chords of a piece.

    Args:
        slots: chords in time.
        centre: MIDI pitch around which the chords lie.
    """
    voicings: list[list[int]] = []
    for slot in slots:
        voicings.append(voice_lead(slot.chord.tones, voicings[-1] if voicings else None, centre))
    return Harmony(slots, voicings)


def accompany(
    pattern: str, harmony: Harmony, beats: int, bars: int, velocity: float, legato: float, instrument: Instrument
) -> list[Note]:
    """Play chords in a pattern.

    Args:
        pattern: a key of `COMP`, or "sustain" for held chords.
        harmony: voiced chords.
        beats: beats per bar.
        bars: bars to fill.
        velocity: mean MIDI velocity.
        legato: share of the written length that sounds.
        instrument: who plays.

    Raises:
        ValueError: the pattern has another metre.
    """

    def note(start: float, length: float, pitch: int, level: float) -> Note:
        return Note(start, length, fit_register(pitch, instrument), int(np.clip(velocity + level, 1, 127)))

    notes = []
    if pattern == "sustain":
        for slot, voicing in zip(harmony.slots, harmony.voicings, strict=True):
            notes += [note(slot.start, slot.length * 0.98, p, 0) for p in voicing]
        return notes
    metre, steps = COMP[pattern]
    if metre != beats:
        raise ValueError(f"accompaniment {pattern!r} does not have {beats} beats")
    for bar in range(bars):
        for start, length, which, accent in steps:
            beat = bar * beats + start
            index = harmony.at(beat)
            slot, voicing = harmony.slots[index], harmony.voicings[index]
            chosen: list[int]
            if which == "all":
                chosen = voicing
            elif which == "top":
                chosen = voicing[-2:]
            elif which == "bass":
                chosen = [fit_register(slot.chord.bass + 36, instrument)]
            elif which == "power":
                root = fit_register(slot.chord.root + 36, instrument)
                chosen = [root, root + 7, root + 12]
            else:
                wide = [*voicing[:3], voicing[0] + 12, voicing[1] + 12]
                chosen = [wide[int(which)]]
            until = slot.start + slot.length - beat
            notes += [note(beat, min(length * legato, until), p, accent) for p in sorted(set(chosen))]
    return notes


def _bass_events(pattern: str, root: int, fifth: int, third: int, length: float, beats: int) -> list[tuple]:
    """Events of one bar or half bar: start, duration, pitch, accent."""
    up = root + 12 if root + 12 <= 57 else root
    if pattern == "root":
        return [(0.0, length, root, 0)]
    if pattern == "root-fifth":
        if beats == 3:
            return [(0.0, 1.9, root, 4), (2.0, 0.9, fifth, -4)]
        return [(0.0, 1.4, root, 4), (1.5, 0.5, root, -6), (2.0, 1.4, fifth, 0), (3.5, 0.5, fifth, -6)]
    if pattern == "two":
        return [(0.0, 0.9, root, 4), (2.0, 0.9, fifth, 0)]
    if pattern == "waltz":
        return [(0.0, 0.9, root, 4)]
    if pattern == "bossa":
        return [(0.0, 1.4, root, 2), (1.5, 0.5, fifth, -4), (2.0, 1.4, fifth, 0), (3.5, 0.5, root, -4)]
    if pattern == "pulse":
        return [(i * 0.5, 0.45, root, 4 if i % 2 == 0 else -2) for i in range(int(length * 2))]
    if pattern == "octave":
        return [(i * 0.5, 0.4, up if i % 2 else root, 2 if i % 2 == 0 else -2) for i in range(int(length * 2))]
    if pattern == "offbeat":
        return [(i + 0.5, 0.4, root, 0) for i in range(int(length))]
    if pattern == "rolling":
        return [(i * 0.25, 0.22, root, -4) for i in range(int(length * 4)) if i % 4]
    if pattern == "sixteenth":
        return [(i * 0.25, 0.2, up if i % 8 == 6 else root, 4 if i % 4 == 0 else -4) for i in range(int(length * 4))]
    if pattern == "gallop":
        return [(b + s, d, root, 4 if s == 0 else -2) for b in range(int(length)) for s, d in
                ((0.0, 0.45), (0.5, 0.22), (0.75, 0.22))]  # fmt: skip
    if pattern == "funk":
        return [(0.0, 0.4, root, 8), (0.75, 0.2, root, -6), (1.5, 0.2, up, 2), (1.75, 0.2, root, -4),
                (2.5, 0.4, fifth, 0), (3.25, 0.2, up, 0), (3.5, 0.4, fifth, -2)]  # fmt: skip
    if pattern == "reggae":
        return [
            (0.0, 0.7, root, 4),
            (1.0, 0.4, third, 0),
            (1.5, 0.8, fifth, 0),
            (2.5, 0.4, root, 0),
            (3.0, 0.8, fifth, 0),
        ]
    if pattern == "habanera":
        return [(0.0, 1.3, root, 6), (1.5, 0.4, fifth, -2), (2.0, 0.8, up, 2), (3.0, 0.8, fifth, 0)]
    if pattern == "lofi":
        return [(0.0, 1.3, root, 4), (1.75, 0.25, root, -8), (2.5, 1.2, fifth, -2)]
    if pattern == "halftime":
        return [(0.0, 1.9, root, 4), (2.5, 0.4, root, -4), (3.0, 0.9, fifth, -2)]
    if pattern == "arpeggio":
        return [(i * 0.5, 0.5, p, 4 if i == 0 else 0) for i, p in
                enumerate((root, fifth, up, fifth) * int(np.ceil(length / 2))) if i * 0.5 < length]  # fmt: skip
    if pattern == "boogie":
        six = fifth + 2
        return [(i * 0.5, 0.45, p, 2 if i % 2 == 0 else -4) for i, p in
                enumerate((root, root, third, third, fifth, fifth, six, six)) if i * 0.5 < length]  # fmt: skip
    raise ValueError(f"unknown bass pattern {pattern!r}")


BASS_PATTERNS = ("root", "root-fifth", "two", "waltz", "bossa", "pulse", "octave", "offbeat", "rolling", "sixteenth",
                 "gallop", "funk", "reggae", "habanera", "lofi", "halftime", "arpeggio", "boogie", "walking",
                 "pedal")  # fmt: skip
"""Names of the bass patterns."""


def bass_density(pattern: str) -> float:
    """Onsets per beat of a bass pattern.

    Args:
        pattern: one of `BASS_PATTERNS`.
    """
    if pattern in ("walking", "pedal"):
        return 1.0 if pattern == "walking" else 2.0
    return len(_bass_events(pattern, 36, 43, 40, 4.0, 4)) / 4


def bass_line(
    rng: np.random.Generator, pattern: str, slots: list[Slot], beats: int, tonic: int, velocity: float,
    instrument: Instrument,
) -> list[Note]:  # fmt: skip
    """A bass part.

    Args:
        rng: source of randomness.
        pattern: one of `BASS_PATTERNS`.
        slots: chords in time.
        beats: beats per bar.
        tonic: pitch class of the key, for the pedal.
        velocity: mean MIDI velocity.
        instrument: who plays.

    Raises:
        ValueError: the pattern is not known.
    """
    floor = max(instrument.low, 31)

    def low(pitch_class: int) -> int:
        return floor + (pitch_class - floor) % 12

    notes = []
    for index, slot in enumerate(slots):
        chord = slot.chord
        root = low(chord.bass)
        if chord.bass == chord.root:
            third = root + (chord.tones[1] - chord.root) % 12
            fifth = root + (chord.tones[2] - chord.root) % 12 if len(chord.tones) > 2 else root + 7
        else:
            fifth = third = root + (chord.root - chord.bass) % 12
        if pattern == "walking":
            following = low(slots[(index + 1) % len(slots)].chord.bass)
            approach = following + int(rng.choice([-1, 1, 2]))
            middle = [third, fifth] if rng.random() < 0.6 else [fifth, third]
            walk = [root, *middle, approach][: max(int(slot.length), 1)]
            if len(walk) > 1:
                walk[-1] = approach
            events = [(float(i), 0.92, p, 3 if i % 2 else 0) for i, p in enumerate(walk)]
        elif pattern == "pedal":
            events = [(i * 0.5, 0.45, low(tonic), 4 if i % 2 == 0 else -3) for i in range(int(slot.length * 2))]
        else:
            events = _bass_events(pattern, root, fifth, third, slot.length, beats)
        for start, length, pitch, accent in events:
            if start < slot.length - 1e-6:
                level = int(np.clip(velocity + accent, 1, 127))
                duration = min(length, slot.length - start) * 0.97
                notes.append(Note(slot.start + start, duration, fit_register(pitch, instrument), level))
    return notes
