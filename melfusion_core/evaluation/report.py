"""The evaluation of a model on held-out triplets: does the music obey the caption, and does it obey the picture?"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm.auto import tqdm

from melfusion_core.audio import load_audio

from .classifier import ClipJudge, Judgement
from .cues import audio_cues
from .figures import format_markdown, save_scatter
from .listening import listen
from .metrics import accuracy_interval, frechet_distance, kl_divergence, spearman_gain, spearman_interval
from .takes import NEUTRAL_CAPTION, VARIANTS, ComparingPipeline, SamplingSettings, generate_takes, load_takes
from .triplets import Triplet, load_triplets

AROUSAL_CUES = ("onset_rate_hz", "rms_dbfs", "centroid_hz")
DEFAULT_SAMPLING = SamplingSettings()
SILENT_LEVEL_DBFS = -100.0  # stands for -inf, so that ranks are defined


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
        ValueError: If the judge knows none of the leads, or `n` is below 3.
    """
    if n < 3:
        raise ValueError(f"n must be at least 3, got {n}")
    known = [triplet for triplet in triplets if triplet.lead in leads]
    if len(known) < 3:
        raise ValueError("the judge knows the lead instrument of fewer than three triplets")
    order = np.random.default_rng(seed).permutation(len(known))
    return [known[i] for i in order[:n]]


def measure_cues(
    waveforms: Sequence[np.ndarray], sample_rate: int, label: str, progress: bool
) -> dict[str, np.ndarray]:
    """Measure the cues of clips.

    Args:
        waveforms: Mono clips.
        sample_rate: In Hz.
        label: What they are, for the progress bar.
        progress: Show a progress bar.

    Returns:
        One array of shape `(clips,)` per cue; `combined` is the mean rank of the three cues of arousal.
    """
    rows = [
        asdict(audio_cues(waveform, sample_rate)) for waveform in tqdm(waveforms, desc=label, disable=not progress)
    ]
    cues = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    cues["rms_dbfs"] = np.maximum(cues["rms_dbfs"], SILENT_LEVEL_DBFS)
    cues["combined"] = np.mean([rankdata(cues[name]) for name in AROUSAL_CUES], axis=0)
    return cues


def picture_obeyed(
    arousal: np.ndarray,
    valence: np.ndarray,
    cues: dict[str, dict[str, np.ndarray]],
    judged: dict[str, np.ndarray],
    seed: int = 0,
) -> dict[str, Any]:
    """Rank correlations of the picture's mood with the music's cues.

    Args:
        arousal: Arousal of the pictures, of shape `(n,)`.
        valence: Valence of the pictures, of shape `(n,)`.
        cues: Cues by variant ("with_image", "text_only", "real"), as `measure_cues` gives them.
        judged: Valence and arousal heard by the judge by variant, each of shape `(n, 2)`.
        seed: Seed of the bootstrap.

    Returns:
        By pair ("arousal -> rms_dbfs", ...) the correlation of every variant and the gain of the picture, with
        95 % intervals.
    """
    pairs: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {
        f"arousal -> {name}": (arousal, {variant: values[name] for variant, values in cues.items()})
        for name in (*AROUSAL_CUES, "combined", "tempo_bpm")
    }
    pairs["arousal -> judged arousal"] = arousal, {variant: values[:, 1] for variant, values in judged.items()}
    pairs["valence -> mode"] = valence, {variant: values["mode"] for variant, values in cues.items()}
    pairs["valence -> judged valence"] = valence, {variant: values[:, 0] for variant, values in judged.items()}
    return {
        name: {
            **{variant: spearman_interval(mood, values, seed).to_dict() for variant, values in by_variant.items()},
            "gain": spearman_gain(mood, by_variant["with_image"], by_variant["text_only"], seed).to_dict(),
        }
        for name, (mood, by_variant) in pairs.items()
    }


def caption_obeyed(heard: dict[str, Judgement], triplets: Sequence[Triplet], leads: Sequence[str]) -> dict[str, Any]:
    """Accuracy of the recognised lead instrument.

    Args:
        heard: What the judge hears by variant ("with_image", "text_only", "real").
        triplets: The triplets, whose lead the captions named.
        leads: Lead instruments that the judge knows.

    Returns:
        Top-1 and top-3 accuracy by variant with Wilson intervals, and the accuracy of chance.
    """
    truth = np.array([list(leads).index(triplet.lead) for triplet in triplets])
    result: dict[str, Any] = {}
    for variant, judgement in heard.items():
        ranked = np.argsort(-judgement.lead, axis=1)
        result[variant] = {
            "top1": accuracy_interval(ranked[:, 0] == truth).to_dict(),
            "top3": accuracy_interval((ranked[:, :3] == truth[:, None]).any(1)).to_dict(),
        }
    commonest = Counter(truth.tolist()).most_common(1)[0][1] / len(truth)
    result["chance"] = {"uniform": round(1 / len(leads), 4), "commonest": round(commonest, 4), "classes": len(leads)}
    return result


