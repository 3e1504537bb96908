"""Windows of whole bars through a score, all of them, on the grid of a section."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from melfusion_core.data.score_files import Piece
from melfusion_core.score.score import TICKS_PER_BEAT, Note

LONGEST_HELD = 16.0
"""Beats before a window in which a note may have begun that is still held."""


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
        notes: notes in order, times in beats of the score.
        begin: first beat of the window.
        beats: its length.

    Returns:
        The notes, times in beats from the window's start, and how many of them moved by more than a quarter tick.
    """
    out, moved = [], 0
    low = bisect_left(notes, begin - LONGEST_HELD, key=lambda note: note.start)
    high = bisect_left(notes, begin + beats, key=lambda note: note.start)
    for note in notes[low:high]:
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
