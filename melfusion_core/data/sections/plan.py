"""What is decided of a section before any note, and the small types its parts are written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from melfusion_core.data.harmony import Slot
from melfusion_core.data.sections.form import Phrase
from melfusion_core.data.styles import Style
from melfusion_core.score.chords import BeatChord
from melfusion_core.score.score import TICKS_PER_BEAT


class Event(NamedTuple):
    """A note on the grid.

    Args:
        tick: onset in ticks from the start of the section.
        ticks: length in ticks.
        pitch: MIDI pitch.
        accent: MIDI velocity against the level of the part.
    """

    tick: int
    ticks: int
    pitch: int
    accent: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What is decided before any note.

    Args:
        style: how the section is arranged.
        valence: target mood, 0 to 1.
        arousal: target mood, 0 to 1.
        tempo: beats a minute.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        scale: seven semitones above the tonic, for the tune.
        bars: whole bars.
        beats: beats of a bar, 3 or 4.
        phrases: the form.
        slots: the chords.
        shape: name of the energy's shape.
        energy: (bars,) energy of each bar, -1 to 1.
        velocity: mean MIDI velocity.
        legato: share of the written length that sounds, 0 to 1.
        swing: what is swung: "" (nothing), "eighths" or "sixteenths".
        closing: whether the last bar comes home.
        rests: bars in which a role is silent.
    """

    style: Style
    valence: float
    arousal: float
    tempo: float
    tonic: int
    mode: str
    scale: tuple[int, ...]
    bars: int
    beats: int
    phrases: list[Phrase]
    slots: list[Slot]
    shape: str
    energy: np.ndarray
    velocity: float
    legato: float
    swing: str
    closing: bool
    rests: dict[str, frozenset[int]] = field(default_factory=dict)

    @property
    def bar_ticks(self) -> int:
        """Ticks of a bar."""
        return self.beats * TICKS_PER_BEAT

    @property
    def ticks(self) -> int:
        """Ticks of the section."""
        return self.bars * self.bar_ticks

    def phrase_of(self, bar: int) -> Phrase:
        """The phrase that holds a bar.

        Args:
            bar: number of the bar.
        """
        return next(phrase for phrase in reversed(self.phrases) if phrase.start <= bar)

    @property
    def final_ticks(self) -> int:
        """How long a last chord is held: the bar, or half of it where the style plays short."""
        return self.bar_ticks if self.legato > 0.65 else -(-self.bar_ticks // 2)

    def is_quiet(self, bar: int) -> bool:
        """Whether a bar lies at the bottom of the energy's curve, where parts thin out.

        Args:
            bar: number of the bar.
        """
        return self.shape in ("build", "drop", "arch", "swell") and bool(self.energy[bar] < -0.45)

    def heard(self, role: str, events: list[Event]) -> list[Event]:
        """Events outside the bars in which a role rests.

        Args:
            role: role of the track.
            events: the notes.
        """
        silent = self.rests.get(role, frozenset())
        if not silent:
            return events
        kept = [event for event in events if event.tick // self.bar_ticks not in silent]
        return kept if len(kept) >= 3 else events

    def slot_index(self, tick: int) -> int:
        """Number of the slot that sounds at a tick.

        Args:
            tick: ticks from the start.
        """
        beat = tick / TICKS_PER_BEAT + 1e-6
        low, high = 0, len(self.slots)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.slots[middle].start <= beat else (low, middle)
        return low

    def harmony(self) -> tuple[BeatChord, ...]:
        """The chord of every beat."""
        chords = [self.slots[self.slot_index(beat * TICKS_PER_BEAT)].chord for beat in range(self.bars * self.beats)]
        return tuple(BeatChord(chord.root, chord.quality, chord.bass) for chord in chords)


_SWUNG = {
    "": tuple(range(TICKS_PER_BEAT)),
    "eighths": (0, 1, 2, 4, 4, 6, 8, 8, 8, 10, 10, 11),
    "sixteenths": (0, 1, 2, 4, 4, 5, 6, 7, 8, 10, 10, 11),
}
"""Where each tick of a straight beat falls; sixteenths and eighths move, triplets stay."""


def swung(tick: int, swing: str) -> int:
    """Where a tick of straight time falls.

    Args:
        tick: ticks from a beat or from the start.
        swing: "", "eighths" or "sixteenths".
    """
    beat, inside = divmod(tick, TICKS_PER_BEAT)
    return beat * TICKS_PER_BEAT + _SWUNG[swing][inside]


def swing_events(events: list[Event], swing: str) -> list[Event]:
    """Swing onsets and ends.

    Args:
        events: in straight time.
        swing: "", "eighths" or "sixteenths".
    """
    if not swing:
        return events
    out = []
    for event in events:
        start, end = swung(event.tick, swing), swung(event.tick + event.ticks, swing)
        out.append(event._replace(tick=start, ticks=max(end - start, 1)))
    return out