def likeness(
    heard: dict[str, Judgement], reference: np.ndarray, paired: Judgement, seed: int = 0
) -> dict[str, float | int | str | None]:
    """Frechet distances to real clips and KL to the paired real clips, with the judge as embedder.

    Args:
        heard: What the judge hears in the takes with named instrument, by variant.
        reference: Embeddings of real held-out clips other than the paired ones, of shape `(m, d)`.
        paired: What the judge hears in the real clips of the same triplets.
        seed: Seed of the choice of equal numbers.

    Returns:
        Distances of every variant; the floor is that of the paired real clips to the same reference.
    """
    result: dict[str, float | int | str | None] = {"embedder": "judge", "reference_clips": len(reference)}
    rng = np.random.default_rng(seed)
    n = len(paired.embedding)
    # Equal numbers on both sides, where there are enough, keep the bias of small samples the same for all.
    rows = rng.permutation(len(reference))[: max(n, 2)]
    if len(rows) < 2:
        return {**result, "note": "too few other real clips for a Frechet distance"}
    for variant, judgement in heard.items():
        result[f"frechet_{variant}"] = round(frechet_distance(judgement.embedding, reference[rows]), 4)
        result[f"kl_{variant}"] = round(kl_divergence(paired.lead, judgement.lead), 4)
    result["frechet_floor_real"] = round(frechet_distance(paired.embedding, reference[rows]), 4)
    return result


def sound_check(waveforms: Sequence[np.ndarray], sample_rate: int) -> dict[str, Any]:
    """Sum up the listening checks of takes.

    Args:
        waveforms: Mono takes.
        sample_rate: In Hz.

    Returns:
        Shares and medians, and the number of takes by problem.
    """
    checks = [listen(waveform, sample_rate) for waveform in waveforms]
    problems = Counter(sentence for check in checks for sentence in check.problems())
    loud = [check.peak_dbfs for check in checks if math.isfinite(check.peak_dbfs)]
    return {
        "takes": len(checks),
        "finite": sum(check.finite for check in checks),
        "silent": sum(check.silent_share > 0.9 for check in checks),
        "median_peak_dbfs": round(float(np.median(loud)), 2) if loud else None,
        "median_tonality": round(float(np.median([check.tonality for check in checks])), 4),
        "problems": dict(problems),
    }


def evaluate(
    pipeline: ComparingPipeline,
    judge: ClipJudge,
    corpus_root: Path | str,
    out: Path | str,
    n: int = 128,
    settings: SamplingSettings = DEFAULT_SAMPLING,
    batch_size: int = 4,
    progress: bool = True,
) -> dict[str, Any]:
    """Evaluate a model on the test split and write `report.json`, `report.md` and `arousal.png`.

    Takes are kept, so that an interrupted evaluation goes on where it stopped.

    Args:
        pipeline: What generates: has `sample_rate` and `compare`.
        judge: Judge trained on the same corpus's train split.
        corpus_root: Corpus folder.
        out: Folder to write.
        n: Number of triplets.
        settings: How to generate.
        batch_size: Pictures per call of the pipeline.
        progress: Show progress bars.

    Returns:
        The report, as in `report.json`.

    Raises:
        ValueError: If the sample rates of judge and pipeline differ, or `out` belongs to other settings.
    """
    out = Path(out)
    rate = judge.mel_config.sample_rate
    if pipeline.sample_rate != rate:
        raise ValueError(f"the pipeline makes {pipeline.sample_rate} Hz, the judge hears {rate} Hz")
    leads = tuple(judge.config.leads)
    held_out = load_triplets(corpus_root, "test")
    triplets = choose_triplets(held_out, leads, n, settings.seed)
    for part in ("neutral", "named"):
        generate_takes(pipeline, triplets, part, out, settings, batch_size, progress)

    samples = round(settings.duration_s * rate)
    chosen = {triplet.id for triplet in triplets}
    real = [_clip(triplet, rate, samples) for triplet in triplets]
    others = [_clip(triplet, rate, samples) for triplet in held_out if triplet.id not in chosen]
    neutral = {variant: load_takes(out, "neutral", variant, triplets, rate) for variant in VARIANTS}
    named = {variant: load_takes(out, "named", variant, triplets, rate) for variant in VARIANTS}
    heard_real = judge.judge_many(real)
    heard = {variant: judge.judge_many(waveforms) for variant, waveforms in named.items()}
    felt = {variant: judge.judge_many(waveforms).affect for variant, waveforms in neutral.items()}
    cues = {v: measure_cues(w, rate, f"cues, {v}", progress) for v, w in {**neutral, "real": real}.items()}
    arousal, valence = (np.array([getattr(t, f"image_{axis}") for t in triplets]) for axis in ("arousal", "valence"))
    reference = judge.judge_many(others).embedding if others else np.zeros((0, heard_real.embedding.shape[1]))
    report = {
        "n": len(triplets),
        "settings": asdict(settings),
        "neutral_caption": NEUTRAL_CAPTION,
        "judge": {"real_clips": dict(judge.config).get("training", {}).get("test", {}), "leads": len(leads)},
        "picture_obeyed": picture_obeyed(arousal, valence, cues, {**felt, "real": heard_real.affect}, settings.seed),
        "caption_obeyed": caption_obeyed({**heard, "real": heard_real}, triplets, leads),
        "likeness": likeness(heard, reference, heard_real, settings.seed),
        "sound": {
            f"{part}, {variant}": sound_check(takes[variant], rate)
            for part, takes in (("neutral", neutral), ("named", named))
            for variant in takes
        },
    }
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(format_markdown(report), encoding="utf-8")
    save_scatter(out / "arousal.png", arousal, cues, report["picture_obeyed"])
    rows = {f"{variant}_{name}": cues[variant][name].tolist() for variant in cues for name in cues[variant]}
    rows |= {"id": [t.id for t in triplets], "image_arousal": arousal.tolist(), "image_valence": valence.tolist()}
    (out / "cues.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")
    return report


def _clip(triplet: Triplet, sample_rate: int, samples: int) -> np.ndarray:
    """A real clip cut or padded to the length of the takes."""
    waveform = load_audio(triplet.audio, sample_rate).numpy()[:samples]
    return np.pad(waveform, (0, samples - len(waveform)))
