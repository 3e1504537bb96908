"""Chords and pads: patterns over led voices, which rest, push and come to a stop with the phrases."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.patterns import COMP
from melfusion_core.data.sections.plan import Event, Plan
from melfusion_core.score.instruments import Instrument, fit_register
from melfusion_core.score.score import TICKS_PER_BEAT

Steps = list[tuple[float, float, str, int]]
"""Start and length in beats, which voices, and MIDI velocity against the level."""

MORE_COMP: dict[str, tuple[int, Steps]] = {
    "hymn3": (3, [(0, 1, "all", 4), (1, 1, "all", 0), (2, 1, "all", 0)]),
    "eighths3": (3, [(i / 2, 0.45, "all", 4 if i == 0 else -2) for i in range(6)]),
    "alberti3": (3, [(i / 2, 0.5, v, 3 if i == 0 else 0) for i, v in enumerate("021212")]),
    "rolling3": (3, [(i / 4, 0.4, v, 4 if i % 4 == 0 else 0) for i, v in enumerate("012321012321")]),
    "offbeat3": (3, [(0.5, 0.3, "all", 0), (1.5, 0.3, "all", 0), (2.5, 0.3, "all", 0)]),
    "jazz waltz": (3, [(0, 0.9, "all", 4), (1.5, 0.6, "all", 0)]),
    "ostinato3": (3, [(i / 4, 0.2, v, 4 if i % 4 == 0 else -2) for i, v in enumerate("001200120012")]),
    "power3": (3, [(0, 2.8, "power", 4)]),
    "tresillo": (4, [(0, 0.7, "all", 6), (1.5, 0.7, "all", 0), (3, 0.7, "all", 0)]),
    "pop eighths": (4, [(i / 2, 0.5, "all" if i % 2 == 0 else "top", 5 if i in (0, 4) else -4) for i in range(8)]),
    "broken tens": (4, [(0, 1.9, "0", 5), (0.5, 1.4, "2", -2), (1, 0.9, "3", 0), (1.5, 0.5, "2", -4), (2, 1.9, "1", 2),
                        (2.5, 1.4, "2", -3), (3, 0.9, "4", 0), (3.5, 0.5, "3", -4)]),
    "block and rise": (4, [(0, 1.4, "all", 5), (1.5, 0.5, "top", -3), (2, 0.9, "all", 0), (3, 0.5, "1", -3),
                           (3.5, 0.5, "2", -2)]),
    "montuno": (4, [(0, 0.4, "all", 5), (0.5, 0.4, "2", -2), (1.5, 0.4, "all", 2), (2.5, 0.4, "all", 2),
                    (3, 0.4, "1", -3), (3.5, 0.4, "all", 2)]),
    "triplet arp": (4, [(i / 3, 0.5, v, 4 if i % 3 == 0 else 0) for i, v in enumerate("012321012321")]),
    "slow hits": (4, [(0, 3.0, "all", 4)]), "push": (4, [(0, 1.4, "all", 4), (3.5, 0.5, "all", 2)]),
}  # fmt: skip
"""Accompaniment patterns besides those of `patterns.COMP`."""

EVERY_COMP = {**COMP, **MORE_COMP}
"""All accompaniment patterns by name."""

QUIETLY = "quietly"
"""Key of the pattern for bars of low energy."""

STILL = ("sustain", "block", "slow hits", "waltz block", "ring")
"""Patterns that hold their chords: nothing to add where a pad plays."""

_PUSHED = frozenset({"bossa", "samba", "comping", "charleston", "stabs", "house stabs", "scratch", "push", "tresillo",
                     "montuno", "gate"})  # fmt: skip
"""Patterns whose last off-beat already plays the chord of the next bar."""


def comp_density(pattern: str) -> float:
    """Onsets per beat of an accompaniment pattern.

    Args:
        pattern: a key of `EVERY_COMP`, or "sustain".
    """
    if pattern == "sustain":
        return 0.25
    beats, steps = EVERY_COMP[pattern]
    return len({start for start, *_ in steps}) / beats


def fits(pattern: str, beats: int) -> bool:
    """Whether a pattern has a metre.

    Args:
        pattern: a key of `EVERY_COMP`, or "sustain".
        beats: beats of a bar.
    """
    return pattern == "sustain" or EVERY_COMP[pattern][0] == beats


def _voices(which: str, voicing: list[int], plan: Plan, index: int, player: Instrument) -> list[int]:
    """The pitches that a step strikes."""
    if which == "all":
        return voicing
    if which == "top":
        return voicing[-2:]
    if which == "bass":
        return [fit_register(plan.slots[index].chord.bass + 36, player)]
    if which == "power":
        root = fit_register(plan.slots[index].chord.root + 36, player)
        return [root, root + 7, root + 12]
    wide = [*voicing[:3], voicing[0] + 12, voicing[1] + 12]
    return [wide[int(which)]]


def _held(plan: Plan, index: int, voicing: list[int], begin: int, end: int) -> list[Event]:
    """A chord held over its slot."""
    return [Event(begin, end - begin, pitch) for pitch in voicing]


def _span(plan: Plan, index: int) -> tuple[int, int]:
    slot = plan.slots[index]
    return round(slot.start * TICKS_PER_BEAT), round((slot.start + slot.length) * TICKS_PER_BEAT)


def _variant(rng: np.random.Generator, steps: Steps) -> Steps:
    """The pattern a little changed: a broken chord in another order, a chord more or less."""
    broken = [i for i, step in enumerate(steps) if step[2].isdigit()]
    if len(broken) > 2:
        inner = broken[1:]
        order = [steps[i][2] for i in inner]
        order = order[::-1] if rng.random() < 0.5 else order[1:] + order[:1]
        out = list(steps)
        for i, which in zip(inner, order, strict=True):
            out[i] = (*steps[i][:2], which, steps[i][3])
        return out
    if len(steps) > 2 and rng.random() < 0.6:
        gone = int(rng.integers(1, len(steps)))
        return [step for i, step in enumerate(steps) if i != gone]
    last = steps[-1]
    return [*steps, (last[0] + 0.5, 0.4, last[2], -4)] if last[1] >= 0.9 and len(steps) > 1 else list(steps)


def comp(
    rng: np.random.Generator, plan: Plan, patterns: dict[str, str], voicings: list[list[int]], player: Instrument
) -> list[Event]:
    """The chords of a section, in straight time.

    Args:
        rng: source of randomness.
        plan: what was decided.
        patterns: a pattern for each letter of the form, and one for quiet bars where there is one.
        voicings: MIDI pitches of each slot.
        player: who plays.
    """
    events: list[Event] = []
    home = plan.ticks - plan.bar_ticks if plan.closing else plan.ticks
    variants = {name: _variant(rng, EVERY_COMP[name][1]) for name in dict.fromkeys(patterns.values())
                if name != "sustain"}  # fmt: skip
    every = int(rng.choice([2, 4, 4, 99]))  # how often a bar is varied
    for bar in range(plan.bars):
        phrase = plan.phrase_of(bar)
        pattern = patterns.get(QUIETLY, patterns["a"]) if plan.is_quiet(bar) else patterns[phrase.label]
        first = bar * plan.bar_ticks
        if first >= home:
            index = plan.slot_index(first)
            which = _voices("power", voicings[index], plan, index, player) if is_power(pattern) else voicings[index]
            events += [Event(first, plan.final_ticks, pitch, 0.0) for pitch in which]
        elif pattern == "sustain":
            for index, voicing in enumerate(voicings):
                begin, end = _span(plan, index)
                begin, end = max(begin, first), min(end, first + plan.bar_ticks)
                if begin < end:
                    events += _held(plan, index, voicing, begin, end)
        else:
            varied = (bar - phrase.start) % every == every - 1
            steps = variants[pattern] if varied else EVERY_COMP[pattern][1]
            events += _patterned(plan, pattern, steps, voicings, first, home, player)
    return _tied(events) if "sustain" in patterns.values() else events


def is_power(pattern: str) -> bool:
    """Whether a pattern plays power chords.

    Args:
        pattern: a key of `EVERY_COMP`, or "sustain".
    """
    return pattern != "sustain" and any(step[2] == "power" for step in EVERY_COMP[pattern][1])


def _patterned(plan: Plan, pattern: str, steps: Steps, voicings: list[list[int]], first: int, home: int,
               player: Instrument) -> list[Event]:  # fmt: skip
    """One bar of a pattern."""
    out = []
    for start, length, which, accent in steps:
        tick = first + round(start * TICKS_PER_BEAT)
        index = plan.slot_index(tick)
        end = _span(plan, index)[1]
        pushed = pattern in _PUSHED and tick % TICKS_PER_BEAT and end - tick <= 6 and end < home
        if pushed and index + 1 < len(voicings):
            index, end = index + 1, min(_span(plan, index + 1)[1], tick + 18)
        ticks = max(min(round(length * TICKS_PER_BEAT), end - tick), 1)
        pitches = sorted(set(_voices(which, voicings[index], plan, index, player)))
        out += [Event(tick, ticks, pitch, float(accent)) for pitch in pitches]
    return out


def _tied(events: list[Event]) -> list[Event]:
    """Held notes that stay from chord to chord are not struck again."""
    out: list[Event] = []
    last: dict[int, int] = {}
    for event in sorted(events):
        before = last.get(event.pitch)
        if before is not None and out[before].tick + out[before].ticks == event.tick and out[before].ticks < 96:
            out[before] = out[before]._replace(ticks=out[before].ticks + event.ticks)
            continue
        last[event.pitch] = len(out)
        out.append(event)
    return out


def pad(plan: Plan, voicings: list[list[int]]) -> list[Event]:
    """Held chords whose common tones stay.

    Args:
        plan: what was decided.
        voicings: MIDI pitches of each slot.
    """
    events = []
    for index, voicing in enumerate(voicings):
        begin, end = _span(plan, index)
        events += _held(plan, index, voicing, begin, end)
    return _tied(events)


def octaves_in_range(events: list[Event], player: Instrument) -> list[Event]:
    """Notes moved by octaves into an instrument's range, none twice.

    Args:
        events: the notes.
        player: who plays.
    """
    seen: dict[tuple[int, int], Event] = {}
    for event in events:
        pitch = fit_register(event.pitch, player)
        key = (event.tick, pitch)
        if key not in seen or seen[key].ticks < event.ticks:
            seen[key] = event._replace(pitch=pitch)
    return list(seen.values())


def choose_comp(rng: np.random.Generator, names: list[str], target: float) -> str:
    """A pattern whose onsets per beat are near the target.

    Args:
        rng: source of randomness.
        names: what there is to choose from.
        target: onsets per beat.
    """
    gaps = np.array([abs(np.log((comp_density(name) + 0.15) / (target + 0.15))) for name in names])
    weights = np.exp(-1.5 * gaps)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]
