"""Drums of a section: patterns of the style or human performances on the grid, fills, crashes and endings."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.drums import DRUMS, KIT, QUIET
from melfusion_core.data.grooves import Grooves
from melfusion_core.data.sections.plan import Event, Plan
from melfusion_core.score.score import TICKS_PER_BEAT, Note

STEP = TICKS_PER_BEAT // 4
_LEVEL = {"X": 8.0, "x": 0.0, "o": -18.0}

FILLS: dict[int, tuple[tuple[tuple[str, str], ...], ...]] = {
    4: (
        (("snare", "............xxXX"),),
        (("high tom", "............xx.."), ("floor", "..............xX")),
        (("snare", "........x.xx...."), ("mid tom", "............xx.."), ("floor", "..............XX")),
        (("snare", "..........x.x.X."),),
        (("high tom", "........xx......"), ("mid tom", "..........xx...."), ("floor", "............xxXX")),
        (("snare", "............X.XX"), ("kick", ".............x..")),
        (("snare", "........xoxoXoXX"),),
        (("snare", "..............XX"), ("open", "............x...")),
        (("mid tom", "............X..x"), ("floor", "..............X.")),
    ),
    3: (
        (("snare", "........xxXX"),),
        (("mid tom", "........xx.."), ("floor", "..........xX")),
        (("snare", "....x.xxX.X."),),
    ),
}
"""Fills by the beats of a bar, as step grids; the pattern stops where one begins."""

_SOFT_FILLS: dict[int, tuple[tuple[tuple[str, str], ...], ...]] = {
    4: ((("tamb", "............x.xx"),), (("shaker", "............XxXX"),), (("floor", "............x.xx"),)),
    3: ((("tamb", "........x.xx"),), (("floor", "........x.xx"),)),
}
_BUILD = (("snare", "x...x...x.x.xxxx"),)
_STRAIGHT, _TRIPLET = (0, 3, 6, 9, 12), (0, 4, 8, 12)


def _hits(rows: tuple, first: int, level: float = 0.0, begin: int = 0) -> list[Event]:
    """Hits of a step grid from a step on."""
    return [Event(first + step * STEP, STEP, KIT[row[0]], _LEVEL[mark] + (row[2] if len(row) > 2 else level))
            for row in rows for step, mark in enumerate(row[1]) if mark != "." and step >= begin]  # fmt: skip


def _varied(rng: np.random.Generator, rows: tuple) -> tuple:
    """The pattern with another kick, an open hat or a ghost note."""
    out = []
    for drum, steps, offset in rows:
        marks = list(steps)
        if drum == "kick" and rng.random() < 0.6:
            place = int(rng.choice([i for i in range(len(marks)) if i % 2 == 0 and i % 4]))
            marks[place] = "." if marks[place] != "." else "x"
        elif drum == "snare" and rng.random() < 0.35:
            place = int(rng.integers(len(marks)))
            marks[place] = "o" if marks[place] == "." else marks[place]
        elif drum == "hat" and marks[-2] != "." and rng.random() < 0.4:
            marks[-2] = "."
            out.append(("open", "." * (len(marks) - 2) + "x.", offset + 2))
        out.append((drum, "".join(marks), offset))
    return tuple(out)


def _thinner(rows: tuple) -> tuple:
    """What plays while the energy is low: no kick, or hats alone."""
    kept = tuple(row for row in rows if row[0] not in ("kick", "snare", "clap", "floor"))
    return kept or rows[:1]


def drum_part(rng: np.random.Generator, plan: Plan, pattern: str) -> list[Event]:
    """A drum part from a pattern, in straight time.

    Args:
        rng: source of randomness.
        plan: what was decided.
        pattern: a key of `DRUMS` in the plan's metre.

    Raises:
        ValueError: the pattern has another metre.
    """
    rows = DRUMS[pattern]
    if len(rows[0][1]) != plan.beats * 4:
        raise ValueError(f"drum pattern {pattern!r} does not have {plan.beats} beats")
    other = _varied(rng, rows)
    quiet = pattern in QUIET
    events: list[Event] = []
    for bar in range(plan.bars):
        first = bar * plan.bar_ticks
        phrase = plan.phrase_of(bar)
        inside = bar - phrase.start
        ends = inside == phrase.bars - 1
        if plan.closing and bar == plan.bars - 1:
            events += _ending(first, rows, quiet)
            continue
        fill = None
        if ends and rng.random() < (0.85 if not quiet else 0.3):
            table = (_SOFT_FILLS if quiet else FILLS)[plan.beats]
            fill = table[int(rng.integers(len(table)))]
            if plan.shape in ("build", "drop") and plan.beats == 4 and not quiet and rng.random() < 0.4:
                fill = _BUILD
        begin = min(row[1].index(next(c for c in row[1] if c != ".")) for row in fill) if fill else 99
        own = other if inside % 4 in (1, 3) else rows
        if plan.is_quiet(bar) and plan.shape in ("build", "drop"):
            own = _thinner(own)
        events += [e for e in _hits(own, first) if (e.tick - first) // STEP < begin or e.pitch == KIT["kick"]]
        if fill:
            events += [e._replace(accent=e.accent + 0.6 * ((e.tick - first) // STEP - begin)) for e in
                       _hits(fill, first)]  # fmt: skip
        if inside == 0 and bar and not quiet and not plan.is_quiet(bar):
            events.append(Event(first, STEP, KIT["crash"], -4.0))
    return events


def _ending(first: int, rows: tuple, quiet: bool) -> list[Event]:
    """The last bar: one hit together on the downbeat."""
    on_one = [e for e in _hits(rows, first) if e.tick == first]
    if quiet:
        return on_one
    return [Event(first, STEP, KIT["kick"], 4.0), Event(first, STEP, KIT["crash"], 2.0)]


def on_grid(notes: list[Note], swing: str) -> list[Event]:
    """Human hits drawn to sixteenths or, where most fall there, to triplets.

    Args:
        notes: hits with times in beats.
        swing: "" keeps sixteenths unless most hits are triplets; otherwise triplets.
    """
    inside = [(note.start % 1.0) * TICKS_PER_BEAT for note in notes]

    def error(grid: tuple[int, ...]) -> float:
        return float(np.mean([min(abs(place - line) for line in grid) for place in inside]))

    grid = _TRIPLET if swing == "eighths" or error(_TRIPLET) < 0.7 * error(_STRAIGHT) else _STRAIGHT
    if swing == "sixteenths":
        grid = (0, 4, 6, 10, 12)
    out = []
    for note, place in zip(notes, inside, strict=True):
        line = min(grid, key=lambda line: abs(place - line))  # noqa: B023
        tick = int(note.start) * TICKS_PER_BEAT + line
        out.append(Event(tick, STEP, note.pitch, float(note.velocity)))
    return out


def human_part(rng: np.random.Generator, plan: Plan, grooves: Grooves) -> list[Event] | None:
    """A human performance on the grid, with the ending and the crashes of the form; None where none fits.

    Args:
        rng: source of randomness.
        plan: what was decided.
        grooves: performances to choose from.
    """
    notes = grooves.draw(rng, plan.style.human_drums, plan.beats, plan.tempo, plan.bars)
    if notes is None:
        return None
    events = [event for event in on_grid(notes, plan.swing) if event.tick < plan.ticks]
    mean = float(np.mean([event.accent for event in events]))
    events = [event._replace(accent=event.accent - mean) for event in events]
    if plan.closing:
        last = plan.ticks - plan.bar_ticks
        events = [event for event in events if event.tick < last]
        events += [Event(last, STEP, KIT["kick"], 4.0), Event(last, STEP, KIT["crash"], 2.0)]
    return events
