"""What is measured of a set of clips: the judge's opinion, the cues of mood, and whether there is sound at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm.auto import tqdm

from melfusion_core.audio import peak_dbfs
from melfusion_core.data.corpus import Triplet
from melfusion_core.evaluation.cues import AudioCues, audio_cues, rms_dbfs
from melfusion_core.evaluation.judging import Judge, Judgement

AROUSAL_CUES = ("onset_rate_hz", "tempo_bpm", "rms_dbfs", "centroid_hz", "flux")
VALENCE_CUES = ("mode", "centroid_hz")
SILENT_LEVEL_DBFS = -100.0  # stands for -inf, so that ranks are defined
_FRAME_S = 0.05


@dataclass(frozen=True)
class Measured:
    """What was measured of clips.

    Attributes:
        heard: What the judge hears.
        cues: One array of shape `(n,)` per cue, with "arousal_cues" and "valence_cues" for the mean ranks.
        sound: Numbers of takes that are not finite, silent, clipped or without onset, the median peak and the mean
            contrast.
    """

    heard: Judgement
    cues: dict[str, np.ndarray]
    sound: dict[str, Any]

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Cues of some clips, with the mean ranks taken among them.

        Args:
            rows: Indices of clips.

        Returns:
            One array per cue.
        """
        return with_mean_ranks({name: values[rows] for name, values in self.cues.items()})


def with_mean_ranks(cues: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add the two composites, fixed beforehand: the mean rank of all cues of arousal, and of valence.

    Args:
        cues: One array of shape `(n,)` per cue.

    Returns:
        The cues with "arousal_cues" and "valence_cues".
    """
    composites = {"arousal_cues": AROUSAL_CUES, "valence_cues": VALENCE_CUES}
    return cues | {name: np.mean([rankdata(cues[cue]) for cue in parts], axis=0) for name, parts in composites.items()}


def measure(
    judge: Judge,
    triplets: Sequence[Triplet],
    read: Callable[[Triplet], np.ndarray],
    label: str,
    cache: Path | None = None,
    progress: bool = True,
) -> Measured:
    """Measure the clips of triplets; they are read one at a time.

    Args:
        judge: Who hears them.
        triplets: Whose clips are measured.
        read: Gives a triplet's clip of shape `(samples,)`, at the judge's sample rate.
        label: What they are, for the progress bar.
        cache: File that keeps the cues by triplet; None keeps none. Clips of which it lacks a cue are measured again.
        progress: Show a progress bar.

    Returns:
        What was measured, in the order of the triplets.
    """
    rate, wanted = judge.sample_rate, {field.name for field in fields(AudioCues)}
    kept = json.loads(cache.read_text(encoding="utf-8")) if cache is not None and cache.is_file() else {}
    fresh = False

    def clips():
        nonlocal fresh
        for triplet in tqdm(triplets, desc=f"measuring {label}", disable=not progress):
            waveform = read(triplet)
            finite = bool(np.isfinite(waveform).all())
            waveform = np.where(np.isfinite(waveform), waveform, 0.0).astype(np.float32)
            if not wanted <= kept.get(triplet.id, {}).keys():
                kept[triplet.id] = _row(waveform, rate, finite)
                fresh = True
            yield waveform

    heard = judge.hear(clips())
    if cache is not None and fresh:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(kept) + "\n", encoding="utf-8")
    rows = [kept[triplet.id] for triplet in triplets]
    names = (*dict.fromkeys(AROUSAL_CUES + VALENCE_CUES),)
    cues = with_mean_ranks({name: np.array([row[name] for row in rows]) for name in names})
    peaks = [row["peak_dbfs"] for row in rows]
    sound = {
        "takes": len(rows),
        "not_finite": sum(not row["finite"] for row in rows),
        "silent": sum(row["silent_share"] > 0.9 for row in rows),
        "clipped": sum(row["clipped_share"] > 0.001 for row in rows),
        "without_onset": sum(row["onset_rate_hz"] == 0.0 for row in rows),
        "median_peak_dbfs": round(float(np.median(peaks)), 2),
        "contrast_db": round(float(np.mean([row["contrast_db"] for row in rows])), 2),
    }
    return Measured(heard, cues, sound)


def _row(waveform: np.ndarray, sample_rate: int, finite: bool) -> dict[str, float | bool]:
    cues = asdict(audio_cues(waveform, sample_rate))
    cues["rms_dbfs"] = max(cues["rms_dbfs"], SILENT_LEVEL_DBFS)
    frame = max(round(_FRAME_S * sample_rate), 1)
    levels = [rms_dbfs(waveform[start : start + frame]) for start in range(0, len(waveform), frame)]
    peak = peak_dbfs(waveform)
    return cues | {
        "finite": finite,
        "silent_share": float(np.mean(np.array(levels) < -60.0)),
        "clipped_share": float(np.mean(np.abs(waveform) >= 1.0)),
        "peak_dbfs": peak if math.isfinite(peak) else SILENT_LEVEL_DBFS,
    }
