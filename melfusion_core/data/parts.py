"""The parts of a score: which one is the tune, its outline, and how many notes one player takes."""

from __future__ import annotations

import numpy as np

from melfusion_core.score.score import Note

VOICES = 4
"""Most notes one part may start together."""


def skyline(notes: list[Note], lowest: bool = False) -> list[Note]:
    """The highest (or lowest) of the notes that start together, each shortened to where the next one starts.

    Args:
        notes: notes of a part, times in beats.
        lowest: keep the lowest notes instead of the highest.
    """
    if not notes:
        return []
    kept: dict[int, Note] = {}
    for note in sorted(notes, key=lambda n: n.pitch, reverse=lowest):
        kept[round(note.start * 12)] = note
    line = [kept[place] for place in sorted(kept)]
    ends = [*(n.start for n in line[1:]), np.inf]
    return [
        Note(n.start, max(min(n.duration, end - n.start), 0.05), n.pitch, n.velocity)
        for n, end in zip(line, ends, strict=True)
    ]


def thinned(notes: list[Note], voices: int = VOICES) -> list[Note]:
    """At most some notes that start together: the lowest and the highest ones stay.

    Args:
        notes: notes of a part, times in beats.
        voices: how many may start together, at least 2.
    """
    groups: dict[int, list[Note]] = {}
    for note in notes:
        groups.setdefault(round(note.start * 12), []).append(note)
    out = []
    for place in sorted(groups):
        group = sorted(groups[place], key=lambda n: n.pitch)
        out += group if len(group) <= voices else [group[0], *group[-(voices - 1) :]]
    return out


def tunefulness(part: list[Note], span: float) -> float:
    """How much a part looks like the melody: high, one voice, moving, and there most of the time.

    Args:
        part: notes of a part, times in beats.
        span: length of the passage in beats.
    """
    places = {round(n.start * 12) for n in part}
    covered = min(sum(n.duration for n in part) / span, 1.0)
    variety = min(len({n.pitch for n in part}) / 6, 1.0)
    mean = float(np.mean([n.pitch for n in part]))
    return 0.07 * mean + len(places) / len(part) + variety + 1.5 * covered + min(len(places) / 10, 1.0)


def longest_pause(part: list[Note], span: float) -> float:
    """Longest time in beats without an onset.

    Args:
        part: notes of a part, times in beats.
        span: length of the passage in beats.
    """
    return float(max(np.diff([0.0, *sorted(n.start for n in part), span])))
