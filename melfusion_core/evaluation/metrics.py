"""Metrics on arrays, each with a closed form to test it against.

Shape legend: `n` samples, `d` embedding dimensions, `c` classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


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
    return float(_spearman_weighted(x, y, np.ones((1, len(x))))[0])


def _spearman_weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rank correlations of resamples that hold sample i `weights[:, i]` times, for weights of shape `(draws, n)`."""
    if len(x) < 3:
        return np.full(len(weights), math.nan)
    centred = []
    total = weights.sum(1, keepdims=True)
    for values in (x, y):
        names, index = np.unique(values, return_inverse=True)
        order = np.argsort(index, kind="stable")
        starts = np.searchsorted(index[order], np.arange(len(names)))
        counts = np.add.reduceat(weights[:, order], starts, axis=1)
        ranks = (np.cumsum(counts, axis=1) - (counts - 1.0) / 2.0)[:, index]  # equal values share their mean rank
        centred.append(ranks - (total + 1.0) / 2.0)
    scale = np.sqrt((weights * centred[0] ** 2).sum(1) * (weights * centred[1] ** 2).sum(1))
    defined = scale > 1e-9
    return np.where(defined, (weights * centred[0] * centred[1]).sum(1) / np.where(defined, scale, 1.0), math.nan)


def resample_counts(n: int, seed: int, draws: int, groups: Sequence[str] | np.ndarray | None = None) -> np.ndarray:
    """Draw bootstrap resamples as numbers of copies.

    Args:
        n: Number of samples.
        seed: Seed of the resampling.
        draws: Number of resamples.
        groups: Groups that are drawn whole, such as the themes of pictures, of length `n`; None for single samples.

    Returns:
        How often each resample holds each sample, of shape `(draws, n)`.
    """
    index = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(index.max()) + 1
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)[:, index].astype(np.float64)


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
    return _percentiles(value, statistic(rng.integers(0, n, (draws, n))), n, confidence)


def spearman_interval(
    x: np.ndarray, y: np.ndarray, seed: int = 0, draws: int = 1000, groups: Sequence[str] | np.ndarray | None = None
) -> Estimate:
    """Spearman's rank correlation with a 95 % bootstrap interval.

    Args:
        x: Numbers of shape `(n,)`.
        y: Numbers of shape `(n,)`.
        seed: Seed of the resampling.
        draws: Number of resamples.
        groups: Groups that are resampled whole, of length `n`; None for single samples.

    Returns:
        The correlation with its interval.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    counts = resample_counts(len(x), seed, draws, groups)
    return _percentiles(spearman(x, y), _spearman_weighted(x, y, counts), len(x))


def spearman_gain(
    x: np.ndarray,
    y: np.ndarray,
    baseline: np.ndarray,
    seed: int = 0,
    draws: int = 1000,
    groups: Sequence[str] | np.ndarray | None = None,
) -> Estimate:
    """How much better `y` follows `x` than a paired baseline does.

    Args:
        x: What should be followed, of shape `(n,)`.
        y: What should follow, of shape `(n,)`.
        baseline: What is compared with, of shape `(n,)`.
        seed: Seed of the resampling.
        draws: Number of resamples.
        groups: Groups that are resampled whole, of length `n`; None for single samples.

    Returns:
        Difference of the two rank correlations with its 95 % bootstrap interval over paired samples.
    """
    x, y, baseline = (np.asarray(values, dtype=np.float64) for values in (x, y, baseline))

    counts = resample_counts(len(x), seed, draws, groups)
    samples = _spearman_weighted(x, y, counts) - _spearman_weighted(x, baseline, counts)
    return _percentiles(spearman(x, y) - spearman(x, baseline), samples, len(x))


def slope_interval(
    x: np.ndarray, y: np.ndarray, seed: int = 0, draws: int = 1000, groups: Sequence[str] | np.ndarray | None = None
) -> Estimate:
    """By how much `y` rises when `x` rises by one, by least squares, with a 95 % bootstrap interval.

    Args:
        x: Numbers of shape `(n,)`.
        y: Numbers of shape `(n,)`.
        seed: Seed of the resampling.
        draws: Number of resamples.
        groups: Groups that are resampled whole, of length `n`; None for single samples.

    Returns:
        The slope in units of `y` per unit of `x`; NaN where all `x` are the same.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    x = x - x[:1]  # equal numbers become zeros, without rounding
    least = 1e-12 * np.ptp(x) ** 2 if len(x) else 0.0  # below it, a resample drew equal numbers

    def slopes(counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        away = x - (counts @ x / total)[:, None]
        spread = (counts * away**2).sum(axis=1)
        return np.divide((counts * away) @ y, spread, out=np.full(len(counts), np.nan), where=spread > least * total)

    value = float(slopes(np.ones((1, len(x))))[0])
    return _percentiles(value, slopes(resample_counts(len(x), seed, draws, groups)), len(x))


def _percentiles(value: float, samples: np.ndarray, n: int, confidence: float = 0.95) -> Estimate:
    samples = samples[np.isfinite(samples)]
    if not len(samples) or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, n)
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high), n)


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
    ends = binomtest(int(correct.sum()), n).proportion_ci(confidence, method="wilson")
    return Estimate(float(correct.mean()), float(ends.low), float(ends.high), n)


