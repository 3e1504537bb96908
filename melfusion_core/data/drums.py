"""Drum patterns and fills of the procedural composer, as step grids of sixteenths."""

from __future__ import annotations

import numpy as np

from melfusion_core.score.score import Note

KIT = {
    "kick": 36, "snare": 38, "rim": 37, "clap": 39, "hat": 42, "pedal": 44, "open": 46, "crash": 49, "ride": 51,
    "tamb": 54, "shaker": 82, "low tom": 45, "mid tom": 47, "high tom": 50, "floor": 43, "cowbell": 56, "conga": 63,
    "low conga": 64, "claves": 75, "triangle": 81, "bell": 53, "cymbal": 57, "timbale": 65, "brush": 40,
}  # fmt: skip
"""General MIDI percussion notes by name."""

DRUMS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "brushes": (("kick", "x.......x.......", -14), ("rim", "....x.......x...", -12), ("pedal", "....x.......x...",
        -14),
                ("ride", "x...x...x...x...", -18)),
    "lofi": (("kick", "x......x..x.....", 2), ("snare", "....x.......x..o", -6), ("hat", "x.x.x.x.x.x.x.xo", -20)),
    "boombap": (("kick", "x..x......x..x..", 4), ("snare", "....x.......x...", 0), ("hat", "x.x.x.x.x.xox.x.", -16)),
    "trap": (("kick", "x......x..x.....", 8), ("clap", "........x.......", 4), ("hat", "x.x.xxx.x.x.xoxo", -14)),
    "bossa": (("kick", "x.....xxx.....xx", -10), ("rim", "x..x..x...x..x..", -4), ("shaker", "xoxoxoxoxoxoxoxo", -18)),
    "samba": (("kick", "x..xx..xx..xx..x", -6), ("shaker", "XoxXXoxXXoxXXoxX", -12), ("tamb", "x.x..x.xx.x..x.x", -8)),
    "shaker": (("shaker", "XoxoXoxoXoxoXoxo", -12), ("kick", "x.......x.......", -8), ("tamb", "....x.......x...",
        -14)),
    "stomp": (("kick", "x...x...x...x...", 0), ("tamb", "..x...x...x...x.", -12), ("clap", "....x.......x...", -8)),
    "epic": (("floor", "X..x..x.X..x..x.", 8), ("kick", "X.......X.......", 10), ("low tom", "..x..x....x..xxx", -2)),
    "pulse": (("floor", "x...x...x...x...", -6), ("kick", "X...............", 2)),
    "march": (("snare", "X..xX.xxX..xXxxx", -6), ("kick", "X.......X.......", 6), ("cymbal", "....x.......x...", -20)),
    "swing": (("ride", "x...x.x.x...x.x.", -8), ("pedal", "....x.......x...", -10), ("kick", "o...o...o...o...", -18),
              ("snare", "......o.......o.", -14)),
    "train": (("snare", "oXoXooxXoXoXooxX", -14), ("kick", "x...x...x...x...", -2)),
    "shuffle": (("hat", "x..xx..xx..xx..x", -8), ("kick", "x.....x.x.......", 2), ("snare", "....x.......x...", 4)),
    "funk": (("kick", "X.x...x...x..x..", 6), ("snare", "....X..o.o..X..o", 4), ("hat", "xoxoxoxoxoxoxoxo", -14)),
    "disco": (("kick", "X...X...X...X...", 6), ("snare", "....X.......X...", 4), ("open", "..x...x...x...x.", -12),
              ("hat", "x.x.x.x.x.x.x.x.", -18)),
    "chip": (("kick", "x.....x.x.......", 2), ("snare", "....x.......x...", 2), ("hat", "x.x.x.x.x.x.x.x.", -14)),
    "four": (("kick", "X...X...X...X...", 10), ("clap", "....x.......x...", 0), ("open", "..x...x...x...x.", -8),
             ("hat", "xxxxxxxxxxxxxxxx", -22)),
    "house": (("kick", "X...X...X...X...", 8), ("clap", "....x.......x..o", 0), ("open", "..x...x...x...x.", -8),
              ("shaker", "x.xxx.xxx.xxx.xx", -20)),
    "synthwave": (("kick", "X...X...X...X...", 6), ("snare", "....X.......X...", 10), ("hat", "x.x.x.x.x.x.x.x.",
        -18)),
    "onedrop": (("kick", "........X.......", 8), ("rim", "........X.......", 2), ("hat", "x.x.x.x.x.x.xox.", -12)),
    "steppers": (("kick", "X...X...X...X...", 4), ("rim", "....x..x....x...", -2), ("hat", "..x...x...x...x.", -10)),
    "ska": (("kick", "x.......x.......", 4), ("snare", "....X.......X...", 4), ("hat", "..X...X...X...X.", -6)),
    "tango": (("snare", "X...x...x.x.x...", -18), ("kick", "x...........x...", -12)),
    "rock": (("kick", "X.....x.X.x.....", 8), ("snare", "....X.......X...", 8), ("hat", "X.x.X.x.X.x.X.x.", -6)),
    "drive": (("kick", "X.x...x.X.x...x.", 8), ("snare", "....X.......X...", 8), ("ride", "x.x.x.x.x.x.x.x.", -6)),
    "punk": (("kick", "X...X.x.X...X.x.", 6), ("snare", "..X...X...X...X.", 6), ("hat", "X.X.X.X.X.X.X.X.", -6)),
    "halftime": (("kick", "X.....x...x.....", 8), ("snare", "........X.......", 8), ("hat", "x.x.x.x.x.x.x.x.", -10)),
    "ballad": (("kick", "X.....x.x.......", 0), ("rim", "....x.......x...", 0), ("hat", "x.x.x.x.x.x.x.x.", -18)),
    "double": (("kick", "xxxxxxxxxxxxxxxx", 2), ("snare", "....X.......X...", 10), ("ride", "X...X...X...X...", 0)),
    "gallop": (("kick", "X.xxX.xxX.xxX.xx", 4), ("snare", "....X.......X...", 8), ("crash", "X.......X.......", -14)),
    "waltz": (("kick", "x...........", -10), ("brush", "....x...x...", -22)),
    "waltz ride": (("kick", "x...........", -8), ("ride", "x...x.x.x...", -12), ("pedal", "....x...x...", -12)),
    "jig": (("floor", "X.x.x.X.x.x.", -8), ("tamb", "x.....x.....", -12)),
    "reel": (("floor", "X.xxx.xxX.xxx.xx", -10), ("tamb", "....x.......x...", -12)),
    "rumba": (("conga", "..x...xx..x...xx", -6), ("low conga", "x...x...x...x...", -10), ("claves",
        "x..x..x...x.x...", -8)),
}  # fmt: skip
"""Patterns by name: (drum, one bar of sixteenths, velocity offset). "X" accent, "x" normal, "o" ghost note."""

