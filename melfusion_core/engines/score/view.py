"""What notes look like: a piano roll, one colour a part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from melfusion_core.engines.score.layout import DRUM_CLASSES, PARTS
from melfusion_core.score.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "lead": "#d1495b", "counter": "#edae49", "chords": "#2e86ab", "pad": "#8d99ae", "bass": "#5f4bb6",
    "drums": "#3d3d3d",
}  # fmt: skip
"""Colour of every part, the same wherever notes are drawn."""
NOTE_BYTES = 200
"""About what a note takes in memory: an object of four numbers."""
_DRUM_ROWS = {pitches[0]: row for row, (_, pitches) in enumerate(DRUM_CLASSES)}


@dataclass(frozen=True)
class ScoreView:
    """A piano roll to look at.

    Args:
        score: The notes.
        beats: Length in beats.
    """

    score: Score
    beats: int

    @property
    def duration_s(self) -> float:
        """Length of what it shows, in seconds."""
        return self.beats * 60.0 / self.score.tempo_bpm

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return NOTE_BYTES * sum(len(track.notes) for track in self.score.tracks)

    def figure(self, title: str = "", other: ScoreView | None = None, other_title: str = "") -> Figure:
        """Draw it with axes; see :meth:`~melfusion_core.engines.base.View.figure`.

        Args:
            title: Heading.
            other: Another piano roll, drawn below on the same axes.
            other_title: Its heading.

        Returns:
            The figure.
        """
        from matplotlib.figure import Figure  # takes a second

        views = [(self, title)] if other is None else [(self, title), (other, other_title)]
        figure = Figure(figsize=(11, 3.6 * len(views)), layout="constrained")
        rows = figure.subplots(len(views), 1, sharex=True, squeeze=False)[:, 0]
        low, high = _range([view.score for view, _ in views])
        for axes, (view, heading) in zip(rows, views, strict=True):
            _draw(axes, view, low, high)
            axes.set_title(heading, loc="left", fontsize=10)
        rows[-1].set_xlabel("seconds")
        return figure


def _range(scores: list[Score]) -> tuple[int, int]:
    pitches = [n.pitch for score in scores for track in score.tracks if not track.is_drum for n in track.notes]
    return min(pitches, default=48) - 2, max(pitches, default=72) + 2


def _draw(axes: Axes, view: ScoreView, low: int, high: int) -> None:
    beat_s = 60.0 / view.score.tempo_bpm
    bottom = low - len(DRUM_CLASSES) - 2
    for bar in range(0, view.beats + 1, view.score.beats_per_bar):
        axes.axvline(bar * beat_s, color="#00000018", linewidth=1)
    for track in sorted(view.score.tracks, key=lambda track: PARTS.index(track.role), reverse=True):
        for note in track.notes:
            row = bottom + _DRUM_ROWS.get(note.pitch, 0) if track.is_drum else note.pitch
            length = 0.08 if track.is_drum else note.duration * beat_s
            axes.broken_barh(
                [(note.start * beat_s, length)], (row - 0.4, 0.8), facecolors=COLOURS[track.role],
                alpha=0.35 + 0.65 * note.velocity / 127,
            )  # fmt: skip
        axes.plot([], [], color=COLOURS[track.role], linewidth=5, label=f"{track.role}: {track.instrument}")
    axes.set_xlim(0, view.duration_s)
    axes.set_ylim(bottom - 1, high)
    octaves = [pitch for pitch in range(0, 128, 12) if low <= pitch <= high]
    axes.set_yticks([bottom + 5, *octaves], ["drums", *(f"C{pitch // 12 - 1}" for pitch in octaves)])
    if view.score.tracks:
        axes.legend(loc="upper right", fontsize=7, ncols=6, framealpha=0.7)