def paired_frechet(first: np.ndarray, second: np.ndarray, seed: int = 0, draws: int = 100) -> Estimate:
    """Frechet distance between two versions of the same clips, with an interval over clips.

    Every resample takes the same clips on both sides, so that the bias of small samples mostly cancels.

    Args:
        first: Embeddings of shape `(n, d)`.
        second: Embeddings of the same clips in another version, of shape `(n, d)`.
        seed: Seed of the resampling.
        draws: Number of resamples.

    Returns:
        The distance with its 95 % bootstrap interval.
    """

    def distances(rows: np.ndarray) -> np.ndarray:
        return np.array([frechet_distance(first[row], second[row]) for row in rows])

    return bootstrap(distances, len(first), seed, draws)


def half_frechet(candidate: np.ndarray, real: np.ndarray, seed: int = 0, splits: int = 20) -> Estimate:
    """Frechet distance from one half of a candidate set to the other half of the real set, over random halves.

    Both sides have the same number of samples and share no clip, so that `half_frechet(real, real)` is the floor of
    every candidate made of, or for, the same clips.

    Args:
        candidate: Embeddings of shape `(n, d)`; row `i` belongs to the same clip as row `i` of `real`.
        real: Embeddings of the real clips, of shape `(n, d)`.
        seed: Seed of the halves; equal seeds give equal halves.
        splits: Number of random halvings.

    Returns:
        Mean distance, and the 2.5 % and 97.5 % quantiles over the halvings.

    Raises:
        ValueError: If the sets do not fit, or have fewer than four rows.
    """
    if candidate.shape != real.shape or len(real) < 4:
        raise ValueError(f"expected two arrays of one shape with at least four rows, got {candidate.shape}")
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(splits):
        order = rng.permutation(len(real))
        half = len(real) // 2
        values.append(frechet_distance(candidate[order[:half]], real[order[half : 2 * half]]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(float(np.mean(values)), float(low), float(high), len(real) // 2)


def retrieval_hits(similarity: np.ndarray, among: int = 20) -> np.ndarray:
    """How likely each query finds its own partner among some candidates, expected over all draws of the others.

    With `k` of the `n - 1` others more similar, `among - 1` others drawn without replacement are all less similar with
    probability `C(n - 1 - k, among - 1) / C(n - 1, among - 1)`.

    Args:
        similarity: Of shape `(n, n)`; the partner of query `i` is candidate `i`.
        among: Number of candidates, the own partner counted in; at most `n`.

    Returns:
        Probabilities of shape `(n,)`; chance is `1 / among`.

    Raises:
        ValueError: If the matrix is not square or has fewer than two rows.
    """
    similarity = np.asarray(similarity, dtype=np.float64)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1] or len(similarity) < 2:
        raise ValueError(f"expected a square matrix of at least two rows, got {similarity.shape}")
    n, others = len(similarity), min(among, len(similarity)) - 1
    own = similarity.diagonal()[:, None]
    better = (similarity > own).sum(1)
    tied = (similarity == own).sum(1) - 1
    hits = np.zeros(n)
    for row in range(n):
        # A tie is lost half of the time.
        counts = (better[row], better[row] + tied[row])
        hits[row] = np.mean([math.comb(n - 1 - int(k), others) for k in counts]) / math.comb(n - 1, others)
    return hits


def mean_interval(
    values: np.ndarray, seed: int = 0, draws: int = 1000, groups: Sequence[str] | np.ndarray | None = None
) -> Estimate:
    """Mean with its 95 % bootstrap interval.

    Args:
        values: Of shape `(n,)`.
        seed: Seed of the resampling.
        draws: Number of resamples.
        groups: Groups that are resampled whole, of length `n`; None for single samples.

    Returns:
        The estimate; NaN without samples.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    counts = resample_counts(len(values), seed, draws, groups)
    return _percentiles(float(values.mean()), counts @ values / counts.sum(1), len(values))
