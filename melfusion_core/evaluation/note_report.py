"""The evaluation of an engine that makes notes, on the notes: are orders followed, and is it like the real works?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.data.corpus import read_corpus, select
from melfusion_core.data.triplets import SCORES
from melfusion_core.engines.base import Engine
from melfusion_core.evaluation.metrics import mean_interval
from melfusion_core.evaluation.orders import Order, caption_orders, direction_orders
from melfusion_core.evaluation.shares import WHOLE, Part
from melfusion_core.evaluation.takes import SamplingSettings, claim_folder
from melfusion_core.score.estimate import estimate_chords
from melfusion_core.score.facts import ScoreFacts, score_facts
from melfusion_core.score.score import Score


class ComposingPipeline(Protocol):
    """What is needed of a pipeline; `MelFusionPipeline` has it."""

    engine: Engine

    def __call__(self, prompt: list[str], **options: Any) -> Any:
        """Generate from captions.

        Args:
            prompt: The captions.
            options: `settings`, `directions`, `generator`, `output_type` and `callback_on_step_end`.
        """


SUITES = {"captions": caption_orders, "directions": direction_orders}


class NoteTakes:
    """Scores that a model composed, kept in a folder; what is there is not made again.

    Args:
        pipeline: What composes; its engine makes notes.
        out: Folder to keep them in.
        settings: How they are made.
        batch_size: Takes at a time.
        part: The share to make.
        progress: Show a progress bar.
    """

    def __init__(
        self,
        pipeline: ComposingPipeline,
        out: Path,
        settings: SamplingSettings,
        batch_size: int = 8,
        part: Part = WHOLE,
        progress: bool = True,
    ) -> None:
        self.pipeline, self.out, self.settings = pipeline, out, settings
        self.batch_size, self.part, self.progress = batch_size, part, progress
        claim_folder(out, settings)

    def path(self, suite: str, number: int) -> Path:
        """Where a score is kept.

        Args:
            suite: What it belongs to.
            number: Its number there.
        """
        return self.out / "scores" / suite / f"{number:05d}.json"

    def make(self, suite: str, orders: Sequence[Order]) -> None:
        """Compose what is missing of this share.

        Args:
            suite: Name of the orders.
            orders: The orders; take i follows order i, and its noise depends on i alone.
        """
        missing = [n for n in range(len(orders)) if self.part.holds(n) and not self.path(suite, n).is_file()]
        groups: dict[bool, list[int]] = defaultdict(list)
        for number in missing:
            groups[orders[number].direction is None].append(number)
        bar = tqdm(total=len(missing), desc=suite, disable=not self.progress)
        for numbers in groups.values():
            for first in range(0, len(numbers), self.batch_size):
                batch = numbers[first : first + self.batch_size]
                for number, (score, beats) in zip(batch, self._compose(suite, orders, batch), strict=True):
                    path = self.path(suite, number)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    partial = path.with_suffix(".partial")
                    partial.write_text(json.dumps({"beats": beats, "score": score.to_dict()}), encoding="utf-8")
                    partial.rename(path)
                bar.update(len(batch))
        bar.close()

    def _compose(self, suite: str, orders: Sequence[Order], numbers: Sequence[int]) -> Iterator[tuple[Score, int]]:
        told = [orders[number].direction for number in numbers]
        seeds = [np.random.SeedSequence([self.settings.seed, *suite.encode(), n]).generate_state(1) for n in numbers]
        made: dict[str, Any] = {}
        output = self.pipeline(
            [orders[number].caption for number in numbers],
            settings=self.settings.changed(seed=None),
            directions=None if told[0] is None else told,
            generator=[torch.Generator("cpu").manual_seed(int(seed[0])) for seed in seeds],
            output_type="latent",
            callback_on_step_end=lambda info: made.update(plan=info.plan),
        )
        for view in self.pipeline.engine.view(output.audios, made["plan"]):
            yield view.score, view.beats

    def read(self, suite: str, count: int) -> list[tuple[Score, int]]:
        """Read the scores of a suite.

        Args:
            suite: Its name.
            count: How many orders it has.

        Raises:
            FileNotFoundError: Some are not there yet.
        """
        paths = [self.path(suite, number) for number in range(count)]
        missing = sum(not path.is_file() for path in paths)
        if missing:
            raise FileNotFoundError(f"{missing} of {count} takes of {suite!r} are still to be made in {self.out}")
        rows = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return [(Score.from_dict(row["score"]), row["beats"]) for row in rows]


def orders_followed(orders: Sequence[Order], scores: Sequence[tuple[Score, int]], seed: int = 0) -> dict[str, Any]:
    """How far takes follow what was asked for, by kind and check.

    Args:
        orders: What was asked for.
        scores: The take of every order and its beats.
        seed: Seed of the intervals and of the shuffle.

    Returns:
        By "kind: check" the mean with its interval, and as "floor" that of the takes of other orders of the kind.
    """
    rng = np.random.default_rng(seed)
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, order in enumerate(orders):
        by_kind[order.kind].append(number)
    result: dict[str, Any] = {}
    for kind, numbers in by_kind.items():
        others = rng.permutation(numbers)
        for name in orders[numbers[0]].checks:
            values = np.array([orders[n].checks[name](*scores[n]) for n in numbers])
            floor = np.array([orders[n].checks[name](*scores[o]) for n, o in zip(numbers, others, strict=True)])
            told, shuffled = (x[np.isfinite(x)] for x in (values, floor))
            result[f"{kind}: {name}"] = mean_interval(told, seed).to_dict() | {
                "floor": mean_interval(shuffled, seed).to_dict(),
                "untold": int(len(values) - len(told)),
            }
    return result


def facts_of(score: Score, beats: int) -> ScoreFacts | None:
    """Facts of a score over its whole bars, its chords read off the notes; None where nobody leads.

    Args:
        score: The score.
        beats: Its length.
    """
    bars = beats // score.beats_per_bar
    if not bars or not any(track.role == "lead" and track.notes for track in score.tracks):
        return None
    pitched = [note for track in score.tracks if not track.is_drum for note in track.notes]
    return score_facts(score, bars, estimate_chords(pitched, beats, score.beats_per_bar))


def overlapping_area(first: np.ndarray, second: np.ndarray, bins: int = 20) -> float:
    """How far two distributions overlap (Yang & Lerch 2020), by histograms between their common 1 and 99 %.

    Args:
        first: Values of shape `(n,)`.
        second: Values of shape `(m,)`.
        bins: Bins of the histograms.

    Returns:
        0 (apart) to 1 (the same); NaN where there is nothing to compare.
    """
    first, second = (x[np.isfinite(x)] for x in (np.asarray(first, float), np.asarray(second, float)))
    if not len(first) or not len(second):
        return float("nan")
    low, high = np.quantile(np.concatenate([first, second]), [0.01, 0.99])
    edges = np.linspace(low, max(high, low + 1e-9), bins + 1)
    shares = [np.histogram(np.clip(x, low, high), edges)[0] / len(x) for x in (first, second)]
    return float(np.minimum(*shares).sum())


def music_alike(made: Sequence[ScoreFacts], real: Sequence[ScoreFacts], seed: int = 0) -> dict[str, Any]:
    """Facts of takes beside those of real works.

    Args:
        made: Facts of the takes.
        real: Facts of works of the test split.
        seed: Seed of the intervals.

    Returns:
        By fact the mean of the takes with its interval, that of the works, their ratio and the overlapping area, and
        the area between two halves of the works ("area_halves").
    """
    order = np.random.default_rng(seed).permutation(len(real))
    result: dict[str, Any] = {}
    for name in (field.name for field in fields(ScoreFacts)):
        ours, theirs = (np.array([getattr(row, name) for row in rows], dtype=float) for rows in (made, real))
        first, second = theirs[order[::2]], theirs[order[1::2]]
        mean, own = (float(np.nanmean(x)) if np.isfinite(x).any() else float("nan") for x in (ours, theirs))
        result[name] = {
            "takes": mean_interval(ours[np.isfinite(ours)], seed).to_dict(),
            "works": own,
            "ratio": mean / own if own else float("nan"),
            "area": overlapping_area(ours, theirs),
            "area_halves": overlapping_area(first, second),
        }
    return result


def read_works(corpus: Path, split: str, n: int, seed: int = 0) -> tuple[list[str], list[Score]]:
    """Captions and scores of works of a corpus.

    Args:
        corpus: Folder of `melfusion corpus build`.
        split: Which split.
        n: How many at most, drawn.
        seed: Seed of the draw.

    Raises:
        ValueError: The corpus keeps no scores, or has none of this split.
    """
    if not (corpus / SCORES).is_file():
        raise ValueError(f"{corpus} has no {SCORES}; `melfusion corpus build` writes it")
    triplets = select(read_corpus(corpus), split)
    if not triplets:
        raise ValueError(f"{corpus} has nothing of the split {split!r}")
    with (corpus / SCORES).open(encoding="ascii") as lines:
        rows = {row.pop("id"): row for row in map(json.loads, lines)}
    chosen = [triplets[i] for i in np.random.default_rng(seed).permutation(len(triplets))[:n]]
    return [triplet.caption for triplet in chosen], [Score.from_dict(rows[triplet.id]) for triplet in chosen]


def evaluate_notes(
    takes: NoteTakes, per: int, corpus: Path | None = None, n: int = 500, split: str = "test"
) -> dict[str, Any]:
    """Make what is missing; with all of it there, measure it and write the report.

    Args:
        takes: Where takes are kept and how they are made.
        per: Takes of one order.
        corpus: Corpus whose works and captions are compared with; None for the orders alone.
        n: How many works.
        split: Their split.

    Returns:
        The report; empty where a share of the takes was made.

    Raises:
        ValueError: The corpus cannot be used.
    """
    seed = takes.settings.seed or 0
    suites = {name: make(per) for name, make in SUITES.items()}
    works: list[Score] = []
    if corpus:
        captions, works = read_works(corpus, split, n, seed)
        suites["music"] = [Order("music", caption, {}) for caption in captions]
    for name, orders in suites.items():
        takes.make(name, orders)
    if takes.part.count > 1:
        return {}
    report: dict[str, Any] = {"settings": asdict(takes.settings), "per": per}
    for name in SUITES:
        report[name] = orders_followed(suites[name], takes.read(name, len(suites[name])), seed)
    if corpus:
        made = [facts_of(*take) for take in takes.read("music", len(works))]
        real = [facts_of(score, _beats(score)) for score in works]
        leading, works_leading = ([facts for facts in rows if facts] for rows in (made, real))
        report["music"] = music_alike(leading, works_leading, seed) if leading and works_leading else {}
        report["without_lead"] = {"takes": sum(not f for f in made), "works": sum(not f for f in real)}
    write_report(takes.out, report)
    return report


def _beats(score: Score) -> int:
    """Beats of a work's whole bars."""
    end = max(note.start for track in score.tracks for note in track.notes)
    return (int(end) // score.beats_per_bar + 1) * score.beats_per_bar


def write_report(out: Path, report: dict[str, Any]) -> None:
    """Write `notes.json` and `notes.md`.

    Args:
        out: Folder.
        report: By suite what `orders_followed` gave, and under "music" what `music_alike` gave.
    """
    (out / "notes.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    lines = ["# Notes", ""]
    for suite in SUITES:
        if suite in report:
            lines += [f"## {suite.capitalize()}", "", "| asked | followed | floor | n |", "|---|---|---|---|"]
            lines += [
                f"| {name} | {_text(row)} | {row['floor']['value']:.2f} | {row['n']} |"
                for name, row in report[suite].items()
            ] + [""]
    if "music" in report:
        lines += ["## Music", "", "| fact | takes | works | ratio | area | halves |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {name} | {_text(row['takes'])} | {row['works']:.3f} | {row['ratio']:.2f} | {row['area']:.2f} | "
            f"{row['area_halves']:.2f} |"
            for name, row in report["music"].items()
        ] + [""]
    (out / "notes.md").write_text("\n".join(lines), encoding="utf-8")


def _text(row: dict[str, Any]) -> str:
    return "-" if row["value"] is None else f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
