"""What a corpus holds: counts, and plots of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from melfusion_core.data.corpus import SCENE, read_corpus
from melfusion_core.data.triplets import SECONDS


def corpus_stats(root: Path | str) -> dict[str, Any]:
    """Counts over a corpus.

    Args:
        root: folder with `metadata.jsonl`.

    Returns:
        Clips, hours, works and themes; counts of splits, subsets, sources, styles, leads, instruments, ensembles,
        keys, tempi, metres, picture kinds and SoundFonts; size of the captions' vocabulary; and the correlation of the
        pairing for valence and arousal.
    """
    rows = read_corpus(root)

    def count(name: str) -> dict[str, int]:
        return dict(Counter(str(getattr(row, name) or "unmarked") for row in rows).most_common())

    def agreement(axis: str) -> float:
        pairs = np.array([[getattr(row, f"{side}_{axis}") for side in ("image", "music")] for row in rows])
        return round(float(np.corrcoef(pairs.T)[0, 1]), 3)

    captions = [caption for row in rows for caption in row.captions]
    words = Counter(word for caption in captions for word in re.findall(r"[a-z0-9#'-]+", caption.lower()))
    splits = {row.split for row in rows}
    themes = {split: {row.theme for row in rows if row.split == split and row.kind != SCENE} for split in splits}
    works = {split: {row.piece for row in rows if row.split == split} for split in splits}
    instruments = Counter(name for row in rows for name in row.instruments)
    tempi = np.array([row.tempo_bpm for row in rows])
    return {
        "clips": len(rows),
        "hours": round(len(rows) * SECONDS / 3600, 2),
        "works": len({row.piece for row in rows}),
        "splits": count("split"),
        "works_in_two_splits": _shared(works),
        "photo_themes_in_two_splits": _shared(themes),
        "subsets": count("subset"),
        "sources": count("source"),
        "styles": count("style"),
        "leads": count("lead"),
        "instruments": dict(instruments.most_common()),
        "different_ensembles": len({row.instruments for row in rows}),
        "tracks": dict(Counter(str(len(row.instruments)) for row in rows).most_common()),
        "keys": count("key"),
        "metres": count("beats_per_bar"),
        "tempo_words": count("tempo_word"),
        "tempo_percentiles_bpm": {str(p): round(float(np.percentile(tempi, p)), 1) for p in (0, 10, 50, 90, 100)},
        "different_tempi": len(set(tempi.round(1))),
        "picture_kinds": count("kind"),
        "picture_themes": len({row.theme for row in rows}),
        "soundfonts": count("soundfont"),
        "captions": {
            "count": len(captions),
            "different": len(set(captions)),
            "vocabulary": len(words),
            "words_seen_ten_times": sum(1 for seen in words.values() if seen >= 10),
            "mean_words": round(float(np.mean([len(caption.split()) for caption in captions])), 1),
            "longest_words": max(len(caption.split()) for caption in captions),
        },
        "pairing_correlation": {"valence": agreement("valence"), "arousal": agreement("arousal")},
    }


def _shared(groups: dict[str, set[str]]) -> int:
    """How many members are in more than one group."""
    return sum(1 for seen in Counter(member for group in groups.values() for member in group).values() if seen > 1)


def plot_stats(root: Path | str, out: Path | str) -> list[Path]:
    """Draw the distributions as PNG files.

    Args:
        root: folder with `metadata.jsonl`.
        out: folder to write.

    Returns:
        The files: music (styles, leads, keys, tempi), instruments, affect planes, captions.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, stats = read_corpus(root), corpus_stats(root)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def save(figure: Figure, name: str) -> None:
        FigureCanvasAgg(figure)
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=110)

    def bars(axes, counts: dict[str, int], title: str, most: int = 40) -> None:
        items = list(counts.items())[:most][::-1]
        axes.barh([name for name, _ in items], [seen for _, seen in items], color="#4463a8", height=0.75)
        left = f" (first {most} of {len(counts)})" if len(counts) > most else f" ({len(counts)})"
        axes.set(title=title + left, xlabel="clips")
        axes.tick_params(axis="y", labelsize=8)
        axes.margins(y=0.01)
        axes.spines[["top", "right"]].set_visible(False)

    figure = Figure(figsize=(15, 11), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(f"{stats['clips']:,} clips, {stats['hours']} hours, {stats['works']:,} works")
    bars(axes[0, 0], stats["styles"], "Styles")
    bars(axes[0, 1], stats["leads"], "Lead instruments")
    bars(axes[1, 0], stats["keys"], "Keys")
    subsets = sorted({row.subset or "unmarked" for row in rows})
    tempi = [[row.tempo_bpm for row in rows if (row.subset or "unmarked") == name] for name in subsets]
    axes[1, 1].hist(tempi, bins=np.arange(40, 201, 4), stacked=True, label=subsets, color=_colours(len(subsets)))
    axes[1, 1].set(title="Tempi", xlabel="BPM", ylabel="clips")
    axes[1, 1].legend(title="subset")
    save(figure, "music")

    figure = Figure(figsize=(9, 0.17 * max(len(stats["instruments"]), 20) + 1), layout="constrained")
    bars(figure.subplots(), stats["instruments"], "Instruments", most=120)
    save(figure, "instruments")

    figure = Figure(figsize=(14, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, name in ((left, "music"), (middle, "image")):
        plane = np.array([row.mood(name) for row in rows])
        bins = min(24, max(4, int(len(rows) ** 0.5 / 2)))
        drawn = axes.hist2d(*plane.T, bins=bins, range=[[0, 1], [0, 1]], cmap="viridis")
        title = "Music" if name == "music" else "Pictures"
        axes.set(title=title, xlabel="valence (rank)", ylabel="arousal (rank)", aspect="equal")
        figure.colorbar(drawn[3], ax=axes, label="clips")
    for axis, colour in (("valence", "#4463a8"), ("arousal", "#c2563b")):
        pairs = np.array([[getattr(row, f"{side}_{axis}") for side in ("music", "image")] for row in rows])
        label = f"{axis}, r = {stats['pairing_correlation'][axis]}"
        right.scatter(*pairs.T, s=4, alpha=min(1.0, 400 / len(rows) + 0.08), color=colour, label=label, linewidths=0)
    right.set(title="Pairing", xlabel="music", ylabel="picture", aspect="equal")
    legend = right.legend(loc="upper left", markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
    save(figure, "affect")

    figure = Figure(figsize=(14, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    lengths = [len(caption.split()) for row in rows for caption in row.captions]
    left.hist(lengths, bins=np.arange(0.5, max(lengths) + 1.5), color="#4463a8")
    words = stats["captions"]["vocabulary"]
    left.set(title=f"Words per caption (vocabulary {words:,})", xlabel="words", ylabel="captions")
    bars(middle, stats["picture_kinds"], "Pictures")
    bars(right, stats["sources"], "Sources of the music")
    save(figure, "captions_and_sources")
    return written


def _colours(count: int) -> list[str]:
    return ["#4463a8", "#e0a030", "#c2563b"][:count] if count <= 3 else [f"C{i}" for i in range(count)]
