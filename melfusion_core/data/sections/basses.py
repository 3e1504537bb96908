"""Bass lines: roots where the harmony changes, patterns of the style between, notes that lead to the next root."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.harmony import Chord, Slot, chord_scale
from melfusion_core.data.sections.plan import Event, Plan
from melfusion_core.score.keys import SCALES
from melfusion_core.score.score import TICKS_PER_BEAT

STEP = TICKS_PER_BEAT // 4
"""Ticks of a sixteenth."""

BASS: dict[str, dict[int, tuple[str, ...]]] = {
    "root": {4: ("R---------------", "R-------R-------", "R-----------5---"), 3: ("R-----------", "R-------5---")},
    "root-fifth": {4: ("R-----R-5-----5-", "R-------5-----R-"), 3: ("R-------5---", "R---5---5---")},
    "two": {4: ("R---....5---....", "R---....l---...."), 3: ("R---....5---", "R---....l---")},
    "waltz": {4: ("R-------5-------",), 3: ("R---........", "R-------....", "R-------5---")},
    "bossa": {4: ("R-----5-5-----R-", "R-----5-l-----l-"), 3: ("R-----5-5---",)},
    "pulse": {4: ("R-R-R-R-R-R-R-R-", "R-R-R-R-R-R-R-a-"), 3: ("R-R-R-R-R-R-",)},
    "octave": {4: ("R-8-R-8-R-8-R-8-", "R-8-R-8-R-8-5-8-"), 3: ("R-8-R-8-R-8-",)},
    "offbeat": {4: ("..R-..R-..R-..R-", "..R-..R-..R-..8-"), 3: ("..R-..R-..R-",)},
    "rolling": {4: (".RRR.RRR.RRR.RRR", ".RR8.RRR.RR8.RRR"), 3: (".RRR.RRR.RRR",)},
    "sixteenth": {4: ("RRRRRR8RRRRRRR8R", "RR8RRR8RRR8RRR8R"), 3: ("RR8RRR8RRR8R",)},
    "gallop": {4: ("R-RRR-RRR-RRR-RR", "R-RRR-RRR-RR5-RR"), 3: ("R-RRR-RRR-RR",)},
    "funk": {4: ("R-.R..8R..5-.85-", "R--R..R-.78-..5-", "R-..8-.R..5-7-8-"), 3: ("R-.R..8R.5-.",)},
    "reggae": {4: ("R--.3-5---R-5--.", "..R-R-..3-5-8---", "R---..R-....5-3-"), 3: ("R--.3-5---..",)},
    "habanera": {4: ("R-----5-8---5---", "R-----5-8---3---"), 3: ("R-----5-8---",)},
    "lofi": {4: ("R-----.R..5-----", "R------R....5-a-", "R---..R-..8-5---"), 3: ("R-----.R5---",)},
    "halftime": {4: ("R-------..R-5---", "R-----..R---..a-"), 3: ("R-------5-a-",)},
    "arpeggio": {4: ("R-5-8-5-R-5-8-5-", "R-3-5-8-5-3-R-5-"), 3: ("R-5-8-5-3-5-",)},
    "boogie": {4: ("R-R-3-3-5-5-6-6-", "R-3-5-6-7-6-5-3-"), 3: ("R-3-5-6-5-3-",)},
    "walking": {4: ("W---W---W---W---",), 3: ("W---W---W---",)},
    "pedal": {4: ("T-T-T-T-T-T-T-T-", "T-------T-------"), 3: ("T-T-T-T-T-T-",)},
}
"""One bar of sixteenths: R root, 3 third, 5 fifth, l the fifth below, 6 sixth, 7 seventh, 8 octave, T the key's tonic,
a a note leading to the next root, W walking; "-" holds, "." rests."""

_LEADING = {
    "two": 0.35, "root-fifth": 0.35, "bossa": 0.15, "root": 0.12, "waltz": 0.2, "halftime": 0.2, "habanera": 0.25,
    "funk": 0.3, "lofi": 0.2, "reggae": 0.1, "boogie": 0.2, "arpeggio": 0.2, "pulse": 0.12,
}  # fmt: skip
"""Chance that the last note before a new root leads to it, by pattern."""


def bass_density(pattern: str, beats: int) -> float:
    """Onsets per beat of a bass pattern.

    Args:
        pattern: a key of `BASS`.
        beats: beats of a bar, 3 or 4.
    """
    rows = BASS[pattern][beats]
    return sum(mark not in "-." for mark in rows[0]) / beats


class _Register:
    """Where pitch classes lie: near the note before, inside an octave and a half."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, max(high, low + 12)

    def near(self, pitch_class: int, pitch: float) -> int:
        rows = range(self.low + (pitch_class - self.low) % 12, self.high + 1, 12)
        return min(rows, key=lambda p: (abs(p - pitch), p))


