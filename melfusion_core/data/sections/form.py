"""The form of a section: phrases, how they end, and how its energy moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Phrase:
    """Some bars that belong together.

    Args:
        start: first bar.
        bars: how many.
        label: phrases with the same letter share their material.
        ending: "close" (comes home), "half" (stops on the dominant) or "open" (leads on).
        turn: how often the label came before.
    """

    start: int
    bars: int
    label: str
    ending: str
    turn: int = 0


_LABELS = {
    "song": {
        1: (("a", 1.0),), 2: (("aa", 0.75), ("ab", 0.25)), 3: (("aab", 0.45), ("aba", 0.4), ("abb", 0.15)),
        4: (("aaba", 0.55), ("abab", 0.15), ("abac", 0.15), ("aabb", 0.15)),
    },
    "riff": {
        1: (("a", 1.0),), 2: (("aa", 0.85), ("ab", 0.15)), 3: (("aab", 0.5), ("aaa", 0.3), ("aba", 0.2)),
        4: (("aaba", 0.4), ("aaaa", 0.2), ("abab", 0.25), ("aabb", 0.15)),
    },
}  # fmt: skip
"""Letters of the phrases by their number, with weights."""

SHAPES: dict[str, tuple[float, ...]] = {
    "even": (0.0, 0.0), "swell": (-0.5, 0.6), "fade": (0.4, -0.6), "arch": (-0.5, 0.7, -0.3),
    "build": (-1.0, -0.3, 0.9), "drop": (0.3, -1.0, 0.8), "wave": (-0.3, 0.5, -0.3, 0.6),
}  # fmt: skip
"""How energy moves over a section: corner points at equal distances, -1 to 1."""

_SHAPE_WEIGHTS = (0.3, 0.2, 0.08, 0.14, 0.12, 0.08, 0.08)


def phrase_lengths(rng: np.random.Generator, bars: int) -> list[int]:
    """Bars of each phrase: fours, and what is left over at the end.

    Args:
        rng: source of randomness.
        bars: bars of the section, at least 1.
    """
    if bars <= 5:
        return [bars]
    fours, rest = divmod(bars, 4)
    if rest == 0:
        return [4] * fours
    if rest == 1:
        return [4] * (fours - 1) + [5]
    if rest == 2 and rng.random() < 0.4:
        return [4] * (fours - 1) + [3, 3] if fours == 1 else [4] * (fours - 1) + [6]
    return [4] * fours + [rest]


def draw_form(rng: np.random.Generator, bars: int, form: str, closing: bool) -> list[Phrase]:
    """Draw the phrases of a section.

    Args:
        rng: source of randomness.
        bars: bars of the section.
        form: "song" (periods) or "riff" (loops).
        closing: whether the last phrase comes home.
    """
    lengths = phrase_lengths(rng, bars)
    options = _LABELS[form][len(lengths)]
    weights = np.array([weight for _, weight in options])
    labels = options[int(rng.choice(len(options), p=weights / weights.sum()))][0]
    phrases, start = [], 0
    for index, (length, label) in enumerate(zip(lengths, labels, strict=True)):
        last = index == len(lengths) - 1
        turn = labels[:index].count(label)
        if last:
            ending = "close" if closing else "open"
        elif turn and labels[index + 1] != label:  # the second time round a phrase answers the first
            ending = "close"
        else:
            ending = "half"
        phrases.append(Phrase(start, length, label, ending, turn))
        start += length
    return phrases


def draw_energy(rng: np.random.Generator, bars: int) -> tuple[str, np.ndarray]:
    """Draw how the energy moves.

    Args:
        rng: source of randomness.
        bars: bars of the section.

    Returns:
        Name of the shape, and (bars,) energy from -1 to 1.
    """
    names = list(SHAPES)
    name = names[int(rng.choice(len(names), p=np.array(_SHAPE_WEIGHTS)))]
    corners = SHAPES[name]
    places = np.linspace(0, 1, len(corners))
    return name, np.interp((np.arange(bars) + 0.5) / bars, places, corners)


def _entering(bars: int, first: int) -> frozenset[int]:
    """The bars before an entry."""
    return frozenset(range(min(first, bars)))


def draw_rests(
    rng: np.random.Generator, phrases: list[Phrase], shape: str, looping: bool
) -> dict[str, frozenset[int]]:
    """Draw which parts rest in which bars: layers enter as a section builds, fall out in a drop, thin out as it fades.

    Args:
        rng: source of randomness.
        phrases: the form.
        shape: name of the energy's shape.
        looping: whether the style builds by layers, so that even the tune may come in late.

    Returns:
        Bars in which a role is silent, for the roles that rest at all.
    """
    bars = phrases[-1].start + phrases[-1].bars
    if bars < 6:
        return {}
    second = phrases[1].start if len(phrases) > 1 else bars // 2
    rests: dict[str, frozenset[int]] = {}
    if shape == "build":
        rests["drums"] = _entering(bars, 2 if rng.random() < 0.4 else second)
        if rng.random() < 0.5:
            rests["bass"] = _entering(bars, min(second, 4))
        if rng.random() < 0.5:
            rests["counter"] = _entering(bars, second)
        if rng.random() < 0.4:
            rests["pad"] = _entering(bars, second)
    elif shape == "drop" and len(phrases) > 1:
        out = phrases[len(phrases) // 2]
        out = out if out is not phrases[-1] or len(phrases) < 3 else phrases[-2]
        quiet = frozenset(range(out.start, min(out.start + 2 if out is phrases[-1] else out.start + out.bars, bars)))
        rests["drums"] = quiet
        if rng.random() < 0.6:
            rests["bass"] = quiet
    elif shape == "fade" and rng.random() < 0.5:
        rests["drums"] = frozenset((bars - 2,))
    elif rng.random() < 0.35:
        role = str(rng.choice(["counter", "pad", "drums"], p=[0.5, 0.35, 0.15]))
        rests[role] = _entering(bars, second if role != "drums" else 2)
    if looping and len(phrases) > 1 and rng.random() < 0.22:
        rests["lead"] = _entering(bars, second if rng.random() < 0.5 else 2)
    return rests
