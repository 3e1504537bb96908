"""Tuning the sampler on the validation split: the same triplets and noise under different settings.

Every figure is one that `evaluate` reports too; the Frechet distance and the KL are to the real clips of the same
triplets, which ranks settings well on few clips but flatters each of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from melfusion_core.data.corpus import Triplet
from melfusion_core.evaluation.caption import caption_obeyed, likeness
from melfusion_core.evaluation.judging import Judge, Judgement, load_triplets, truths
from melfusion_core.evaluation.measure import Measured, measure
from melfusion_core.evaluation.metrics import retrieval_hits, spearman_interval
from melfusion_core.evaluation.picture import moods, own_mood
from melfusion_core.evaluation.report import choose_triplets
from melfusion_core.evaluation.takes import (
    MeasuredPipeline,
    SamplingSettings,
    caption_for,
    dose_variant,
    generate_takes,
    load_take,
)
from melfusion_core.take import KNOBS

SPLIT = "validation"
COLUMNS = {
    "lead": "lead",
    "lead_probability": "p(lead)",
    "tempo": "tempo",
    "tempo_probability": "p(tempo)",
    "mode": "mode",
    "mode_probability": "p(mode)",
    "own_caption": "caption / 20",
    "arousal": "arousal",
    "valence": "valence",
    "own_mood": "mood / 20",
    "frechet": "Frechet",
    "kl": "KL",
    "contrast": "contrast, dB",
    "clipped": "clipped",
    "seconds": "s / take",
}
NOT_TUNED = ("seed", "duration_s")


def parse_trial(text: str, base: SamplingSettings) -> SamplingSettings:
    """Read the settings of one trial.

    Args:
        text: Such as "guidance_scale=3,sampler=ddim"; "" is the base itself.
        base: Settings of what is not named.

    Returns:
        The settings.

    Raises:
        ValueError: When a name is unknown, or a value has the wrong type or is out of range.
    """
    tuned = {name: knob for name, knob in KNOBS.items() if name not in NOT_TUNED}
    changes: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = part.partition("=")
        if not sign or name not in tuned:
            raise ValueError(f"{part!r} is not NAME=VALUE with a name of {', '.join(tuned)}")
        try:
            changes[name] = tuned[name].kind(value)
        except ValueError:
            raise ValueError(f"{value!r} is no value for {name}") from None
    return replace(base, **changes)


def trial_name(settings: SamplingSettings, base: SamplingSettings) -> str:
    """Name of a trial: what differs from the base.

    Args:
        settings: Settings of the trial.
        base: Settings of all trials.

    Returns:
        Such as "guidance_scale=3.0"; "base" where nothing differs.
    """
    mine, theirs = asdict(settings), asdict(base)
    return ",".join(f"{name}={mine[name]}" for name in mine if mine[name] != theirs[name]) or "base"


def tune(
    pipeline: MeasuredPipeline,
    judge: Judge,
    corpus_root: Path | str,
    out: Path | str,
    base: SamplingSettings,
    trials: Sequence[SamplingSettings],
    n: int = 48,
    batch_size: int = 4,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Measure settings on triplets of the validation split; write `tuning.json` and `tuning.md`.

    Each trial has its own folder of takes; finished takes are not made again.

    Args:
        pipeline: What generates.
        judge: Who hears.
        corpus_root: Corpus folder.
        out: Folder to write.
        base: Settings that the trials are named against.
        trials: The settings to compare.
        n: Triplets; of each one take with the neutral and one with the describing caption, both with the picture.
        batch_size: Pictures per call.
        progress: Show progress bars.

    Returns:
        One row per trial, as in `tuning.json`: "trial" and the names of `COLUMNS`. Correlations are of the picture's
        mood with the music's cues; "seconds" is 0 for takes that were there already.
    """
    out = Path(out)
    triplets = choose_triplets(load_triplets(corpus_root, SPLIT), judge.classes("lead"), n, base.seed)
    real = _measure_real(judge, triplets, base.duration_s, out, progress)
    rows = []
    for settings in trials:
        name = trial_name(settings, base)
        row = {"trial": name} | _trial(
            pipeline, judge, triplets, out / name, replace(settings, model=base.model), real, batch_size, progress
        )
        rows.append(row)
        report = {"n": len(triplets), "split": SPLIT, "base": asdict(base), "judge": judge.name, "trials": rows}
        report["real_contrast"] = real.sound["contrast_db"]
        (out / "tuning.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (out / "tuning.md").write_text(_format_tuning(report), encoding="utf-8")
    return rows


def _measure_real(judge: Judge, triplets: Sequence[Triplet], duration_s: float, out: Path, progress: bool) -> Measured:
    samples = round(duration_s * judge.sample_rate)

    def read(triplet: Triplet) -> np.ndarray:
        waveform = triplet.read_audio(judge.sample_rate).numpy()[:samples]
        return np.pad(waveform, (0, samples - len(waveform)))

    return measure(judge, triplets, read, "real clips", out / "real.json", progress)


def _trial(
    pipeline: MeasuredPipeline,
    judge: Judge,
    triplets: Sequence[Triplet],
    out: Path,
    settings: SamplingSettings,
    real: Measured,
    batch_size: int,
    progress: bool,
) -> dict[str, Any]:
    variant = dose_variant(settings.synapse_strength)
    measured, started = {}, time.perf_counter()
    fresh = sum(not list((out / "takes" / part).rglob("*.flac")) for part in ("neutral", "described"))
    for part in ("neutral", "described"):
        generate_takes(pipeline, triplets, part, out, settings, batch_size, progress, dose=settings.synapse_strength)
    seconds = (time.perf_counter() - started) / (2 * len(triplets)) if fresh == 2 else 0.0
    for part in ("neutral", "described"):

        def read(triplet: Triplet, part: str = part) -> np.ndarray:
            return load_take(out, part, variant, triplet, judge.sample_rate)

        measured[part] = measure(judge, triplets, read, part, out / "cues" / f"{part}.json", progress)
    described, neutral = measured["described"], measured["neutral"]
    captions = [caption_for(triplet, "described") for triplet in triplets]
    obeyed = caption_obeyed(judge, {"take": described}, triplets, captions, settings.seed)["take"]
    alike = likeness({"take": described.heard}, real.heard, judge.name, settings.seed)["sets"]["take"]
    mood, named = moods(triplets), ("lead", "tempo", "mode")
    return {
        **{name: obeyed[name]["value"] for name in named},
        **{f"{name}_probability": true_probability(judge, described.heard, name, triplets) for name in named},
        "own_caption": round(float(np.mean(retrieval_hits(described.heard.joint @ judge.read(captions).T))), 4),
        **{
            axis: spearman_interval(mood[axis], neutral.cues[f"{axis}_cues"], settings.seed).value
            for axis in ("arousal", "valence")
        },
        "own_mood": own_mood(triplets, {"take": neutral}, settings.seed)["take"]["value"],
        "frechet": alike["frechet"]["value"],
        "kl": alike["kl"]["value"],
        "contrast": described.sound["contrast_db"],
        "clipped": described.sound["clipped"] + neutral.sound["clipped"],
        "seconds": round(seconds, 2),
    }


def true_probability(judge: Judge, heard: Judgement, attribute: str, triplets: Sequence[Triplet]) -> float | None:
    """What the judge gives the true class on average: steadier than accuracy on few clips.

    Args:
        judge: Whose classes count.
        heard: What it hears.
        attribute: "lead", "style", "tempo" or "mode".
        triplets: What the clips should be; those whose class the judge does not know are left out.

    Returns:
        Mean probability; None when no class is known.
    """
    truth = truths(judge, attribute, triplets)
    rows = np.flatnonzero(truth >= 0)
    return round(float(getattr(heard, attribute)[rows, truth[rows]].mean()), 4) if len(rows) else None


def _format_tuning(report: dict[str, Any]) -> str:
    """Write the trials as Markdown."""
    base = ", ".join(f"{name} {value}" for name, value in report["base"].items() if value not in ("", None))
    lines = [
        "# Sampler settings compared",
        "",
        f"{report['n']} triplets of the {report['split']} split; base: {base}. Heard by {report['judge']}. "
        f"Contrast is of takes with describing captions; of the real clips {report['real_contrast']:.3g} dB.",
        "",
        "| trial | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for row in report["trials"]:
        cells = ("–" if row[name] is None else f"{row[name]:.3g}" for name in COLUMNS)
        lines.append(f"| {row['trial']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