def _degree(mark: str, chord: Chord, root: int, register: _Register) -> int:
    """Pitch of a mark over a chord whose bass stands on `root`."""
    tones = chord.tones
    inverted = chord.bass != chord.root
    above = {
        "R": 0,
        "3": (tones[1] - chord.bass) % 12 if len(tones) > 2 else 7,
        "5": (chord.root - chord.bass) % 12 if inverted else 7 if (chord.root + 7) % 12 in tones or len(tones) < 3
             else (tones[2] - chord.root) % 12,
        "6": 9 if "m" not in chord.quality or "maj" in chord.quality else 10,
        "7": next((s for s in (10, 11, 9) if (chord.root + s) % 12 in tones), 10), "8": 12,
    }  # fmt: skip
    if mark == "l":
        fifth = root + above["5"] - 12
        return fifth if fifth >= register.low else root + above["5"]
    pitch = root + above[mark]
    while pitch > register.high and pitch - 12 >= register.low:
        pitch -= 12
    return pitch


def _approach(rng: np.random.Generator, pitch: int, target: int, plan: Plan, chromatic: float) -> int:
    """A note a step below or above the next root, from the side of the line."""
    side = -1 if pitch <= target else 1
    if rng.random() < 0.25:
        side = -side
    scale = {(plan.tonic + step) % 12 for step in SCALES[plan.mode]}
    step = next(s for s in (1, 2) if (target + side * s) % 12 in scale)
    return target + side * (1 if rng.random() < chromatic else step)


def _walk(rng: np.random.Generator, plan: Plan, slot: Slot, start: int, target: int, count: int,
          register: _Register) -> list[int]:  # fmt: skip
    """Quarter notes from a root towards the next one: by step or through the chord, at last a step away from it."""
    if count == 1:
        return [start]
    steps = chord_scale(slot.chord, plan.tonic, SCALES[plan.mode])
    scale = {(plan.tonic + step) % 12 for step in steps}
    line = [start]
    last = _approach(rng, start, target, plan, 0.5)
    for index in range(1, count - 1):
        left = count - 1 - index
        ideal = line[-1] + (last - line[-1]) / (left + 1)
        if abs(last - line[-1]) < 3:  # there is time: go out through the chord and come back
            ideal = start + (4 if index % 2 or start < (register.low + register.high) / 2 else -4)
        strong = index % 2 == 0
        rows = [p for p in range(max(line[-1] - 7, register.low), min(line[-1] + 7, register.high) + 1)
                if p != line[-1] and p % 12 in (slot.chord.tones if strong else scale)]  # fmt: skip
        rows = rows or [line[-1]]
        costs = np.array([abs(p - ideal) + (0.0 if p % 12 in slot.chord.tones else 0.8) + 0.5 * rng.random()
                          for p in rows])  # fmt: skip
        line.append(rows[int(costs.argmin())])
    return [*line, last]


