"""Does the music obey the picture? Rank correlations, their ceiling, retrieval, and dose curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from melfusion_core.data.corpus import PHOTO, Triplet
from melfusion_core.data.picture_affect import picture_features
from melfusion_core.evaluation.measure import AROUSAL_CUES, VALENCE_CUES, Measured
from melfusion_core.evaluation.metrics import (
    mean_interval,
    retrieval_hits,
    slope_interval,
    spearman_gain,
    spearman_interval,
)
from melfusion_core.evaluation.ridge import ridge_predict
from melfusion_core.evaluation.takes import DOSES

LEAST_GROUP = 10
CEILING_PICTURES = 1200
AMONG = 20
PAIRS = (
    *(("arousal", name) for name in ("arousal_cues", *AROUSAL_CUES)),
    *(("valence", name) for name in ("valence_cues", *VALENCE_CUES)),
)


def moods(triplets: Sequence[Triplet]) -> dict[str, np.ndarray]:
    """Moods of the pictures.

    Args:
        triplets: Whose pictures.

    Returns:
        "arousal" and "valence", each of shape `(n,)`.
    """
    return {axis: np.array([getattr(t, f"image_{axis}") for t in triplets]) for axis in ("arousal", "valence")}


def _groups_of(triplets: Sequence[Triplet]) -> dict[str, np.ndarray]:
    """Kinds of pictures that are reported apart."""
    groups = {"all": np.arange(len(triplets))}
    for kind in sorted({triplet.kind for triplet in triplets if triplet.kind}):
        rows = np.array([index for index, triplet in enumerate(triplets) if triplet.kind == kind])
        if len(rows) >= LEAST_GROUP:
            groups[kind] = rows
    return groups


def picture_obeyed(
    triplets: Sequence[Triplet], measured: dict[str, Measured], real: Measured, seed: int = 0
) -> dict[str, Any]:
    """Rank correlations of the picture's mood with the music's cues.

    Args:
        triplets: Whose pictures.
        measured: Takes by variant ("with_image", "text_only"), in the order of the triplets.
        real: The real clips of the triplets.
        seed: Seed of the bootstrap.

    Returns:
        By group and by pair ("arousal -> flux", ...) the correlation of every variant and of the real clips, and the
        gain of the picture, with 95 % intervals; those of photographs over themes.
    """
    mood = moods(triplets)
    result: dict[str, Any] = {}
    for group, rows in _groups_of(triplets).items():
        themes = [triplets[row].theme or triplets[row].id for row in rows] if group == PHOTO else None
        sets = {name: each.take(rows) for name, each in (*measured.items(), ("real", real))}
        judged = {name: each.heard.affect[rows] for name, each in (*measured.items(), ("real", real))}
        table: dict[str, Any] = {"n": len(rows), "themes": len(set(themes)) if themes else None, "pairs": {}}
        values = {f"{axis} -> {cue}": (axis, {v: cues[cue] for v, cues in sets.items()}) for axis, cue in PAIRS}
        for column, axis in enumerate(("valence", "arousal")):
            values[f"{axis} -> judged {axis}"] = axis, {name: affect[:, column] for name, affect in judged.items()}
        for name, (axis, by_variant) in values.items():
            wanted = mood[axis][rows]
            row = {v: spearman_interval(wanted, x, seed, groups=themes).to_dict() for v, x in by_variant.items()}
            gain = spearman_gain(wanted, by_variant["with_image"], by_variant["text_only"], seed, groups=themes)
            table["pairs"][name] = row | {"gain": gain.to_dict()}
        result[group] = table
    return result


def feature_ceiling(
    train: Sequence[Triplet],
    triplets: Sequence[Triplet],
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """How well a ridge regression on colours and texture tells the pictures' moods: the ceiling of what needs no eye.

    Args:
        train: Triplets of the train split.
        triplets: Held-out triplets.
        seed: Seed of the choice of at most 1,200 training pictures per group.
        progress: Show progress bars.

    Returns:
        By group rank correlations of predicted and true mood with 95 % intervals; none where a group has too few
        pictures or themes to train on.
    """
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {}
    known: dict[Path, list[float]] = {}

    def table(some: Sequence[Triplet], label: str) -> np.ndarray:
        for triplet in tqdm(some, desc=f"features, {label}", disable=not progress):
            if triplet.image not in known:
                known[triplet.image] = list(astuple(picture_features(triplet.read_image())))
        return np.array([known[triplet.image] for triplet in some])

    for group, rows in _groups_of(triplets).items():
        pool = [triplet for triplet in train if group in ("all", triplet.kind)]
        pool = [pool[index] for index in rng.permutation(len(pool))[:CEILING_PICTURES]]
        themes = [triplet.theme or triplet.id for triplet in pool]
        if len(set(themes)) < 2 or len(pool) < 2 * LEAST_GROUP:
            continue
        held = [triplets[row] for row in rows]

        fitted, asked = moods(pool), moods(held)
        targets = np.stack([fitted["arousal"], fitted["valence"]], axis=1)
        predicted = ridge_predict(table(pool, f"{group}, train"), targets, themes, table(held, f"{group}, held out"))
        clusters = [triplet.theme or triplet.id for triplet in held] if group == PHOTO else None
        result[group] = {
            axis: spearman_interval(asked[axis], predicted[:, column], seed, groups=clusters).to_dict()
            for column, axis in enumerate(("arousal", "valence"))
        } | {"train_pictures": len(pool), "train_themes": len(set(themes))}
    return result


def own_picture(seen: np.ndarray, takes: dict[str, Measured], seed: int = 0) -> dict[str, Any]:
    """Retrieval of the own picture among 20, by the judge's joint space.

    Args:
        seen: The pictures in the joint space, of shape `(n, d)`.
        takes: Clips by variant, in the order of the pictures.
        seed: Seed of the bootstrap.

    Returns:
        Expected share of hits by variant with 95 % intervals, and chance; nothing where there are fewer than two.
    """
    return _retrieval({name: each.heard.joint @ seen.T for name, each in takes.items()}, seed)


def own_mood(triplets: Sequence[Triplet], takes: dict[str, Measured], seed: int = 0) -> dict[str, Any]:
    """Retrieval of the own picture among 20, by the mood that the judge hears and the known moods of the pictures.

    Unlike `own_picture` this does not rest on what the judge sees in pictures.

    Args:
        triplets: Whose pictures.
        takes: Clips by variant, in the order of the triplets.
        seed: Seed of the bootstrap.

    Returns:
        As for `own_picture`.
    """
    mood = moods(triplets)
    known = np.stack([mood["valence"], mood["arousal"]], axis=1)
    away = {name: np.linalg.norm(each.heard.affect[:, None] - known, axis=2) for name, each in takes.items()}
    return _retrieval({name: -distance for name, distance in away.items()}, seed)


def _retrieval(similarities: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    count = len(next(iter(similarities.values())))
    if count < 2:
        return {}
    result: dict[str, Any] = {
        name: mean_interval(retrieval_hits(each, AMONG), seed).to_dict() for name, each in similarities.items()
    }
    return result | {"among": min(AMONG, count), "chance": round(1 / min(AMONG, count), 4)}


def dose_curves(
    triplets: Sequence[Triplet], doses: dict[float, Measured], seen: np.ndarray, seed: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """The measures of obedience at rising synapse strength.

    Args:
        triplets: Whose pictures.
        doses: Takes by strength, in the order of the triplets.
        seen: The pictures in the joint space, of shape `(n, d)`.
        seed: Seed of the bootstrap.

    Returns:
        By measure one estimate per strength of `DOSES`, each with its "strength".
    """
    mood = moods(triplets)
    rows = np.arange(len(triplets))
    curves: dict[str, list[dict[str, Any]]] = {}
    for strength in DOSES:
        each = doses[strength]
        cues, affect = each.take(rows), each.heard.affect
        points = {f"{axis} -> {cue}": spearman_interval(mood[axis], cues[cue], seed) for axis, cue in PAIRS}
        points["arousal -> judged arousal"] = spearman_interval(mood["arousal"], affect[:, 1], seed)
        points["valence -> judged valence"] = spearman_interval(mood["valence"], affect[:, 0], seed)
        if len(seen) > 1:
            points["own picture among 20"] = mean_interval(retrieval_hits(each.heard.joint @ seen.T), seed)
        for name, point in points.items():
            curves.setdefault(name, []).append({"strength": strength} | point.to_dict())
    return curves


def dose_slopes(
    triplets: Sequence[Triplet], doses: dict[float, Measured], real: Measured, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """By how much the music changes with the picture's mood, at rising synapse strength.

    Once pictures outweigh the noise a rank correlation is nearly as high as it gets; how far they move the music can
    go on rising.

    Args:
        triplets: Whose pictures.
        doses: Takes by strength, in the order of the triplets.
        real: The real clips of the triplets; of further ones after them, too, if need be.
        seed: Seed of the bootstrap.

    Returns:
        By measure ("arousal -> rms_dbfs", ...) the slopes at the strengths of `DOSES` and that of the real clips, in
        the cue's unit from calmest to most excited (or from most unpleasant to most pleasant) picture.
    """
    mood, n = moods(triplets), len(triplets)
    sets = [*(doses[strength] for strength in DOSES), real]
    values: dict[str, tuple[str, list[np.ndarray]]] = {}
    for axis, cue in PAIRS:
        if cue in AROUSAL_CUES + VALENCE_CUES:  # the composites are ranks and have no unit
            values[f"{axis} -> {cue}"] = axis, [each.cues[cue] for each in sets]
    for column, axis in enumerate(("valence", "arousal")):
        values[f"{axis} -> judged {axis}"] = axis, [each.heard.affect[:, column] for each in sets]
    result = {}
    for name, (axis, by_set) in values.items():
        *slopes, own = (slope_interval(mood[axis], measured[:n], seed).to_dict() for measured in by_set)
        points = [{"strength": strength} | slope for strength, slope in zip(DOSES, slopes, strict=True)]
        result[name] = {"points": points, "real": own, "monotone": is_monotone(points)}
    return result


def is_monotone(curve: Sequence[dict[str, Any]]) -> bool:
    """Whether a dose curve never falls.

    Args:
        curve: Estimates at rising strength.

    Returns:
        True when every value is defined and at least the one before.
    """
    values = [point["value"] for point in curve]
    return None not in values and all(after >= before for before, after in zip(values, values[1:], strict=False))
