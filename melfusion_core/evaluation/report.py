"""The evaluation of a model on held-out triplets: does the music obey the caption, and does it obey the picture?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.audio import save_audio
from melfusion_core.data.corpus import Triplet
from melfusion_core.engines.spectrogram.distances import stft_distances
from melfusion_core.evaluation.caption import caption_obeyed, confusion, likeness
from melfusion_core.evaluation.codec import CodecUnderTest
from melfusion_core.evaluation.figures import save_confusion, save_doses, save_scatter
from melfusion_core.evaluation.judging import Judge, judge_quality, load_triplets
from melfusion_core.evaluation.markdown import format_markdown
from melfusion_core.evaluation.measure import Measured, measure
from melfusion_core.evaluation.metrics import mean_interval
from melfusion_core.evaluation.picture import (
    dose_curves,
    dose_slopes,
    feature_ceiling,
    is_monotone,
    moods,
    own_mood,
    own_picture,
    picture_obeyed,
)
from melfusion_core.evaluation.shares import WHOLE, Part
from melfusion_core.evaluation.takes import (
    DOSES,
    HEADROOM,
    NEUTRAL_CAPTION,
    VARIANTS,
    MeasuredPipeline,
    SamplingSettings,
    caption_for,
    claim_folder,
    dose_variant,
    generate_takes,
    load_take,
    take_path,
)

DEFAULT_SAMPLING = SamplingSettings()


@dataclass(frozen=True)
class Extent:
    """How much is evaluated.

    Args:
        n: Held-out triplets; 500 for figures that are published.
        dose_n: The first so many of them for the dose curves.
        batch_size: Pictures per call of the pipeline.
        split: Split of the triplets; everything that is tuned must use "validation".
        part: The share of the takes to generate; a share alone is not measured.
    """

    n: int = 500
    dose_n: int = 100
    batch_size: int = 4
    split: str = "test"
    part: Part = WHOLE


DEFAULT_EXTENT = Extent()


def choose_triplets(triplets: Sequence[Triplet], leads: Sequence[str], n: int, seed: int) -> list[Triplet]:
    """Choose the triplets that are evaluated.

    Args:
        triplets: Held-out triplets.
        leads: Lead instruments that the judge knows.
        n: How many to choose at most.
        seed: Seed of the choice; a smaller `n` gives the beginning of a larger one.

    Returns:
        The chosen triplets.

    Raises:
        ValueError: If the judge knows fewer than three of the leads, or `n` is below 3.
    """
    if n < 3:
        raise ValueError(f"n must be at least 3, got {n}")
    known = [triplet for triplet in triplets if triplet.lead in leads]
    if len(known) < 3:
        raise ValueError("the judge knows the lead instrument of fewer than three triplets")
    order = np.random.default_rng(seed).permutation(len(known))
    return [known[i] for i in order[:n]]


class _Evaluation:
    """One evaluation: a pipeline, a judge, triplets and a folder that keeps takes and measurements."""

    def __init__(
        self,
        pipeline: MeasuredPipeline,
        judge: Judge,
        corpus_root: Path | str,
        out: Path | str,
        extent: Extent,
        settings: SamplingSettings,
        progress: bool = True,
    ) -> None:
        self.pipeline, self.judge, self.out = pipeline, judge, Path(out)
        self.extent, self.settings, self.progress = extent, settings, progress
        self.corpus_root, self.seed = corpus_root, settings.seed
        held_out = load_triplets(corpus_root, extent.split)
        self.triplets = choose_triplets(held_out, judge.classes("lead"), extent.n, self.seed)
        self.samples = round(settings.duration_s * judge.sample_rate)
        claim_folder(self.out, settings)

    def generate(self) -> None:
        """Generate the takes that are missing."""
        for part in ("neutral", "described"):
            generate_takes(
                self.pipeline,
                self.triplets,
                part,
                self.out,
                self.settings,
                self.extent.batch_size,
                self.progress,
                part_made=self.extent.part,
            )
        for strength in DOSES:
            if dose_variant(strength) not in VARIANTS:
                generate_takes(
                    self.pipeline,
                    self.triplets[: self.extent.dose_n],
                    "neutral",
                    self.out,
                    self.settings,
                    self.extent.batch_size,
                    self.progress,
                    dose=strength,
                    part_made=self.extent.part,
                )

    def real_clip(self, triplet: Triplet) -> np.ndarray:
        """A real clip of shape `(samples,)`."""
        return self._cut(triplet.read_audio(self.judge.sample_rate).numpy())

    def _cut(self, waveform: np.ndarray) -> np.ndarray:
        """A waveform cut or padded to the length asked for: takes made of notes end with a bar and ring out."""
        return np.pad(waveform[: self.samples], (0, max(self.samples - len(waveform), 0)))

    def measure(self, part: str, variant: str, triplets: Sequence[Triplet] | None = None) -> Measured:
        """Measure the takes of a part in a variant, or with part "real" the real clips."""
        rate = self.judge.sample_rate

        def read(triplet: Triplet) -> np.ndarray:
            if part == "real":
                return self.real_clip(triplet)
            return self._cut(load_take(self.out, part, variant, triplet, rate))

        label = "real clips" if part == "real" else f"{part}, {variant}"
        cache = self.out / "cues" / f"{part}-{variant}.json"
        return measure(self.judge, triplets or self.triplets, read, label, cache, self.progress)

    def rebuild(self, codec: CodecUnderTest) -> tuple[dict[str, Any], Any]:
        """Spectral distances of the codec's reconstructions, and what the judge hears in them."""
        rows: list[tuple[float, float, float]] = []

        def clips():
            for triplet in tqdm(self.triplets, desc="codec", disable=not self.progress):
                original = codec.cut(self.real_clip(triplet))
                path = take_path(self.out, "codec", "rebuilt", triplet)
                if not path.is_file():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    partial = path.with_name(f"partial-{path.name}")
                    save_audio(partial, codec.rebuild([original])[0] / HEADROOM, codec.sample_rate, subtype="PCM_24")
                    partial.rename(path)
                rebuilt = load_take(self.out, "codec", "rebuilt", triplet, codec.sample_rate)
                pair = torch.from_numpy(original), torch.from_numpy(rebuilt)
                rows.append((codec.mel_distance(original, rebuilt), *stft_distances(*pair)))
                yield np.pad(rebuilt, (0, self.samples - len(rebuilt)))

        heard = self.judge.hear(clips())
        names = ("mel_l1_nats", "stft_convergence", "stft_log_l1_nats")
        columns = np.array(rows).T
        figures = {name: mean_interval(x, self.seed).to_dict() for name, x in zip(names, columns, strict=True)}
        return figures, heard