def bass_line(rng: np.random.Generator, plan: Plan, pattern: str, low: int, high: int) -> list[Event]:
    """The bass of a section, in straight time.

    Args:
        rng: source of randomness.
        plan: what was decided.
        pattern: a key of `BASS`.
        low: lowest MIDI pitch.
        high: highest MIDI pitch.
    """
    register = _Register(max(low, 28), min(high, max(low, 28) + 22))
    rows = BASS[pattern][plan.beats]
    main, other = (rows[int(rng.integers(len(rows)))] for _ in range(2))
    slots = plan.slots
    roots: list[int] = []
    pitch = float(register.low + 8)
    for slot in slots:
        pitch = register.near(slot.chord.bass, 0.6 * pitch + 0.4 * (register.low + 7))
        roots.append(int(pitch))
    events: list[Event] = []
    for index, slot in enumerate(slots):
        begin, end = round(slot.start * TICKS_PER_BEAT), round((slot.start + slot.length) * TICKS_PER_BEAT)
        following = roots[index + 1] if index + 1 < len(slots) else None
        if plan.closing and index == len(slots) - 1:
            events += _final(plan, begin, roots[index])
        elif pattern == "walking":
            count = max((end - begin) // TICKS_PER_BEAT, 1)
            target = following if following is not None else roots[index]
            line = _walk(rng, plan, slot, roots[index], target, count, register)
            events += [Event(begin + i * TICKS_PER_BEAT, TICKS_PER_BEAT, p, 3.0 if i % 2 else 0.0)
                       for i, p in enumerate(line)]  # fmt: skip
        else:
            bar = begin // plan.bar_ticks
            own = BASS["root"][plan.beats][0] if plan.is_quiet(bar) else other if bar % 4 == 3 else main
            events += _patterned(rng, plan, own, slot.chord, roots[index], following, begin, end, register, pattern)
    return events


def _final(plan: Plan, begin: int, root: int) -> list[Event]:
    """The last chord: its root, held in the last bar."""
    last = plan.ticks - plan.bar_ticks
    out = [Event(begin, last - begin, root, 2.0)] if begin < last else []
    return [*out, Event(last, plan.final_ticks, root, 4.0)]


def _patterned(rng: np.random.Generator, plan: Plan, row: str, chord: Chord, root: int, following: int | None,
               begin: int, end: int, register: _Register, pattern: str) -> list[Event]:  # fmt: skip
    """One slot of a pattern; where the chord changes inside a bar the root is struck again."""
    out: list[Event] = []
    offbeat = pattern in ("offbeat", "rolling")
    tick = begin
    while tick < end:
        place = (tick % plan.bar_ticks) // STEP
        mark = row[place]
        if tick == begin and not offbeat and mark != "T":
            mark = "R"
        if mark not in "-.":
            length = 1
            while place + length < len(row) and row[place + length] == "-" and tick + length * STEP < end:
                length += 1
            level = 4.0 if mark == "R" and place == 0 else 0.0 if place % 4 == 0 else -3.0
            if mark == "a":
                pitch = _approach(rng, root, following, plan, 0.3) if following is not None else root
            elif mark == "T":
                pitch = register.near(plan.tonic, register.low)
            else:
                pitch = _degree(mark, chord, root, register)
            out.append(Event(tick, min(length * STEP, end - tick), pitch, level))
        tick += STEP
    target = root if following is None else following
    leads = target % 12 != root % 12 and rng.random() < _LEADING.get(pattern, 0.0)
    if leads and len(out) > 1 and out[-1].tick >= end - 2 * TICKS_PER_BEAT:
        last = out[-1]
        if last.ticks > TICKS_PER_BEAT:
            out[-1] = last._replace(ticks=end - TICKS_PER_BEAT - last.tick)
            last = Event(end - TICKS_PER_BEAT, TICKS_PER_BEAT, root, -2.0)
            out.append(last)
        out[-1] = last._replace(pitch=_approach(rng, out[-2].pitch, target, plan, 0.3))
    return out
