"""Accompaniment, bass and drum patterns of the procedural composer."""

from __future__ import annotations

import numpy as np

from .instruments import Instrument, fit_register
from .score import Note
from .styles import CRASH, DRUMS, SNARE, TOM

# Accompaniment rhythms: (start in beats, duration in beats, which voices: "all", "low" or an index).
_COMP: dict[str, list[tuple[float, float, str | int]]] = {
    "block": [(0.0, 2.0, "all"), (2.0, 2.0, "all")],
    "hymn": [(0.0, 1.0, "all"), (1.0, 1.0, "all"), (2.0, 2.0, "all")],
    "arpeggio": [(b * 0.5, 0.9, v) for b, v in enumerate((0, 1, 2, 1, 3, 2, 1, 2))],
    "alberti": [(b * 0.5, 0.5, v) for b, v in enumerate((0, 2, 1, 2, 0, 2, 1, 2))],
    "offbeat": [(0.5, 0.4, "all"), (1.5, 0.4, "all"), (2.5, 0.4, "all"), (3.5, 0.4, "all")],
    "bossa": [(0.0, 0.5, "all"), (1.0, 0.5, "all"), (1.5, 0.75, "all"), (2.5, 0.5, "all"), (3.5, 0.5, "all")],
    "waltz": [(1.0, 0.7, "all"), (2.0, 0.7, "all")],
    "strum": [(0.0, 0.9, "all"), *((start, 0.5, "all") for start in (1.0, 1.5, 2.5, 3.0, 3.5))],
    "charleston": [(0.0, 0.8, "all"), (1.5, 0.6, "all")],
    "ostinato": [(b * 0.5, 0.4, v) for b, v in enumerate((0, 0, 1, 0, 2, 0, 1, 0))],
    "fastarp": [(b * 0.25, 0.24, v) for b, v in enumerate((0, 1, 2, 3) * 4)],
    "sixteenth": [(start, 0.2, "all") for start in (0.0, 0.75, 1.5, 2.25, 3.0, 3.5)],
    "power": [(b * 0.5, 0.45, "power") for b in range(8)],
}  # fmt: skip


def accompany(
    rng: np.random.Generator,
    pattern: str,
    voicings: list[list[int]],
    beats: int,
    velocity: float,
    legato: float,
    instrument: Instrument,
    density: float,
) -> list[Note]:
    """Play chords in a pattern.

    Args:
        rng: source of randomness.
        pattern: a key of the pattern table, or "sustain" for held chords.
        voicings: MIDI pitches of each bar's chord.
        beats: beats per bar.
        velocity: mean MIDI velocity.
        legato: share of the written length that sounds.
        instrument: who plays.
        density: 0 to 1; low values leave out weak events.
    """
    notes = []
    keep = 0.55 + 0.45 * min(1.0, density * 2)
    skipped = {i for i in range(1, 16) if rng.random() > keep} if pattern in {"arpeggio", "alberti"} else set()
    for bar, voicing in enumerate(voicings):
        pitches = [fit_register(p, instrument) for p in voicing]
        pitches = sorted(pitches) + [sorted(pitches)[0] + 12]
        if pattern == "sustain":
            notes += [Note(bar * beats, beats * 0.99, p, int(np.clip(velocity, 1, 127))) for p in pitches[:3]]
            continue
        for index, (start, length, voices) in enumerate(_COMP[pattern]):
            if start >= beats or index in skipped:
                continue
            chosen: list[int]
            if voices == "all":
                chosen = pitches[:3]
            elif voices == "power":
                root = fit_register(voicing[0] % 12 + 36, instrument)
                chosen = [root, root + 7]
            else:
                chosen = [pitches[int(voices)]]
            level = int(np.clip(velocity + (5 if start % 2 == 0 else -3), 1, 127))
            duration = min(length * legato, beats - start)
            notes += [Note(bar * beats + start, duration, p, level) for p in chosen]
    return notes


def bass_line(
    rng: np.random.Generator,
    pattern: str,
    chords: list[list[int]],
    beats: int,
    velocity: float,
    instrument: Instrument,
) -> list[Note]:
    """A bass part.

    Args:
        rng: source of randomness.
        pattern: "root", "root-fifth", "pulse", "octave" or "walking".
        chords: pitch classes (root, third, fifth) of each bar.
        beats: beats per bar.
        velocity: mean MIDI velocity.
        instrument: who plays.
    """
    notes = []
    for bar, (root, third, fifth) in enumerate(chords):
        low, mid, high = (fit_register(36 + pc, instrument) for pc in (root, third, fifth))
        if pattern == "root":
            events = [(0.0, float(beats), low)]
        elif pattern == "root-fifth":
            events = (
                [(0.0, 1.5, low), (1.5, 0.5, high), (2.0, 1.0, high)]
                if beats == 4
                else [(0.0, 2.0, low), (2.0, 1.0, high)]
            )
        elif pattern == "pulse":
            events = [(i * 0.5, 0.45, low) for i in range(beats * 2)]
        elif pattern == "octave":
            events = [(i * 0.5, 0.4, low + (12 if i % 2 else 0)) for i in range(beats * 2)]
        elif pattern == "walking":
            step = int(rng.choice([-1, 1]))
            following = fit_register(36 + chords[(bar + 1) % len(chords)][0], instrument)
            events = [(0.0, 0.95, low), (1.0, 0.95, mid), (2.0, 0.95, high), (3.0, 0.95, following + step)]
        else:
            raise ValueError(f"unknown bass pattern {pattern!r}")
        notes += [
            Note(bar * beats + s, d * 0.95, p, int(np.clip(velocity, 1, 127))) for s, d, p in events if s < beats
        ]
    return notes


def drum_part(rng: np.random.Generator, pattern: str, bars: int, beats: int, velocity: float) -> list[Note]:
    """A drum part with a fill before every fifth bar.

    Args:
        rng: source of randomness.
        pattern: a key of `styles.DRUMS`.
        bars: number of bars.
        beats: beats per bar.
        velocity: mean MIDI velocity.
    """
    notes = []
    for bar in range(bars):
        fill = bar % 4 == 3 and rng.random() < 0.6
        for drum, steps, accent in DRUMS[pattern]:
            if drum == CRASH and pattern not in {"march", "double"} and bar % 4 != 0:
                continue
            for step in steps:
                if step >= beats * 4 or (fill and step >= 12):
                    continue
                ghost = -8 if step % 4 else 0
                notes.append(Note(bar * beats + step / 4, 0.2, drum, int(np.clip(velocity + accent + ghost, 1, 127))))
        if fill and beats == 4:
            notes += [
                Note(bar * beats + 3 + i / 4, 0.2, SNARE if i < 2 else TOM, int(np.clip(velocity + 3 * i, 1, 127)))
                for i in range(4)
            ]
    return notes
