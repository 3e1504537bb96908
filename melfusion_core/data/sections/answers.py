"""A second voice: answers in the tune's rests, thirds and sixths under it, or a slow line through the chords."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.harmony import chord_scale
from melfusion_core.data.sections.plan import Event, Plan
from melfusion_core.score.score import TICKS_PER_BEAT

KINDS = ("answer", "thirds", "line")
"""What a counter voice may do."""


def _scale_at(plan: Plan, tick: int) -> list[int]:
    chord = plan.slots[plan.slot_index(tick)].chord
    return [(plan.tonic + step) % 12 for step in chord_scale(chord, plan.tonic, plan.scale)]


def _thirds(plan: Plan, lead: list[Event], low: int, high: int) -> list[Event]:
    """A third or a sixth below the tune, whichever is in the chord."""
    out = []
    for event in lead:
        scale = _scale_at(plan, event.tick)
        tones = plan.slots[plan.slot_index(event.tick)].chord.tones
        rows = [p for p in range(event.pitch - 9, event.pitch - 2) if p % 12 in scale and low <= p <= high]
        if not rows:
            continue
        held = event.tick % TICKS_PER_BEAT == 0 or event.ticks >= TICKS_PER_BEAT
        before = out[-1].pitch if out else event.pitch - 4

        def cost(pitch: int, top: int = event.pitch, before: int = before, held: bool = held, tones=tones) -> float:
            gap = top - pitch
            wrong = 3.0 if held and pitch % 12 not in tones else 0.0
            return wrong + {3: 0.0, 4: 0.0, 8: 0.6, 9: 0.6, 5: 2.0, 6: 3.0, 7: 2.5}[gap] + 0.15 * abs(pitch - before)

        out.append(Event(event.tick, event.ticks, min(rows, key=cost), event.accent - 2))
    return out


def _line(plan: Plan, start: int, low: int, high: int) -> list[Event]:
    """Long notes that move by step through the chords; one that stays is held."""
    out: list[Event] = []
    pitch = start
    for slot in plan.slots:
        rows = [p for p in range(low, high + 1) if p % 12 in slot.chord.tones]
        pitch = min(rows, key=lambda p: (abs(p - pitch) + 0.15 * abs(p - start), p))  # noqa: B023
        begin, end = round(slot.start * TICKS_PER_BEAT), round((slot.start + slot.length) * TICKS_PER_BEAT)
        if out and out[-1].pitch == pitch and out[-1].ticks < 72:
            out[-1] = out[-1]._replace(ticks=out[-1].ticks + end - begin)
        else:
            out.append(Event(begin, end - begin, pitch))
    return out


def _gaps(plan: Plan, lead: list[Event]) -> list[tuple[int, int]]:
    """Where the tune rests or holds: from a beat after its note on, to its next one."""
    ends = [*(event.tick for event in lead[1:]), plan.ticks]
    found = []
    for event, end in zip(lead, ends, strict=True):
        begin = min(event.tick + max(TICKS_PER_BEAT, min(event.ticks, 2 * TICKS_PER_BEAT)), event.tick + 24)
        begin = -(-begin // 6) * 6
        if end - begin >= 2 * TICKS_PER_BEAT:
            found.append((begin, end))
    if lead[0].tick >= 2 * TICKS_PER_BEAT:
        found.insert(0, (0, lead[0].tick))
    return found


def _answers(rng: np.random.Generator, plan: Plan, lead: list[Event], low: int, high: int, centre: int) -> list[Event]:
    """Short figures in the rests of the tune, ending on a chord tone before it comes back."""
    out: list[Event] = []
    unit = 6 if plan.arousal > 0.25 else 12
    steps = [int(rng.choice([-1, 1])) for _ in range(8)]
    home = plan.ticks - plan.bar_ticks if plan.closing else plan.ticks
    for begin, end in _gaps(plan, lead):
        count = int(min((end - begin) // unit, 5))
        if count < 2 or begin >= home:
            continue
        first = end - count * unit if rng.random() < 0.4 else begin
        notes: list[Event] = []
        tones = plan.slots[plan.slot_index(first)].chord.tones
        rows = [p for p in range(low, high + 1) if p % 12 in tones]
        pitch = min(rows, key=lambda p: abs(p - centre))
        for index in range(count):
            tick = first + index * unit
            notes.append(Event(tick, unit, pitch, -2.0))
            last = index == count - 2
            wanted = plan.slots[plan.slot_index(tick + unit)].chord.tones if last else _scale_at(plan, tick + unit)
            side = steps[index % len(steps)]
            move = [p for p in range(low, high + 1) if p % 12 in wanted and (p - pitch) * side > 0]
            move = move or [p for p in range(low, high + 1) if p % 12 in wanted]
            pitch = min(move, key=lambda p: abs(p - pitch))  # noqa: B023
        notes[-1] = notes[-1]._replace(ticks=min(unit * 2, max(end - notes[-1].tick, unit)))
        out += notes
    return out


def counter(rng: np.random.Generator, plan: Plan, kind: str, lead: list[Event], low: int, high: int) -> list[Event]:
    """A second voice, in straight time.

    Args:
        rng: source of randomness.
        plan: what was decided.
        kind: one of `KINDS`.
        lead: the tune, in order.
        low: lowest MIDI pitch.
        high: highest MIDI pitch.
    """
    mean = float(np.mean([event.pitch for event in lead]))
    centre = int(np.clip(mean - 8, low + 4, high - 4))
    if kind == "thirds":
        return _thirds(plan, lead, low, high)
    low, high = max(low, centre - 9), min(high, centre + 9)
    line = _line(plan, centre, low, high)
    if kind == "line":
        return line
    answers = _answers(rng, plan, lead, low, high, centre)
    return answers if len(answers) >= 3 else line
