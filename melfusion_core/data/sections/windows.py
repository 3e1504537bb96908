"""Windows of whole bars through a score, all of them, and the score's parts in the roles of a section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.data.parts import longest_pause, skyline, thinned, tunefulness
from melfusion_core.data.score_files import Piece
from melfusion_core.score.score import TICKS_PER_BEAT, Note

FIGURED = 1.6
"""Onsets a beat above which a low part that leaps is an accompaniment, not a bass line."""

INNER_VOICES = 5
"""Most notes that the chords of a section start together."""


@dataclass(frozen=True)
class Window:
    """Some whole bars of a score.

    Args:
        begin: first beat.
        bars: how many bars.
        last: whether it reaches the end of the score.
    """

    begin: float
    bars: int
    last: bool = False


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


def section_windows(piece: Piece, bars: int, hop: int | None = None, least: int | None = None) -> list[Window]:
    """All windows of a score, so that it is used whole; the last one of a run of regular bars ends where the run does.

    Args:
        piece: the work.
        bars: bars of a window.
        hop: bars from window to window, or None for windows side by side.
        least: fewest bars that a run of regular bars may have to become a shorter window, or None for `bars`.

    Raises:
        ValueError: bars, hop or least make no sense.
    """
    hop, least = hop or bars, least or bars
    if not (1 <= least <= bars and hop >= 1):
        raise ValueError(f"need 1 <= least <= bars and hop >= 1, got least {least}, bars {bars} and hop {hop}")
    size = float(piece.beats_per_bar)
    runs: list[list[float]] = []
    for downbeat in piece.downbeats:
        if downbeat > piece.length - 0.5 * size:
            break
        if runs and abs(downbeat - runs[-1][-1] - size) < 1e-3:
            runs[-1].append(downbeat)
        else:
            runs.append([downbeat])
    windows = []
    for run in runs:
        if len(run) < least:
            continue
        long = min(bars, len(run))
        firsts = [*range(0, len(run) - long + 1, hop)]
        if firsts[-1] != len(run) - long:
            firsts.append(len(run) - long)
        for first in firsts:
            end = run[first] + long * size
            windows.append(Window(run[first], long, end > piece.length - 0.5 * size))
    return windows


def quantised(notes: list[Note], begin: float, beats: int) -> tuple[list[Note], int]:
    """Notes of a window with onsets and ends on whole ticks.

    A note that began earlier and is still held for half a beat or more is struck at the window's first tick.

    Args:
        notes: notes, times in beats of the score.
        begin: first beat of the window.
        beats: its length.

    Returns:
        The notes, times in beats from the window's start, and how many of them moved by more than a quarter tick.
    """
    out, moved = [], 0
    for note in notes:
        start, end = note.start - begin, note.start + note.duration - begin
        if start < -0.04:
            if end < 0.5:
                continue
            start = 0.0
        tick = round(start * TICKS_PER_BEAT)
        if tick >= beats * TICKS_PER_BEAT:
            continue
        moved += abs(start * TICKS_PER_BEAT - tick) > 0.25
        tick = max(tick, 0)
        last = min(max(round(end * TICKS_PER_BEAT), tick + 1), beats * TICKS_PER_BEAT)
        out.append(Note(tick / TICKS_PER_BEAT, (last - tick) / TICKS_PER_BEAT, note.pitch, note.velocity))
    return out, moved


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


def share_roles(cut: list[list[Note]], drums: list[Note], beats: int) -> Parts | None:
    """Give the parts of a window to the roles of a section; None where there is no tune.

    The most tuneful part is the lead, the lowest line the bass; of the rest, a second voice is the counter, the most
    sustained part the pad, and everything else goes together into the chords.

    Args:
        cut: notes of every part on the grid.
        drums: percussion on the grid.
        beats: length of the window in beats.
    """
    usable = [part for part in cut if len(part) >= 3]
    stray = [note for part in cut if len(part) < 3 for note in part]
    if not usable:
        return None
    pause = 0.6 * beats
    usable.sort(key=lambda part: (longest_pause(part, beats) > pause, -tunefulness(part, beats)))
    tune, rest = usable[0], usable[1:]
    lead = skyline(tune)
    below = _without(tune, lead)
    parts = Parts(lead, drums=drums or None)
    rest.sort(key=_mean)
    if rest and _mean(rest[0]) < min(57.0, _mean(lead) - 5) and _is_line(rest[0], beats):
        parts.bass = skyline(rest[0], lowest=True)
        below += _without(rest[0], parts.bass)
        rest = rest[1:]
    elif not rest and below:  # a keyboard or a guitar on one staff: its lowest notes are the bass
        low = skyline([note for note in below if note.pitch < 57], lowest=True)
        if len(low) >= 4 and _is_line(low, beats):
            parts.bass, below = low, _without(below, low)
    voices = [part for part in rest if _single(part) and len(part) >= 0.3 * len(lead)]
    if voices and (len(rest) > 1 or parts.bass is not None or _mean(voices[0]) > 57):
        second = max(voices, key=lambda part: tunefulness(part, beats))
        parts.counter = skyline(second)
        rest = [part for part in rest if part is not second]
    if len(rest) > 1:
        held = max(rest, key=_hold)
        if _hold(held) >= 1.75:
            parts.pad = thinned(held, INNER_VOICES)
            rest = [part for part in rest if part is not held]
    inner = [*below, *stray, *(note for part in rest for note in part)]
    if inner:
        parts.chords = thinned(_undoubled(inner), INNER_VOICES)
    return parts


def _undoubled(notes: list[Note]) -> list[Note]:
    """One note where several parts play the same one: the longest."""
    kept: dict[tuple[float, int], Note] = {}
    for note in notes:
        key = (note.start, note.pitch)
        if key not in kept or kept[key].duration < note.duration:
            kept[key] = note
    return list(kept.values())
