"""Ridge regression with the penalty chosen by folds over groups; the linear probes and ceilings of the reports.

Shape legend: ``n`` samples, ``d`` features, ``t`` targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PENALTIES = tuple(float(10.0**power) for power in np.arange(-2.0, 4.5, 0.5))
"""Relative to the number of samples times the mean variance of the standardised features, 1."""


def group_folds(groups: Sequence[str], folds: int, seed: int = 0) -> np.ndarray:
    """Deal groups to folds of about equal size, so that no group is in two.

    Args:
        groups: Group of each sample, such as a picture's theme; length `n`.
        folds: Number of folds.
        seed: Seed of the order among groups of equal size.

    Returns:
        Fold of each sample, of shape `(n,)`.

    Raises:
        ValueError: If there are fewer groups than folds.
    """
    names, index, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise ValueError(f"{len(names)} groups cannot be dealt to {folds} folds")
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    sizes, fold_of = np.zeros(folds), np.zeros(len(names), dtype=int)
    for group in order:
        fold_of[group] = int(np.argmin(sizes))
        sizes[fold_of[group]] += counts[group]
    return fold_of[index]


def class_groups(labels: Sequence[str], themes: Sequence[str]) -> np.ndarray:
    """Groups that the folds of a classification keep together: themes, where a class has several of them.

    A class that is one theme would have no example left when its theme is held out: its samples stand for themselves.

    Args:
        labels: Class of each sample; length `n`.
        themes: Theme of each sample; length `n`.

    Returns:
        Names of the groups, of shape `(n,)`.
    """
    themes_of: dict[str, set[str]] = {}
    for label, theme in zip(labels, themes, strict=True):
        themes_of.setdefault(label, set()).add(theme)
    return np.array(
        [
            theme if len(themes_of[label]) > 1 else f"sample {index}"
            for index, (label, theme) in enumerate(zip(labels, themes, strict=True))
        ]
    )


def ridge_path(
    features: np.ndarray, targets: np.ndarray, others: np.ndarray, penalties: Sequence[float] = PENALTIES
) -> np.ndarray:
    """Fit a ridge regression for every penalty and predict other samples.

    Features are standardised by the fitted samples; the intercept is not penalised.

    Args:
        features: Of shape `(n, d)`.
        targets: Of shape `(n, t)`.
        others: Of shape `(m, d)`.
        penalties: Penalties relative to `n`.

    Returns:
        Predictions of shape `(len(penalties), m, t)`.
    """
    mean, std = features.mean(0), features.std(0)
    scale = np.where(std > 1e-9, std, np.inf)  # features that never vary say nothing
    fitted, asked = (features - mean) / scale, (others - mean) / scale
    centre = targets.mean(0)
    if fitted.shape[1] <= len(fitted):
        values, vectors = np.linalg.eigh(fitted.T @ fitted)
        left, middle = asked @ vectors, vectors.T @ (fitted.T @ (targets - centre))
    else:
        values, vectors = np.linalg.eigh(fitted @ fitted.T)
        left, middle = asked @ fitted.T @ vectors, vectors.T @ (targets - centre)
    values = np.clip(values, 0.0, None)
    return np.stack([left @ (middle / (values + p * len(fitted))[:, None]) + centre for p in penalties])


def ridge_predict(
    features: np.ndarray,
    targets: np.ndarray,
    groups: Sequence[str],
    others: np.ndarray,
    folds: int = 5,
    penalties: Sequence[float] = PENALTIES,
) -> np.ndarray:
    """Predict other samples with the penalty that predicts held-out groups of the fitted samples best.

    Args:
        features: Of shape `(n, d)`.
        targets: Of shape `(n, t)`; the penalty is chosen for each target by squared error.
        groups: Group of each sample; length `n`.
        others: Samples to predict, of shape `(m, d)`.
        folds: Folds of the choice; fewer where there are fewer groups.
        penalties: Penalties to choose from.

    Returns:
        Predictions of shape `(m, t)`.

    Raises:
        ValueError: If there are fewer than two groups.
    """
    fold_of = group_folds(groups, min(folds, len(set(groups))))
    if fold_of.max() < 1:
        raise ValueError("the choice of the penalty needs at least two groups")
    errors = np.zeros((len(penalties), targets.shape[1]))
    for fold in range(int(fold_of.max()) + 1):
        held = fold_of == fold
        path = ridge_path(features[~held], targets[~held], features[held], penalties)
        errors += np.square(path - targets[held]).sum(1)
    best = errors.argmin(0)
    path = ridge_path(features, targets, others, penalties)
    return np.stack([path[choice, :, column] for column, choice in enumerate(best)], axis=1)


def ridge_cross_predict(
    features: np.ndarray, targets: np.ndarray, groups: Sequence[str], folds: int = 10, seed: int = 0
) -> np.ndarray:
    """Predict every sample from the samples of other groups, with nested folds for the penalty.

    What a fold predicts is counted from the mean of the samples that it was fitted to, and the overall mean is added.
    Without that, features that say nothing predict those means, and a fold whose held-out samples lie high has a low
    one: on 356 photographs noise then correlated -.22 with people's ratings (60 draws), with it -.03.

    Args:
        features: Of shape `(n, d)`.
        targets: Of shape `(n, t)`.
        groups: Group of each sample; length `n`.
        folds: Outer folds; fewer where there are fewer groups.
        seed: Seed of the folds.

    Returns:
        Predictions of shape `(n, t)`.
    """
    groups = np.asarray(groups)
    fold_of = group_folds(groups, min(folds, len(set(groups.tolist()))), seed)
    predicted = np.zeros(targets.shape)
    for fold in range(int(fold_of.max()) + 1):
        held = fold_of == fold
        predicted[held] = ridge_predict(features[~held], targets[~held], groups[~held], features[held])
        predicted[held] -= targets[~held].mean(0)
    return predicted + targets.mean(0)
