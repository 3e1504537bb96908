from __future__ import annotations

import math

import numpy as np
import pytest

from melfusion_core.evaluation.metrics import (
    accuracy_interval,
    bootstrap,
    frechet_distance,
    gaussian_frechet_distance,
    half_frechet,
    kl_divergence,
    mean_interval,
    paired_frechet,
    resample_counts,
    retrieval_hits,
    slope_interval,
    spearman,
    spearman_gain,
    spearman_interval,
)


def test_frechet_distance_of_a_set_with_itself_is_zero() -> None:
    values = np.random.default_rng(0).normal(size=(50, 6))
    assert frechet_distance(values, values) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_of_gaussians_in_closed_form() -> None:
    # One dimension: (m1 - m2)^2 + (s1 - s2)^2.
    assert gaussian_frechet_distance([1.0], [[4.0]], [4.0], [[25.0]]) == pytest.approx(9 + 9)
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    first, second = np.diag([1.0, 9.0]), np.diag([4.0, 16.0])
    turned = [rotation @ matrix @ rotation.T for matrix in (first, second)]
    assert gaussian_frechet_distance(np.zeros(2), turned[0], np.zeros(2), turned[1]) == pytest.approx(1 + 1)


def test_frechet_distance_of_a_shift_is_its_square() -> None:
    values = np.random.default_rng(1).normal(size=(40, 3))
    assert frechet_distance(values, values + np.array([3.0, 0.0, 4.0])) == pytest.approx(25.0)
    with pytest.raises(ValueError, match="two samples"):
        frechet_distance(values[:1], values)
    with pytest.raises(ValueError, match="expected"):
        frechet_distance(values, values[:, :2])


def test_kl_divergence() -> None:
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert kl_divergence(p, p) == pytest.approx(0.0)
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_divergence(p[:1], np.array([[0.25, 0.75]])) == pytest.approx(expected)
    with pytest.raises(ValueError, match="one shape"):
        kl_divergence(p, p[:1])


def test_spearman() -> None:
    x = np.array([1.0, 5.0, 2.0, 9.0])
    assert spearman(x, np.exp(x)) == pytest.approx(1.0)
    assert spearman(x, -x) == pytest.approx(-1.0)
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)
    assert math.isnan(spearman(x, np.ones(4)))
    with pytest.raises(ValueError, match="one length"):
        spearman(x, x[:2])


def test_bootstrap_intervals() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = x + rng.normal(size=80)
    estimate = spearman_interval(x, y, draws=300)
    assert estimate.low < estimate.value < estimate.high and estimate.low > 0.3
    assert spearman_interval(x, y, draws=300) == estimate
    gain = spearman_gain(x, y, rng.normal(size=80), draws=300)
    assert gain.low > 0.0
    assert spearman_gain(x, y, y, draws=50).to_dict() == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 80}
    mean = bootstrap(lambda rows: x[rows].mean(1), 80, draws=2000)
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * x.std() / math.sqrt(80), rel=0.1)
    assert spearman_interval(x, np.ones(80), draws=20).to_dict()["value"] is None