def evaluate(
    pipeline: MeasuredPipeline,
    judge: Judge,
    corpus_root: Path | str,
    out: Path | str,
    extent: Extent = DEFAULT_EXTENT,
    settings: SamplingSettings = DEFAULT_SAMPLING,
    codec: CodecUnderTest | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Evaluate a model on held-out triplets and write `report.json`, `report.md` and the figures.

    Takes and cues are kept, so that an interrupted evaluation goes on where it stopped.

    Args:
        pipeline: What generates: has `sample_rate`, `compare` and can be called; the judge hears its takes at its own
            rate, channels averaged.
        judge: Judge trained on its part of the same corpus's train split.
        corpus_root: Corpus folder.
        out: Folder to write.
        extent: How much is evaluated.
        settings: How to generate.
        codec: The pipeline's codec; None leaves its section out, and the report says so.
        progress: Show progress bars.

    Returns:
        The report, as in `report.json`; empty where a share of the takes was made.

    Raises:
        ValueError: If `out` belongs to other settings.
    """
    run = _Evaluation(pipeline, judge, corpus_root, out, extent, settings, progress)
    run.generate()
    if extent.part.count > 1:
        return {}
    seed, triplets = settings.seed, run.triplets
    real = run.measure("real", "clips")
    neutral = {variant: run.measure("neutral", variant) for variant in VARIANTS}
    described = {variant: run.measure("described", variant) for variant in VARIANTS}
    dosed = triplets[: extent.dose_n]
    doses = {strength: run.measure("neutral", dose_variant(strength), dosed) for strength in DOSES}
    seen = judge.see([triplet.image for triplet in triplets])
    curves = dose_curves(dosed, doses, seen[: len(dosed)], seed)
    heard = {variant: each.heard for variant, each in described.items()}
    report: dict[str, Any] = {
        "n": len(triplets),
        "dose_n": len(dosed),
        "split": extent.split,
        "settings": asdict(settings),
        "neutral_caption": NEUTRAL_CAPTION,
        "described_caption": caption_for(triplets[0], "described"),
        "judge": {"name": judge.name, "real_clips": judge_quality(judge, real.heard, triplets, seed)},
        "picture_obeyed": picture_obeyed(triplets, neutral, real, seed),
        "own_picture": own_picture(seen, {**neutral, "real": real}, seed),
        "own_mood": own_mood(triplets, {**neutral, "real": real}, seed),
        "doses": {name: {"points": curve, "monotone": is_monotone(curve)} for name, curve in curves.items()},
    }
    report["dose_slopes"] = dose_slopes(dosed, doses, real, seed)
    report["feature_ceiling"] = feature_ceiling(load_triplets(corpus_root, "train"), triplets, seed, progress)
    captions = [caption_for(triplet, "described") for triplet in triplets]
    report["caption_obeyed"] = caption_obeyed(judge, {**described, "real": real}, triplets, captions, seed)
    if codec is not None:
        report["codec"], heard["codec"] = run.rebuild(codec)
    report["likeness"] = likeness(heard, real.heard, judge.name, seed)
    parts = (("neutral", neutral), ("described", described))
    report["sound"] = {f"{part}, {variant}": each[variant].sound for part, each in parts for variant in each}
    run.out.joinpath("report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    run.out.joinpath("report.md").write_text(format_markdown(report), encoding="utf-8")
    _draw(run, report, {**neutral, "real": real}, described["with_image"])
    return report


def _draw(run: _Evaluation, report: dict[str, Any], sets: dict[str, Measured], described: Measured) -> None:
    mood = moods(run.triplets)
    pairs = report["picture_obeyed"]["all"]["pairs"]
    save_scatter(run.out / "affect.png", mood, {name: each.cues for name, each in sets.items()}, pairs)
    save_doses(run.out / "doses.png", report["doses"])
    counts, names = confusion(run.judge, described.heard, run.triplets)
    if names:
        save_confusion(run.out / "confusion.png", counts, names)
