"""The figures of the reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from melfusion_core.spectrogram import save_figure

_ROWS = (
    ("with_image", "picture and caption", "#c2410c"),
    ("text_only", "caption alone", "#64748b"),
    ("real", "real clips", "#15803d"),
)
_COLUMNS = (
    ("arousal", "arousal_cues", "cues of arousal (mean rank)"),
    ("arousal", "onset_rate_hz", "onsets per second"),
    ("arousal", "rms_dbfs", "level in dBFS"),
    ("valence", "mode", "major - minor (Krumhansl)"),
)
_CURVES = (
    "arousal -> arousal_cues", "arousal -> judged arousal", "valence -> valence_cues", "valence -> judged valence",
    "own picture among 20",
)  # fmt: skip


def format_estimate(estimate: dict[str, float | int | None] | None, percent: bool = False) -> str:
    """Write a figure with its interval.

    Args:
        estimate: `value`, `low` and `high`, each a number or None; None where nothing was measured.
        percent: Whether to write percentages.

    Returns:
        Text such as "0.41 [0.26, 0.55]".
    """
    if estimate is None or estimate["value"] is None:
        return "not defined"

    def number(value: float | int | None) -> str:
        if value is None:
            return "?"
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"

    return f"{number(estimate['value'])} [{number(estimate['low'])}, {number(estimate['high'])}]"


def save_scatter(
    path: Path | str,
    mood: dict[str, np.ndarray],
    cues: dict[str, dict[str, np.ndarray]],
    pairs: dict[str, Any],
) -> None:
    """Draw the pictures' mood against the cues of the music: with the picture, without it, and in the real clips.

    Args:
        path: PNG file to write.
        mood: "arousal" and "valence" of the pictures, each of shape `(n,)`.
        cues: Cues by variant, each an array of shape `(n,)`.
        pairs: Correlations by pair and variant, as in the report.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8.5), layout="constrained")
    axes = figure.subplots(len(_ROWS), len(_COLUMNS), sharey="col")
    for row, (variant, label, colour) in enumerate(_ROWS):
        for column, (axis, name, words) in enumerate(_COLUMNS):
            panel, values, wanted = axes[row][column], cues[variant][name], mood[axis]
            panel.scatter(wanted, values, s=12, color=colour, alpha=0.6, linewidths=0)
            slope, offset = np.polyfit(wanted, values, 1) if np.ptp(wanted) > 0 else (0.0, float(np.mean(values)))
            ends = np.array([float(wanted.min()), float(wanted.max())])
            panel.plot(ends, slope * ends + offset, color=colour, linewidth=2)
            rho = format_estimate(pairs[f"{axis} -> {name}"][variant])
            panel.set_title(f"{label}: rho {rho}", fontsize=8)
            panel.set_ylabel(words, fontsize=8)
            panel.grid(alpha=0.25)
            if row == len(_ROWS) - 1:
                panel.set_xlabel(f"{axis} of the picture (rank)", fontsize=8)
    figure.suptitle("Does the music follow the picture? Neutral caption, same noise with and without the picture")
    save_figure(figure, path, dpi=110)


def save_doses(path: Path | str, doses: dict[str, Any]) -> None:
    """Draw the measures of obedience over the synapse strength.

    Args:
        path: PNG file to write.
        doses: As in the report.
    """
    from matplotlib.figure import Figure

    names = [name for name in _CURVES if name in doses]
    figure = Figure(figsize=(3.2 * len(names), 3.2), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(axes, names, strict=True):
        points = [point for point in doses[name]["points"] if point["value"] is not None]
        strength = [point["strength"] for point in points]
        panel.plot(strength, [point["value"] for point in points], "o-", color="#c2410c")
        ends = [[np.nan if point[end] is None else point[end] for point in points] for end in ("low", "high")]
        panel.fill_between(strength, *ends, color="#c2410c", alpha=0.15, linewidth=0)
        panel.axhline(1 / 20 if "among" in name else 0.0, color="#64748b", linewidth=1, linestyle=":")
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("synapse strength")
        panel.grid(alpha=0.25)
    save_figure(figure, path, dpi=110)


def save_confusion(path: Path | str, counts: np.ndarray, names: list[str]) -> None:
    """Draw a confusion matrix, each row scaled to 1.

    Args:
        path: PNG file to write.
        counts: Of shape `(c, c)`, true classes in rows.
        names: Of the classes.
    """
    from matplotlib.figure import Figure

    side = 2.5 + 0.22 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    panel = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    panel.imshow(shares, cmap="magma", vmin=0, vmax=1)
    panel.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    panel.set_yticks(range(len(names)), names, fontsize=7)
    panel.set_xlabel("heard by the judge")
    panel.set_ylabel("named in the caption")
    panel.set_title(f"{int(np.trace(counts))} of {int(counts.sum())} leads recognised", fontsize=10)
    save_figure(figure, path, dpi=110)


def save_heat_map(path: Path | str, table: np.ndarray, rows: list[str], columns: list[str], titles: list[str]) -> None:
    """Draw tables of scores side by side.

    Args:
        path: PNG file to write.
        table: Of shape `(len(titles), len(rows), len(columns))`; NaN where nothing was measured.
        rows: Names of the rows.
        columns: Names of the columns.
        titles: Headings of the tables.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=((1.6 + 0.8 * len(columns)) * len(titles), 1.2 + 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for panel, values, title in zip(axes, table, titles, strict=True):
        panel.imshow(values, cmap="viridis", aspect="auto")
        panel.set_xticks(range(len(columns)), columns, fontsize=8)
        panel.set_yticks(range(len(rows)), rows, fontsize=8)
        panel.set_title(title, fontsize=9)
        for row, column in np.ndindex(values.shape):
            if np.isfinite(values[row, column]):
                panel.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", fontsize=7, color="w")
    save_figure(figure, path, dpi=110)