def test_slopes() -> None:
    rng = np.random.default_rng(0)
    x = rng.random(200)
    noise = rng.normal(size=200)
    slope = slope_interval(x, 3.0 * x + 5.0 + noise, draws=1000)
    assert slope.value == pytest.approx(np.polyfit(x, 3.0 * x + 5.0 + noise, 1)[0]) and slope.low < 3.0 < slope.high
    error = 1.0 / (x.std() * math.sqrt(200))  # of a slope, noise of deviation 1
    assert slope.high - slope.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    exact = slope_interval(x, -2.0 * x, draws=20)
    assert (exact.low, exact.value, exact.high) == pytest.approx((-2.0, -2.0, -2.0))
    for constant in (1.0, 0.1, 0.3):  # 100 times 0.1 does not sum to 10
        assert slope_interval(np.full(100, constant), x[:100], draws=20).to_dict()["value"] is None
    few = slope_interval(np.array([0.1, 0.1, 0.1, 0.7]), np.array([1.0, 0.0, 2.0, 4.0]), draws=1000)
    assert few.value == pytest.approx(5.0) and 3.3 < few.low < 5.0 < few.high < 6.7  # without 0.7 there is no slope
    clusters = [str(index // 20) for index in range(200)]
    drift = np.repeat(rng.normal(size=10), 20)  # what is shared within a group counts once
    wide = slope_interval(np.repeat(x[:10], 20), drift, groups=clusters)
    narrow = slope_interval(np.repeat(x[:10], 20), drift)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_accuracy_interval_is_wilsons() -> None:
    estimate = accuracy_interval(np.array([True] * 8 + [False] * 2))
    assert (estimate.value, estimate.n) == (0.8, 10)
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert accuracy_interval(np.ones(5)).high == pytest.approx(1.0)
    assert math.isnan(accuracy_interval(np.zeros(0)).value)


def test_frechet_distance_of_gaussian_samples_nears_the_closed_form() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(0.0, 1.0, (20000, 2))
    second = rng.normal([2.0, 0.0], [1.0, 3.0], (20000, 2))
    assert frechet_distance(first, second) == pytest.approx(4.0 + 4.0, rel=0.05)


def test_frechet_distance_rises_with_noise() -> None:
    rng = np.random.default_rng(3)
    clips = rng.normal(size=(200, 5))
    noise = rng.normal(size=(200, 5))
    distances = [frechet_distance(clips, clips + level * noise) for level in (0.0, 0.2, 0.5, 1.0, 2.0)]
    assert distances[0] == pytest.approx(0.0, abs=1e-9) and distances == sorted(distances)
    paired = paired_frechet(clips + 0.5 * noise, clips, draws=20)
    assert paired.low <= paired.value * 1.5 and paired.value == pytest.approx(distances[2])
    floor, worse = half_frechet(clips, clips), half_frechet(clips + 2 * noise, clips)
    assert 0 < floor.value < worse.value and floor.n == 100
    with pytest.raises(ValueError, match="one shape"):
        half_frechet(clips, clips[:50])


def test_resampled_groups_stay_whole() -> None:
    groups = ["a", "a", "b", "c", "c", "c"]
    counts = resample_counts(6, 0, 50, groups)
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 3] == counts[:, 5]).all()
    np.testing.assert_array_equal(counts[:, 0] + counts[:, 2] + counts[:, 3], 3.0)
    values = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 2.0])
    assert mean_interval(values, groups=groups).low == 0.0 and mean_interval(values, groups=groups).high == 2.0


def test_resampled_rank_correlations_are_those_of_the_copies() -> None:
    from scipy.stats import spearmanr

    from melfusion_core.evaluation.metrics import _spearman_weighted

    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 6, 30).astype(float), rng.normal(size=30)
    counts = resample_counts(30, 1, 5)
    for row, value in zip(counts.astype(int), _spearman_weighted(x, y, counts), strict=True):
        assert value == pytest.approx(spearmanr(np.repeat(x, row), np.repeat(y, row)).statistic)


def test_retrieval_in_closed_form() -> None:
    n = 40
    np.testing.assert_allclose(retrieval_hits(np.eye(n)), 1.0)
    np.testing.assert_allclose(retrieval_hits(-np.eye(n)), 0.0)
    random = np.random.default_rng(0).normal(size=(1500, 1500))
    assert retrieval_hits(random).mean() == pytest.approx(1 / 20, abs=0.012)
    one_better = np.eye(n)
    one_better[0, 1] = 2.0
    assert retrieval_hits(one_better)[0] == pytest.approx(1 - 19 / (n - 1))
    assert retrieval_hits(np.ones((4, 4)), among=2)[0] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="square"):
        retrieval_hits(np.ones((3, 2)))
