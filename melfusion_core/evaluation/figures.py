"""The report in words and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_CUES = (
    ("onset_rate_hz", "onsets per second"),
    ("rms_dbfs", "level in dBFS"),
    ("centroid_hz", "spectral centroid in Hz"),
)
_VARIANTS = (("with_image", "picture and caption", "#c2410c"), ("text_only", "caption alone", "#64748b"))


def format_estimate(estimate: dict[str, float | int | None], percent: bool = False) -> str:
    """Write a figure with its interval.

    Args:
        estimate: `value`, `low` and `high`, each a number or None.
        percent: Whether to write percentages.

    Returns:
        Text such as "0.41 [0.26, 0.55]".
    """
    if estimate["value"] is None:
        return "not defined"

    def number(value: float | int | None) -> str:
        if value is None:
            return "?"
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"

    return f"{number(estimate['value'])} [{number(estimate['low'])}, {number(estimate['high'])}]"


def format_markdown(report: dict[str, Any]) -> str:
    """Write the report as Markdown.

    Args:
        report: As `evaluate` returns it.

    Returns:
        The text.
    """
    settings, judge, caption = report["settings"], report["judge"], report["caption_obeyed"]
    lines = [
        "# Evaluation",
        "",
        f"{report['n']} held-out triplets of the test split, {settings['num_inference_steps']} steps, "
        f"{settings['sampler']}, caption guidance {settings['guidance_scale']:g}, picture guidance "
        f"{settings['image_guidance_scale']:g}, synapse {settings['synapse_strength']:g}, seed {settings['seed']}. "
        "Brackets are 95 % intervals. Both takes of a pair start from the same noise.",
        "",
        "## Does the music obey the picture?",
        "",
        f'Caption: "{report["neutral_caption"]}". Spearman rank correlation of the picture\'s mood with what is '
        "measured in the music; the real clips show how strongly the corpus itself ties them.",
        "",
        "| picture -> music | picture and caption | caption alone | gain | real clips |",
        "|---|---|---|---|---|",
    ]
    for name, row in report["picture_obeyed"].items():
        cells = (format_estimate(row[key]) for key in ("with_image", "text_only", "gain", "real"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "## Does the music obey the caption?",
        "",
        'Caption: "a piece with ..." and the lead instrument. The judge is a small network trained on real clips.',
        "",
        "| takes | lead recognised | among the first three |",
        "|---|---|---|",
    ]
    for key, label in (("text_only", "caption alone"), ("with_image", "picture and caption"), ("real", "real clips")):
        row = caption[key]
        lines.append(f"| {label} | {format_estimate(row['top1'], True)} | {format_estimate(row['top3'], True)} |")
    chance = caption["chance"]
    lines += [
        f"| chance | {100 * chance['uniform']:.1f} % of {chance['classes']} classes; always the commonest "
        f"{100 * chance['commonest']:.1f} % | |",
        "",
    ]
    if judge["real_clips"]:
        quality = judge["real_clips"]
        recognised = format_estimate(quality["lead_top1"], True)
        valence, arousal = quality["valence_spearman"], quality["arousal_spearman"]
        lines += [
            f"On the whole test split of real clips the judge recognises {recognised} of the leads; its valence and "
            f"arousal correlate {valence:.2f} and {arousal:.2f} with the known ones.",
            "",
        ]
    lines += ["## Likeness to real clips", "", "Embedder: the judge; not comparable with VGGish or CLAP figures.", ""]
    lines += [f"- {name}: {value}" for name, value in report["likeness"].items()]
    lines += ["", "## Sound", ""]
    for name, row in report["sound"].items():
        problems = "; ".join(f"{sentence} ({count})" for sentence, count in row["problems"].items()) or "none"
        lines.append(
            f"- {name}: {row['finite']} of {row['takes']} finite, {row['silent']} silent, median peak "
            f"{row['median_peak_dbfs']} dBFS; problems: {problems}"
        )
    return "\n".join(lines) + "\n"


def save_scatter(
    path: Path | str, arousal: np.ndarray, cues: dict[str, dict[str, np.ndarray]], obeyed: dict[str, Any]
) -> None:
    """Draw the picture's arousal against the cues of the music, with and without the picture.

    Args:
        path: PNG file to write.
        arousal: Arousal of the pictures, of shape `(n,)`.
        cues: Cues by variant, each an array of shape `(n,)`.
        obeyed: Correlations by pair and variant, as in the report.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(_CUES), sharex=True, sharey="col")
    for row, (variant, label, colour) in enumerate(_VARIANTS):
        for column, (name, words) in enumerate(_CUES):
            panel, values = axes[row][column], cues[variant][name]
            panel.scatter(arousal, values, s=14, color=colour, alpha=0.65, linewidths=0)
            slope, offset = np.polyfit(arousal, values, 1) if np.ptp(arousal) > 0 else (0.0, float(np.mean(values)))
            ends = np.array([float(arousal.min()), float(arousal.max())])
            panel.plot(ends, slope * ends + offset, color=colour, linewidth=2)
            rho = format_estimate(obeyed[f"arousal -> {name}"][variant])
            panel.set_title(f"{label}: rho {rho}", fontsize=9)
            panel.set_ylabel(words)
            panel.grid(alpha=0.25)
            if row == 1:
                panel.set_xlabel("arousal of the picture (rank)")
    figure.suptitle("Does the music follow the picture? Neutral caption, same noise in both rows")
    figure.savefig(path, dpi=110)
