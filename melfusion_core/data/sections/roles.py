"""The parts of a window of a score in the roles of a section: the tune and the bass are kept, the rest is gathered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.data.parts import longest_pause, skyline, thinned, tunefulness
from melfusion_core.score.score import Note

FIGURED = 1.6
"""Onsets a beat above which a low part that leaps is an accompaniment, not a bass line."""

INNER_VOICES = 5
"""Most notes that the chords of a section start together."""

_HANDOVER = 2.2
"""What it costs the tune to go from one part to another, against its bar by bar scores."""


@dataclass
class Parts:
    """Notes of a window by role, on the grid; None where nobody has the role.

    Args:
        lead: the tune, one voice.
        counter: a second voice.
        chords: everything between.
        pad: held harmony.
        bass: the lowest line.
        drums: percussion.
    """

    lead: list[Note]
    counter: list[Note] | None = None
    chords: list[Note] | None = None
    pad: list[Note] | None = None
    bass: list[Note] | None = None
    drums: list[Note] | None = None


def _onsets(part: list[Note]) -> int:
    return len({note.start for note in part})


def _single(part: list[Note]) -> bool:
    """Whether a part is one voice, nearly always."""
    return _onsets(part) >= 0.9 * len(part)


def _is_line(part: list[Note], beats: int) -> bool:
    """Whether a low part moves like a bass and not like a broken chord."""
    line = skyline(part, lowest=True)
    if len(line) / beats <= FIGURED:
        return True
    steps = np.abs(np.diff([note.pitch for note in line]))
    return float(np.mean((steps <= 2) | (steps == 12))) > 0.6


def _without(part: list[Note], line: list[Note]) -> list[Note]:
    """What is left of a part when a line is taken out."""
    taken = {(note.start, note.pitch) for note in line}
    return [note for note in part if (note.start, note.pitch) not in taken]


def _mean(part: list[Note]) -> float:
    return float(np.mean([note.pitch for note in part]))


def _hold(part: list[Note]) -> float:
    return float(np.mean([note.duration for note in part]))


def _by_bar(part: list[Note], bars: int, size: int) -> list[list[Note]]:
    rows: list[list[Note]] = [[] for _ in range(bars)]
    for note in part:
        rows[int(note.start // size)].append(note)
    return rows


def _bar_score(notes: list[Note], size: int) -> float:
    """How much one bar of a part looks like the tune."""
    if not notes:
        return -1.5
    places = _onsets(notes)
    covered = min(sum(note.duration for note in notes) / size, 1.0)
    variety = min(len({note.pitch for note in notes}) / 3, 1.0)
    return (
        0.055 * (_mean(notes) - 60) + 0.8 * places / len(notes) + min(places / 3, 1.0) + 0.8 * covered + 0.5 * variety
    )


def _tune(parts: list[list[Note]], bars: int, size: int) -> tuple[list[Note], list[list[Note]]]:
    """The tune, handed from part to part where another one has it, and what is left of the parts."""
    rows = [_by_bar(part, bars, size) for part in parts]
    pause = 0.6 * bars * size
    own = np.array(
        [0.5 * tunefulness(part, bars * size) - (longest_pause(part, bars * size) > pause) for part in parts]
    )
    own[0] += 0.15  # scores are written with the tune on top
    scores = np.array([[_bar_score(bar, size) for bar in row] for row in rows]) + own[:, None]
    best, back = scores[:, 0], []
    for bar in range(1, bars):
        other = int(best.argmax())
        stay = best >= best[other] - _HANDOVER
        back.append(np.where(stay, np.arange(len(parts)), other))
        best = np.where(stay, best, best[other] - _HANDOVER) + scores[:, bar]
    path = [int(best.argmax())]
    for arrows in reversed(back):
        path.append(int(arrows[path[-1]]))
    path.reverse()
    lead = skyline([note for bar, part in enumerate(path) for note in rows[part][bar]])
    rest = []
    for number, part in enumerate(parts):
        mine = [note for note in lead if path[int(note.start // size)] == number]
        rest.append(_without(part, mine))
    return lead, rest


def share_roles(cut: list[list[Note]], drums: list[Note], bars: int, size: int) -> Parts | None:
    """Give the parts of a window to the roles of a section; None where there is no tune.

    The tune may go from part to part, the lowest line is the bass; of the rest, a second voice is the counter, the
    most sustained part the pad, and everything else goes together into the chords.

    Args:
        cut: notes of every part on the grid.
        drums: percussion on the grid.
        bars: length of the window in bars.
        size: beats of a bar.
    """
    beats = bars * size
    usable = [part for part in cut if len(part) >= 3]
    below = [note for part in cut if len(part) < 3 for note in part]
    if not usable:
        return None
    lead, left = _tune(usable, bars, size)
    whole = [len(rest) >= 0.5 * len(part) for part, rest in zip(usable, left, strict=True)]
    below += [note for rest, full in zip(left, whole, strict=True) if not full or len(rest) < 3 for note in rest]
    rest = sorted((part for part, full in zip(left, whole, strict=True) if full and len(part) >= 3), key=_mean)
    parts = Parts(lead, drums=drums or None)
    if rest and _mean(rest[0]) < min(57.0, _mean(lead) - 5) and _is_line(rest[0], beats):
        parts.bass = skyline(rest[0], lowest=True)
        below += _without(rest[0], parts.bass)
        rest = rest[1:]
        for other in rest:  # where the lowest part rests, the next one has the bass
            if _mean(other) < 55 and _is_line(other, beats):
                silent = set(range(bars)) - {int(note.start // size) for note in parts.bass}
                parts.bass += skyline([note for note in other if int(note.start // size) in silent], lowest=True)
        rest = [_without(part, parts.bass) for part in rest]
        rest = [part for part in rest if part]
        parts.bass.sort(key=lambda note: note.start)
    elif not rest and below:  # a keyboard or a guitar on one staff: its lowest notes are the bass
        low = skyline([note for note in below if note.pitch < 57], lowest=True)
        if len(low) >= 4 and _is_line(low, beats):
            parts.bass, below = low, _without(below, low)
    voices = [part for part in rest if _single(part) and len(part) >= max(0.3 * len(lead), 3)]
    voices = [part for part in voices if not _doubles(part, lead)]
    if voices and (len(rest) > 1 or parts.bass is not None or _mean(voices[0]) > 57):
        second = max(voices, key=lambda part: tunefulness(part, beats))
        parts.counter = skyline(second)
        rest = [part for part in rest if part is not second]
    if len(rest) > 1:
        held = max(rest, key=_hold)
        if _hold(held) >= 1.75:
            parts.pad = thinned(held, INNER_VOICES)
            rest = [part for part in rest if part is not held]
    inner = [*below, *(note for part in rest for note in part)]
    inner = _undoubled(inner, [*lead, *(parts.bass or []), *(parts.counter or [])])
    if inner:
        parts.chords = thinned(inner, INNER_VOICES)
    return parts


def _doubles(part: list[Note], lead: list[Note]) -> bool:
    """Whether a part mostly plays the tune itself, perhaps in another octave."""
    tune = {(note.start, note.pitch % 12) for note in lead}
    return sum((note.start, note.pitch % 12) in tune for note in part) > 0.6 * len(part)


def _undoubled(notes: list[Note], taken: list[Note]) -> list[Note]:
    """One note where several parts play the same one, the longest, and none that tune or bass have already."""
    there = {(note.start, note.pitch) for note in taken}
    kept: dict[tuple[float, int], Note] = {}
    for note in notes:
        key = (note.start, note.pitch)
        if key in there:
            continue
        if key not in kept or kept[key].duration < note.duration:
            kept[key] = note
    return list(kept.values())
