"""Metrics on arrays, each with a closed form to test it against.

Shape legend: ``n`` samples, ``d`` embedding dimensions, ``c`` classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: Point estimate; NaN when it is not defined.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Number of samples behind it.
    """

    value: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Give the fields for JSON, rounded; NaN becomes None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        rounded = {name: round(number, 4) if math.isfinite(number) else None for name, number in numbers.items()}
        return {**rounded, "n": self.n}


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to two sets of embeddings.

    The square of the 2-Wasserstein distance. With few samples it is biased upwards: compare equal numbers only.

    Args:
        first: Embeddings of shape `(n, d)`.
        second: Embeddings of shape `(m, d)`.

    Returns:
        The distance, at least 0.

    Raises:
        ValueError: If the shapes do not fit or a set has fewer than two samples.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"expected (n, d) and (m, d), got {first.shape} and {second.shape}")
    if min(len(first), len(second)) < 2:
        raise ValueError("each set needs at least two samples")
    return gaussian_frechet_distance(
        first.mean(0), np.cov(first, rowvar=False), second.mean(0), np.cov(second, rowvar=False)
    )


def gaussian_frechet_distance(
    mean_1: np.ndarray, covariance_1: np.ndarray, mean_2: np.ndarray, covariance_2: np.ndarray
) -> float:
    """Frechet distance between two Gaussians: `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`.

    Args:
        mean_1: Mean of shape `(d,)`.
        covariance_1: Covariance of shape `(d, d)`.
        mean_2: Mean of shape `(d,)`.
        covariance_2: Covariance of shape `(d, d)`.

    Returns:
        The distance, at least 0.
    """
    covariance_1, covariance_2 = np.atleast_2d(covariance_1), np.atleast_2d(covariance_2)
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ covariance_2 @ root)
    trace = np.trace(covariance_1) + np.trace(covariance_2) - 2.0 * np.sqrt(np.clip(middle, 0.0, None)).sum()
    gap = np.atleast_1d(mean_1) - np.atleast_1d(mean_2)
    return float(max(gap @ gap + trace, 0.0))


def kl_divergence(reference: np.ndarray, generated: np.ndarray, floor: float = 1e-6) -> float:
    """Mean Kullback-Leibler divergence between paired class posteriors.

    Args:
        reference: Probabilities of shape `(n, c)`.
        generated: Probabilities of shape `(n, c)`.
        floor: Lowest probability used.

    Returns:
        Mean of KL(reference || generated) in nats.

    Raises:
        ValueError: If the shapes differ.
    """
    if reference.shape != generated.shape or reference.ndim != 2:
        raise ValueError(f"expected two arrays of one shape (n, c), got {reference.shape} and {generated.shape}")
    p, q = (np.clip(np.asarray(x, dtype=np.float64), floor, 1.0) for x in (reference, generated))
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    return float((p * np.log(p / q)).sum(1).mean())


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation.

    Args:
        x: Numbers of shape `(n,)`.
        y: Numbers of shape `(n,)`.

    Returns:
        Correlation in [-1, 1]; NaN when either does not vary or `n` is below 3.

    Raises:
        ValueError: If the shapes differ.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"expected two arrays of one length, got {x.shape} and {y.shape}")
    return float(_spearman_rows(x[None], y[None])[0])


def _spearman_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rank correlations of the rows of two arrays of shape `(draws, n)`."""
    n = x.shape[1]
    if n < 3:
        return np.full(len(x), math.nan)
    rank_x, rank_y = (rankdata(values, axis=1) - (n + 1) / 2 for values in (x, y))
    scale = np.sqrt((rank_x**2).sum(1) * (rank_y**2).sum(1))
    defined = scale > 0
    return np.where(defined, (rank_x * rank_y).sum(1) / np.where(defined, scale, 1.0), math.nan)


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], n: int, seed: int = 0, draws: int = 1000, confidence: float = 0.95
) -> Estimate:
    """Percentile bootstrap over samples.

    Args:
        statistic: Function from sample indices of shape `(draws, n)` to one number per row.
        n: Number of samples.
        seed: Seed of the resampling.
        draws: Number of resamples.
        confidence: Coverage of the interval.

    Returns:
        The statistic on all samples with its interval; resamples where it is not defined are left out.

    Raises:
        ValueError: If there are no samples.
    """
    if n < 1:
        raise ValueError("the bootstrap needs at least one sample")
    rng = np.random.default_rng(seed)
    value = float(statistic(np.arange(n)[None])[0])
    samples = statistic(rng.integers(0, n, (draws, n)))
    samples = samples[np.isfinite(samples)]
    if not len(samples) or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, n)
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high), n)


def spearman_interval(x: np.ndarray, y: np.ndarray, seed: int = 0, draws: int = 1000) -> Estimate:
    """Spearman's rank correlation with a 95 % bootstrap interval.

    Args:
        x: Numbers of shape `(n,)`.
        y: Numbers of shape `(n,)`.
        seed: Seed of the resampling.
        draws: Number of resamples.

    Returns:
        The correlation with its interval.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return bootstrap(lambda rows: _spearman_rows(x[rows], y[rows]), len(x), seed, draws)


def spearman_gain(x: np.ndarray, y: np.ndarray, baseline: np.ndarray, seed: int = 0, draws: int = 1000) -> Estimate:
    """How much better `y` follows `x` than a paired baseline does.

    Args:
        x: What should be followed, of shape `(n,)`.
        y: What should follow, of shape `(n,)`.
        baseline: What is compared with, of shape `(n,)`.
        seed: Seed of the resampling.
        draws: Number of resamples.

    Returns:
        Difference of the two rank correlations with its 95 % bootstrap interval over paired samples.
    """
    x, y, baseline = (np.asarray(values, dtype=np.float64) for values in (x, y, baseline))

    def gain(rows: np.ndarray) -> np.ndarray:
        return _spearman_rows(x[rows], y[rows]) - _spearman_rows(x[rows], baseline[rows])

    return bootstrap(gain, len(x), seed, draws)


def accuracy_interval(correct: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Share of hits with its Wilson interval.

    Args:
        correct: Booleans of shape `(n,)`.
        confidence: Coverage of the interval.

    Returns:
        The share with its interval; NaN without samples.
    """
    correct = np.asarray(correct, dtype=bool)
    n = len(correct)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    share, z = float(correct.mean()), float(norm.ppf((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(share, max(centre - half, 0.0), min(centre + half, 1.0), n)
