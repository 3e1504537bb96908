"""Does the music obey the caption, and is it like real music?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from melfusion_core.data.corpus import Triplet
from melfusion_core.evaluation.judging import Judge, Judgement, class_accuracy, commonest_share, truths
from melfusion_core.evaluation.measure import Measured
from melfusion_core.evaluation.metrics import (
    accuracy_interval,
    bootstrap,
    half_frechet,
    kl_divergence,
    mean_interval,
    paired_frechet,
    retrieval_hits,
    spearman_interval,
)

ATTRIBUTES = ("lead", "style", "tempo", "mode")


def caption_obeyed(
    judge: Judge, measured: dict[str, Measured], triplets: Sequence[Triplet], captions: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Whether what the caption names is heard, by the judge and by librosa.

    Args:
        judge: Who hears.
        measured: Takes with the describing caption by variant, and the "real" clips.
        triplets: The triplets, whose attributes the captions name.
        captions: The captions.
        seed: Seed of the bootstrap.

    Returns:
        By variant accuracies of lead (also among the first three), style, tempo word and mode by the judge; accuracy
        of the mode by the sign of Krumhansl's correlations and rank correlation of librosa's tempo; retrieval of the
        own caption among 20. Beside them chance.
    """
    read = judge.read(list(captions))
    result: dict[str, Any] = {}
    for variant, each in measured.items():
        row = {name: class_accuracy(judge, each.heard, name, triplets).to_dict() for name in ATTRIBUTES}
        row["lead_top3"] = class_accuracy(judge, each.heard, "lead", triplets, top=3).to_dict()
        named = np.array([triplet.mode in ("major", "minor") for triplet in triplets])
        major = np.array([triplet.mode == "major" for triplet in triplets])
        row["mode_by_krumhansl"] = accuracy_interval(((each.cues["mode"] > 0) == major)[named]).to_dict()
        tempo = np.array([triplet.tempo_bpm or 0.0 for triplet in triplets])
        row["tempo_by_librosa"] = spearman_interval(tempo, each.cues["tempo_bpm"], seed).to_dict()
        if len(triplets) > 1:
            hits = retrieval_hits(each.heard.joint @ read.T)
            row["own_caption_among_20"] = mean_interval(hits, seed).to_dict()
        result[variant] = row
    result["chance"] = {
        name: {
            "classes": len(judge.classes(name)),
            "uniform": round(1 / max(len(judge.classes(name)), 1), 4),
            "commonest": round(commonest_share(judge, name, triplets), 4),
        }
        for name in ATTRIBUTES
    }
    return result


def confusion(judge: Judge, heard: Judgement, triplets: Sequence[Triplet]) -> tuple[np.ndarray, list[str]]:
    """Confusion matrix of the lead instrument.

    Args:
        judge: Who hears.
        heard: What it hears.
        triplets: Whose lead the captions named.

    Returns:
        Counts of shape `(c, c)`, true classes in rows, over the classes that were named or heard; and their names.
    """
    names = judge.classes("lead")
    truth, found = truths(judge, "lead", triplets), heard.lead.argmax(1)
    counts = np.zeros((len(names), len(names)), dtype=int)
    known = truth >= 0
    np.add.at(counts, (truth[known], found[known]), 1)
    used = np.flatnonzero((counts.sum(0) + counts.sum(1)) > 0)
    return counts[np.ix_(used, used)], [names[index] for index in used]


def likeness(sets: dict[str, Judgement], real: Judgement, embedder: str, seed: int = 0) -> dict[str, Any]:
    """Frechet distances to real clips and KL to the paired real clips.

    Args:
        sets: What the judge hears in the takes, and in the codec's reconstructions ("codec"), row by row of the same
            triplets.
        real: What it hears in the real clips.
        embedder: Name of the judge.
        seed: Seed of halves and resamples.

    Returns:
        By set the distance to the real clips of the same triplets ("frechet"), between halves that share no clip
        ("frechet_halves") and the mean KL of the lead posteriors; the "floor" between two halves of the real clips,
        and the KL of mismatched real clips ("kl_chance").
    """
    result: dict[str, Any] = {"embedder": embedder, "n": len(real.embedding), "sets": {}}
    if len(real.embedding) < 4:
        return result | {"note": "too few clips for a Frechet distance"}
    for name, heard in sets.items():

        def mean_kl(rows: np.ndarray, heard: Judgement = heard) -> np.ndarray:
            return np.array([kl_divergence(real.lead[row], heard.lead[row]) for row in rows])

        result["sets"][name] = {
            "frechet": paired_frechet(heard.embedding, real.embedding, seed).to_dict(),
            "frechet_halves": half_frechet(heard.embedding, real.embedding, seed).to_dict(),
            "kl": bootstrap(mean_kl, len(real.lead), seed, draws=200).to_dict(),
        }
    result["floor"] = half_frechet(real.embedding, real.embedding, seed).to_dict()
    result["kl_chance"] = round(kl_divergence(real.lead, np.roll(real.lead, 1, axis=0)), 4)
    if "codec" in sets:
        for name in sets:
            for key in ("frechet", "frechet_halves"):
                value, codec = (result["sets"][each][key]["value"] for each in (name, "codec"))
                result["sets"][name][f"{key}_over_codec"] = round(value / codec, 3) if codec else None
    return result