_LEVEL = {"X": 8, "x": 0, "o": -18}
_FILLS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("snare", "............xxXX"),),
    (("high tom", "............xx.."), ("floor", "..............xX")),
    (("snare", "........x.xx...."), ("mid tom", "............xx.."), ("floor", "..............XX")),
    (("snare", "..........x.x.X."),),
    (("high tom", "........xx......"), ("mid tom", "..........xx...."), ("floor", "............xxXX")),
)
QUIET = frozenset({"brushes", "bossa", "samba", "shaker", "pulse", "swing", "tango", "waltz", "waltz ride", "jig",
    "reel",
                   "rumba", "march", "train", "epic", "stomp"})  # fmt: skip
"""Patterns that end phrases without a fill on the kit."""


def pattern_density(pattern: str) -> float:
    """Distinct onsets per beat of a pattern.

    Args:
        pattern: a key of `DRUMS`.
    """
    rows = [steps for _, steps, _ in DRUMS[pattern]]
    hit = sum(any(row[i] != "." for row in rows) for i in range(len(rows[0])))
    return hit / (len(rows[0]) / 4)


def drum_part(
    rng: np.random.Generator, pattern: str, bars: int, beats: int, velocity: float, phrase_bars: int = 4
) -> list[Note]:
    """A drum part with fills at phrase ends and a crash where the next phrase begins.

    Args:
        rng: source of randomness.
        pattern: a key of `DRUMS`; it must fit the metre.
        bars: number of bars.
        beats: beats per bar.
        velocity: mean MIDI velocity.
        phrase_bars: bars of a phrase.

    Raises:
        ValueError: the pattern has another metre.
    """
    rows = DRUMS[pattern]
    if len(rows[0][1]) != beats * 4:
        raise ValueError(f"drum pattern {pattern!r} does not have {beats} beats")
    fill_rows = _FILLS[int(rng.integers(len(_FILLS)))]
    notes = []

    def hit(bar: int, step: int, drum: str, level: float) -> None:
        notes.append(Note(bar * beats + step / 4, 0.2, KIT[drum], int(np.clip(velocity + level, 1, 127))))

    for bar in range(bars):
        last = bar % phrase_bars == phrase_bars - 1
        fill = last and pattern not in QUIET and beats == 4 and rng.random() < 0.75
        begin = min(row.index(next(c for c in row if c != ".")) for _, row in fill_rows) if fill else 99
        for drum, steps, offset in rows:
            for step, mark in enumerate(steps):
                if mark != "." and (step < begin or drum == "kick"):
                    hit(bar, step, drum, offset + _LEVEL[mark])
        if fill:
            for drum, steps in fill_rows:
                for step, mark in enumerate(steps):
                    if mark != ".":
                        hit(bar, step, drum, _LEVEL[mark] + 0.6 * (step - begin))
        if bar % phrase_bars == 0 and bar and pattern not in QUIET:
            hit(bar, 0, "crash", -4)
    return notes
