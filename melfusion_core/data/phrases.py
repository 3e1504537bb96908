"""Melodies: motifs that repeat, move in sequence and vary, chord tones on strong beats, cadences at phrase ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from melfusion_core.data.harmony import Slot, chord_scale

Event = tuple[float, float]
"""Start and duration in beats."""

_STRAIGHT: dict[float, tuple[tuple[float, ...], ...]] = {
    1.0: ((0.0,), (0.0, 0.5), (0.0, 0.75), (0.0, 0.5, 0.75), (0.0, 0.25, 0.5), (0.0, 0.25, 0.5, 0.75)),
    2.0: ((0.0,), (0.0, 1.5), (0.0, 1.0), (0.0, 1.0, 1.5), (0.0, 0.5, 1.0, 1.5)),
    3.0: ((0.0,), (0.0, 2.0), (0.0, 1.0, 2.0), (0.0, 1.5, 2.0), (0.0, 1.0, 2.0, 2.5)),
    4.0: ((0.0,), (0.0, 3.0), (0.0, 2.0), (0.0, 2.0, 3.0), (0.0, 1.0, 2.0)),
}
_SYNCOPATED: dict[float, tuple[tuple[float, ...], ...]] = {
    2.0: ((0.0, 0.5, 1.5), (0.0, 0.75, 1.5), (0.5, 1.0, 1.5), (0.0, 0.75, 1.0, 1.5), (0.5, 1.5), (0.0, 1.75)),
    4.0: ((0.0, 1.5, 3.0), (0.0, 1.5, 2.5, 3.0, 3.5), (0.5, 1.5, 2.0, 3.5)),
}
_JIG: dict[float, tuple[tuple[float, ...], ...]] = {1.5: ((0.0,), (0.0, 1.0), (0.0, 0.5, 1.0), (0.0, 0.5, 1.0))}
"""Rhythm cells by length in beats: onsets inside the cell."""

_FORMS = {
    "song": (("a", "s", "b", "c"), ("a", "b", "a", "c"), ("a", "a", "b", "c"), ("a", "s", "t", "c")),
    "riff": (("a", "a", "a", "c"), ("a", "b", "a", "b"), ("a", "a", "b", "c")),
}
"""Bars of a phrase: motifs a and b, the sequences s and t of a, and the cadence c."""


@dataclass(frozen=True)
class MelodyCharacter:
    """How a style sings.

    Args:
        form: "song" (periods that breathe) or "riff" (short loops).
        metre: "straight", or "jig" for groups of three eighths.
        syncopation: 0 (on the beat) to 1.
        pentatonic: whether weak notes avoid the half steps of the scale.
        chromatic: chance of a chromatic approach before a strong beat, 0 to 1.
        leaps: chance of a leap inside a motif, 0 to 1.
    """

    form: str = "song"
    metre: str = "straight"
    syncopation: float = 0.15
    pentatonic: bool = False
    chromatic: float = 0.0
    leaps: float = 0.2


def strong_beats(beats_per_bar: int, metre: str = "straight") -> tuple[float, ...]:
    """Positions in a bar where melodies stand on chord tones.

    Args:
        beats_per_bar: 3 or 4.
        metre: "straight" or "jig".
    """
    if beats_per_bar == 4:
        return (0.0, 2.0)
    return (0.0, 1.5) if metre == "jig" else (0.0,)


def _cell(rng: np.random.Generator, length: float, per_beat: float, character: MelodyCharacter) -> tuple[float, ...]:
    """Draw a rhythm cell whose density is near the wanted one."""
    cells = list(_JIG[length] if character.metre == "jig" else _STRAIGHT[length])
    weights = [1.0] * len(cells)
    if character.metre != "jig" and length in _SYNCOPATED:
        cells += _SYNCOPATED[length]
        weights += [1.5 * character.syncopation] * len(_SYNCOPATED[length])
    gaps = np.array([abs(np.log(len(cell) / length / per_beat)) for cell in cells])
    scores = np.array(weights) * np.exp(-3.0 * gaps) / np.sqrt([len(cell) for cell in cells])
    return cells[int(rng.choice(len(cells), p=scores / scores.sum()))]


def bar_rhythm(rng: np.random.Generator, beats: int, per_beat: float, character: MelodyCharacter) -> list[Event]:
    """One bar of melody rhythm.

    Args:
        rng: source of randomness.
        beats: beats per bar, 3 or 4.
        per_beat: wanted notes per beat, above 0.
        character: how the style sings.
    """
    if character.metre == "jig":
        lengths: tuple[float, ...] = (1.5, 1.5)
    elif beats == 3:
        options = ((3.0,), (2.0, 1.0), (1.0, 2.0), (1.0, 1.0, 1.0))
        lengths = options[0] if per_beat < 0.6 else options[int(rng.integers(0 if per_beat < 1.2 else 1, 4))]
    elif per_beat < 0.75 or (character.syncopation > 0.4 and rng.random() < 0.3):
        lengths = (4.0,)
    else:
        lengths = ()
        for _ in range(2):
            lengths += (2.0,) if rng.random() < 0.6 else (1.0, 1.0)
    onsets, position = [], 0.0
    for length in lengths:
        onsets += [position + start for start in _cell(rng, length, per_beat, character)]
        position += length
    ends = [*onsets[1:], float(beats)]
    return [(start, end - start) for start, end in zip(onsets, ends, strict=True)]


def _shape(rng: np.random.Generator, count: int, leaps: float) -> list[int]:
    """A contour in scale steps around 0, mostly by step, turning back after leaps."""
    shape, step = [int(rng.integers(-1, 2))], int(rng.choice([-1, 1]))
    for _ in range(count - 1):
        if rng.random() < leaps:
            move = int(rng.choice([2, 3, 4])) * (-1 if shape[-1] > 1 else 1 if shape[-1] < -1 else step)
            step = -1 if move > 0 else 1
        else:
            if rng.random() < 0.3 or abs(shape[-1] + step) > 4:
                step = -step
            move = step
        shape.append(shape[-1] + move)
    return shape


class _Line:
    """Scale degrees to pitches over the chords of a piece."""

    def __init__(self, slots: list[Slot], tonic: int, scale: tuple[int, ...]) -> None:
        self.slots, self.tonic, self.scale = slots, tonic, scale
        self.starts = np.array([slot.start for slot in slots])

    def slot(self, beat: float) -> Slot:
        return self.slots[max(int(np.searchsorted(self.starts, beat + 1e-6)) - 1, 0)]

    def pitch(self, degree: int, beat: float) -> int:
        steps = chord_scale(self.slot(beat).chord, self.tonic, self.scale)
        return 12 * (degree // 7) + self.tonic + steps[degree % 7]

    def is_chord_tone(self, degree: int, beat: float) -> bool:
        return self.pitch(degree, beat) % 12 in self.slot(beat).chord.tones

    def snap(self, degree: int, beat: float, previous: int | None, repeated: float = 1.2) -> int:
        """Nearest chord tone to a degree,
        leaning towards the previous note; `repeated` is the cost of repeating it."""

        def cost(candidate: int) -> float:
            if previous is None:
                return abs(candidate - degree)
            again = repeated if candidate == previous else 0.0
            return abs(candidate - degree) + 0.35 * abs(candidate - previous) + again

        return min((d for d in range(degree - 4, degree + 5) if self.is_chord_tone(d, beat)), key=cost)


def _cadence_rhythm(start: list[Event], beats: int, per_beat: float, character: MelodyCharacter) -> list[Event]:
    """A bar that comes to rest: the opening of a motif, then one long note."""
    if beats == 4:
        rest = 2.0 if per_beat >= 0.6 else 0.0
    else:
        rest = 1.5 if character.metre == "jig" else 1.0 if per_beat >= 0.8 else 0.0
    lead_in = [(s, min(d, rest - s)) for s, d in start if s < rest - 0.2]
    return [*lead_in, (rest, beats - rest)]


def melody(
    rng: np.random.Generator,
    slots: list[Slot],
    tonic: int,
    scale: tuple[int, ...],
    beats: int,
    bars: int,
    per_beat: float,
    low: int,
    high: int,
    centre: float,
    character: MelodyCharacter,
) -> list[tuple[float, float, int]]:
    """A tune over a harmony.

    Args:
        rng: source of randomness.
        slots: chords in time; phrases end at their cadences.
        tonic: pitch class of the key.
        scale: seven semitones above the tonic.
        beats: beats per bar.
        bars: bars to write.
        per_beat: wanted notes per beat.
        low: lowest MIDI pitch.
        high: highest MIDI pitch.
        centre: MIDI pitch around which the tune moves.
        character: how the style sings.

    Returns:
        Start in beats, duration in beats and MIDI pitch of every note.
    """
    line = _Line(slots, tonic, scale)
    strong = strong_beats(beats, character.metre)
    base = round((centre - tonic) / 12 * 7)
    events = _motifs(rng, slots, beats, bars, per_beat, base, character)
    degrees = _settle(rng, line, events, strong, beats, base, character.pentatonic)
    pitches = [line.pitch(degree, event.start) for degree, event in zip(degrees, events, strict=True)]
    for index, (event, following) in enumerate(pairwise(events)):
        weak = event.start % beats not in strong and event.length <= 0.5 and following.start % 1.0 == 0.0
        if weak and rng.random() < character.chromatic and abs(pitches[index + 1] - pitches[index]) > 1:
            pitches[index] = pitches[index + 1] - 1
    out = []
    for event, pitch in zip(events, pitches, strict=True):
        while pitch < low:
            pitch += 12
        while pitch > high:
            pitch -= 12
        breath = 0.8 if event.cadence else 1.0
        out.append((event.start, event.length * breath, max(pitch, low)))
    return out


class _Event(NamedTuple):
    """A note before it is fitted to the harmony: its degree, and the cadence that it closes, if any."""

    start: float
    length: float
    degree: int
    cadence: str


def _motifs(
    rng: np.random.Generator,
    slots: list[Slot],
    beats: int,
    bars: int,
    per_beat: float,
    base: int,
    character: MelodyCharacter,
) -> list[_Event]:
    """Bars of two motifs, repeated, moved and closed as the form says."""
    rhythms = {name: bar_rhythm(rng, beats, per_beat, character) for name in "ab"}
    shapes = {name: _shape(rng, len(rhythm), character.leaps) for name, rhythm in rhythms.items()}
    sequence = int(rng.choice([-2, -1, 1, 2]))
    forms = _FORMS[character.form]
    form = forms[int(rng.integers(len(forms)))]
    arch = (0, int(rng.integers(0, 2)), int(rng.integers(1, 4)), 0)
    ends = {round(slot.start + slot.length, 3): slot.cadence for slot in slots if slot.cadence}
    events: list[_Event] = []
    position = 0  # bar inside its phrase
    for bar in range(bars):
        cadence = ends.get(float((bar + 1) * beats), "")
        kind = form[position % 4] if not cadence else "c"
        if kind == "c" and not cadence:
            kind = "b"
        motif = "b" if kind == "b" else "a"
        shift = {"s": sequence, "t": 2 * sequence}.get(kind, 0) + arch[position % 4]
        rhythm, shape = rhythms[motif], list(shapes[motif])
        if kind == "c":
            rhythm = _cadence_rhythm(rhythm, beats, per_beat, character)
            shape = [*shape, 0][: len(rhythm) - 1] + [0]
        elif bar >= 4 and len(shape) > 2 and rng.random() < 0.4:
            shape[-1] += int(rng.choice([-1, 1]))  # a small variation when the motif comes back
        for index, ((start, length), offset) in enumerate(zip(rhythm, shape, strict=True)):
            final = cadence if kind == "c" and index == len(rhythm) - 1 else ""
            events.append(_Event(bar * beats + start, length, base + shift + offset, final))
        position = 0 if cadence else position + 1
    return events


def _settle(
    rng: np.random.Generator,
    line: _Line,
    events: list[_Event],
    strong: Collection[float],
    beats: int,
    base: int,
    pentatonic: bool,
) -> list[int]:
    """Degrees that fit the harmony where it matters: at cadences, on strong beats and on long notes."""
    degrees: list[int] = []
    for start, length, target, final in events:
        previous = degrees[-1] if degrees else None
        if final == "authentic":
            third = rng.random() < 0.25
            homes = [7 * octave + (2 if third else 0) for octave in range(12)]
            degree = min(homes, key=lambda home: abs(home - (previous if previous is not None else base)))
        elif final or start % beats in strong or length >= 1.5:
            stuck = len(degrees) > 1 and degrees[-1] == degrees[-2]
            degree = line.snap(target, start, previous, repeated=4.0 if stuck else 1.2)
        else:
            degree = target
            if pentatonic and not line.is_chord_tone(degree, start):
                degree = line.snap(target, start, previous)
        degrees.append(degree)
    for index in range(1, len(events) - 1):  # weak notes that leap both ways become chord tones
        start, degree = events[index].start, degrees[index]
        leaps = abs(degree - degrees[index - 1]) > 1 and abs(degrees[index + 1] - degree) > 1
        if start % beats not in strong and leaps and not line.is_chord_tone(degree, start):
            degrees[index] = line.snap(degree, start, degrees[index - 1])
    return degrees


def counter_line(slots: list[Slot], pitch: int, low: int, high: int) -> list[tuple[float, float, int]]:
    """Long notes that move by step through the chords: a second voice under the tune.

    Args:
        slots: chords in time.
        pitch: MIDI pitch to start near.
        low: lowest MIDI pitch.
        high: highest MIDI pitch.
    """
    out = []
    for slot in slots:
        near = [p for p in range(low, high + 1) if p % 12 in slot.chord.tones]
        pitch = min(near, key=lambda p: abs(p - pitch))
        out.append((slot.start, slot.length, pitch))
    return out
