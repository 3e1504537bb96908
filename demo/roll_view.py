"""Notes as a piano roll: a vector picture, one colour a part, time from left to right in seconds."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from demo import words
from demo.mel_view import little_spans
from melfusion_core.engines.score.layout import DRUM_CLASSES, PARTS
from melfusion_core.engines.score.view import COLOURS, ScoreView

WIDTH = 1000
ROW_PIXELS = 4
PAPER, LINE = "#fbf9f5", "#d9d2c8"
ONLY_A, ONLY_B, IN_BOTH = "#c0392b", "#2463c2", "#b9b2aa"
HIT_S = 0.09  # a drum has no length; this much of it is drawn
SHADES = (0.55, 0.75, 1.0)
LITTLE_SHARE = 0.1
_DRUM_ROWS = {pitches[0]: row for row, (_, pitches) in enumerate(DRUM_CLASSES)}


class _Range(NamedTuple):
    """Rows of a roll: drums at the bottom, then the pitches from low to high."""

    low: int
    high: int

    @property
    def rows(self) -> int:
        return self.high - self.low + 1 + len(DRUM_CLASSES) + 1

    def top(self, pitch: int, is_drum: bool) -> float:
        row = _DRUM_ROWS.get(pitch, 0) if is_drum else pitch - self.low + len(DRUM_CLASSES) + 1
        return self.rows - row - 0.9


class _Mark(NamedTuple):
    """A note as it is drawn."""

    start_s: float
    length_s: float
    top: float
    key: tuple[str, int]
    shade: float


def roll_face(views: Sequence[ScoreView], alts: Sequence[str], seconds: float, little: str) -> dict[str, Any]:
    """Draw piano rolls side by side on one range of pitches, and how two of them differ.

    Args:
        views: The piano rolls.
        alts: What each picture shows, for those who do not see it.
        seconds: Length of the time axis.
        little: What is said where two differ little.

    Returns:
        As :func:`demo.mel_view.spectrogram_face` does.
    """
    pitches = _range(views)
    octaves = [pitch for pitch in range(12, 128, 12) if pitches.low <= pitch <= pitches.high]
    heights = [1 - (pitches.top(pitch, False) + 0.4) / pitches.rows for pitch in octaves]
    marks = [(f"C{pitch // 12 - 1}", f"{height:.2%}") for pitch, height in zip(octaves, heights, strict=True)]
    return {
        "name": "notes",
        "label": words.FACE_NOTES,
        "plots": [
            {"src": roll_source([view], pitches, seconds), "alt": f"{alt}: {_players(view)}"}
            for view, alt in zip(views, alts, strict=False)
        ],
        "marks": marks,
        "unit": "",
        "legend": _legend((COLOURS[role], f"{words.ROLES[role]}: {names}") for role, names in _parts(views)),
        "difference": _difference(views, pitches, seconds, little) if len(views) == 2 else None,
    }


def roll_source(views: Sequence[ScoreView], pitches: _Range | None = None, seconds: float | None = None) -> str:
    """Draw one piano roll, or what sets two apart: the second's own notes in blue, the first's in red.

    Args:
        views: One or two.
        pitches: What lies from bottom to top; ``None`` for what the notes need.
        seconds: Length of the time axis; ``None`` for that of the notes.

    Returns:
        A data URL.
    """
    pitches = pitches or _range(views)
    seconds = seconds or max(view.duration_s for view in views)
    scale, rows = WIDTH / seconds, pitches.rows
    view = views[0]
    bar_s = view.score.beats_per_bar * 60.0 / view.score.tempo_bpm
    bars = "".join(f"M{index * bar_s * scale:.1f} 0v{rows}" for index in range(1 + int(view.duration_s / bar_s)))
    shapes = [f'<path d="{bars}" stroke="{LINE}" fill="none" vector-effect="non-scaling-stroke"/>']
    for (colour, shade), marks in _coloured(views, pitches).items():
        boxes = "".join(_box(mark, scale) for mark in marks)
        shapes.append(f'<path fill="{colour}" fill-opacity="{shade}" d="{boxes}"/>')
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{ROW_PIXELS * rows}" '
        f'viewBox="0 0 {WIDTH} {rows}" preserveAspectRatio="none"><rect width="{WIDTH}" height="{rows}" '
        f'fill="{PAPER}"/>{"".join(shapes)}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()


def _coloured(views: Sequence[ScoreView], pitches: _Range) -> dict[tuple[str, float], list[_Mark]]:
    """Notes by colour and shade, in the order in which they are drawn."""
    drawn: dict[tuple[str, float], list[_Mark]] = {}
    if len(views) == 1:
        for mark in sorted(_marks(views[0], pitches), key=lambda mark: -PARTS.index(mark.key[0])):
            drawn.setdefault((COLOURS[mark.key[0]], mark.shade), []).append(mark)
        return drawn
    first, second = ({_place(mark): mark for mark in _marks(view, pitches)} for view in views)
    for places, colour in (
        (first.keys() & second.keys(), IN_BOTH),
        (first.keys() - second.keys(), ONLY_A),
        (second.keys() - first.keys(), ONLY_B),
    ):
        drawn[colour, 1.0] = [(first | second)[place] for place in sorted(places)]
    return drawn


def _marks(view: ScoreView, pitches: _Range) -> list[_Mark]:
    beat_s, found = 60.0 / view.score.tempo_bpm, []
    for track in view.score.tracks:
        for note in track.notes:
            length_s = HIT_S if track.is_drum else note.duration * beat_s
            shade = SHADES[min(len(SHADES) - 1, note.velocity * len(SHADES) // 128)]
            top = pitches.top(note.pitch, track.is_drum)
            found.append(_Mark(note.start * beat_s, length_s, top, (track.role, note.pitch), shade))
    return found


def _place(mark: _Mark) -> tuple[int, str, int]:
    return (round(20 * mark.start_s), *mark.key)


def _box(mark: _Mark, scale: float) -> str:
    width = max(1.5, mark.length_s * scale - 0.6)
    return f"M{mark.start_s * scale:.1f} {mark.top:.1f}h{width:.1f}v.8h-{width:.1f}z"


def _difference(views: Sequence[ScoreView], pitches: _Range, seconds: float, little: str) -> dict[str, Any]:
    first, second = ({_place(mark): mark.start_s for mark in _marks(view, pitches)} for view in views)
    bar_s = views[0].score.beats_per_bar * 60.0 / views[0].score.tempo_bpm
    apart = [0] * max(1, math.ceil(seconds / bar_s - 1e-6))
    every = list(apart)
    for place, start_s in (first | second).items():
        every[min(len(every) - 1, int(start_s / bar_s))] += 1
        if (place in first) != (place in second):
            apart[min(len(every) - 1, int(start_s / bar_s))] += 1
    little_there = [0 < count and changed <= LITTLE_SHARE * count for changed, count in zip(apart, every, strict=True)]
    return {
        "title": words.DIFFERENCE_NOTES_TITLE,
        "src": roll_source(views, pitches, seconds),
        "alt": words.ALT_DIFFERENCE_NOTES,
        "legend": _legend(((ONLY_A, words.ONLY_A), (ONLY_B, words.ONLY_B), (IN_BOTH, words.IN_BOTH))),
        "little": little,
        "spans": little_spans(little_there, bar_s, seconds),
    }


def _range(views: Sequence[ScoreView]) -> _Range:
    tracks = [track for view in views for track in view.score.tracks if not track.is_drum]
    pitches = [note.pitch for track in tracks for note in track.notes]
    return _Range(min(pitches, default=48) - 1, max(pitches, default=72) + 1)


def _parts(views: Iterable[ScoreView]) -> list[tuple[str, str]]:
    """Every part that plays, with the names of its instruments."""
    found: dict[str, dict[str, None]] = {}
    for view in views:
        for track in view.score.tracks:
            found.setdefault(track.role, {})[track.instrument.replace("_", " ")] = None
    return [(role, ", ".join(found[role])) for role in PARTS if role in found]


def _players(view: ScoreView) -> str:
    return "; ".join(f"{words.ROLES[role]} {names}" for role, names in _parts([view])) or words.NOBODY_PLAYS


def _legend(rows: Iterable[tuple[str, str]]) -> str:
    swatches = "".join(
        f'<span class="swatch"><i style="background:{colour}"></i>{html.escape(text)}</span>' for colour, text in rows
    )
    return f'<p class="legend">{swatches}</p>'
