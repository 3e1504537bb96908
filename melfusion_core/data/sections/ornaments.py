"""Ornaments of a tune, in style: graces, mordents, trills, turns and slides."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.harmony import chord_scale
from melfusion_core.data.sections.plan import Event, Plan

_LIKED: dict[str, tuple[tuple[str, float], ...]] = {
    "baroque": (("mordent", 0.2), ("trill", 0.7)), "harpsichord piece": (("mordent", 0.25), ("trill", 0.7)),
    "classical": (("turn", 0.12), ("trill", 0.35), ("grace", 0.06)), "piano piece": (("turn", 0.06), ("grace", 0.06)),
    "string ensemble": (("turn", 0.06), ("trill", 0.3)), "woodwind ensemble": (("trill", 0.4), ("grace", 0.08)),
    "orchestral music": (("trill", 0.15),), "organ piece": (("mordent", 0.1), ("trill", 0.4)),
    "art song": (("turn", 0.08),), "celtic": (("grace", 0.3), ("mordent", 0.12)), "folk": (("grace", 0.12),),
    "country": (("slide", 0.2), ("grace", 0.1)), "blues": (("slide", 0.3),), "jazz": (("slide", 0.12), ("turn", 0.06)),
    "old-time song": (("slide", 0.15), ("grace", 0.08)), "tango": (("turn", 0.1), ("mordent", 0.12)),
    "world": (("grace", 0.25),), "march": (("grace", 0.1), ("trill", 0.3)), "waltz": (("grace", 0.12), ("turn", 0.08)),
    "funk": (("slide", 0.12),), "rock": (("slide", 0.12),), "metal": (("trill", 0.12),),
    "chiptune": (("grace", 0.08),), "bossa nova": (("slide", 0.08),), "ska": (("grace", 0.06),),
    "brass ensemble": (("grace", 0.06), ("trill", 0.2)),
}  # fmt: skip
"""Ornaments by style, with the chance that a note that can carry one has it."""


def _neighbour(plan: Plan, event: Event, side: int) -> int:
    """The next note of the scale above or below."""
    chord = plan.slots[plan.slot_index(event.tick)].chord
    scale = {(plan.tonic + step) % 12 for step in chord_scale(chord, plan.tonic, plan.scale)}
    return next(event.pitch + side * step for step in (1, 2, 3, 4) if (event.pitch + side * step) % 12 in scale)


def _figure(kind: str, plan: Plan, event: Event) -> list[Event] | None:
    """The ornament in place of a note; None where the note is too short for it."""
    above, below = _neighbour(plan, event, 1), _neighbour(plan, event, -1)

    def row(pitches: list[int], ticks: int) -> list[Event]:
        out = [Event(event.tick + i * ticks, ticks, pitch, event.accent) for i, pitch in enumerate(pitches)]
        out[-1] = out[-1]._replace(ticks=event.tick + event.ticks - out[-1].tick)
        return out

    if kind == "mordent" and event.ticks >= 12:
        return row([event.pitch, above, event.pitch], 2)
    if kind == "turn" and event.ticks >= 24:
        held = event._replace(ticks=event.ticks - 12)
        tail = [Event(event.tick + event.ticks - 12 + i * 3, 3, pitch, event.accent - 3)
                for i, pitch in enumerate((above, event.pitch, below, event.pitch))]  # fmt: skip
        return [held, *tail]
    if kind == "trill" and 12 <= event.ticks <= 36:
        count = event.ticks // 2
        return row([above if i % 2 == 0 else event.pitch for i in range(count - 1 - count % 2)] + [event.pitch], 2)
    return None


def ornament(rng: np.random.Generator, plan: Plan, tune: list[Event], low: int, high: int) -> list[Event]:
    """A tune with the ornaments of its style; trills stand before a cadence, graces and slides before a beat.

    Args:
        rng: source of randomness.
        plan: what was decided.
        tune: the melody, in order and in straight time.
        low: lowest MIDI pitch of the player.
        high: highest MIDI pitch of the player.
    """
    liked = _LIKED.get(plan.style.name, ())
    if not liked:
        return tune
    ends = {(phrase.start + phrase.bars - 1) * plan.bar_ticks for phrase in plan.phrases}
    out: list[Event] = []
    for index, event in enumerate(tune):
        following = tune[index + 1] if index + 1 < len(tune) else None
        kind = next((name for name, chance in liked if rng.random() < chance), "")
        trilled = following is not None and any(end <= following.tick < end + plan.bar_ticks for end in ends)
        if not low + 4 <= event.pitch <= high - 4 or following is None or (kind == "trill" and not trilled):
            kind = ""
        if kind in ("grace", "slide") and event.tick >= 2 and event.ticks >= 6 and event.tick % 6 == 0:
            pitch = event.pitch - 1 if kind == "slide" else _neighbour(plan, event, 1)
            free = not out or out[-1].tick + 4 <= event.tick
            if free:
                if out and out[-1].tick + out[-1].ticks > event.tick - 2:
                    out[-1] = out[-1]._replace(ticks=event.tick - 2 - out[-1].tick)
                out.append(Event(event.tick - 2, 2, pitch, event.accent - 6))
            out.append(event)
            continue
        out += (_figure(kind, plan, event) if kind else None) or [event]
    return out
