from __future__ import annotations

import math

import numpy as np
import pytest

from melfusion_core.evaluation.metrics import (
    accuracy_interval,
    bootstrap,
    frechet_distance,
    gaussian_frechet_distance,
    kl_divergence,
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


def test_accuracy_interval_is_wilsons() -> None:
    estimate = accuracy_interval(np.array([True] * 8 + [False] * 2))
    assert (estimate.value, estimate.n) == (0.8, 10)
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert accuracy_interval(np.ones(5)).high == pytest.approx(1.0)
    assert math.isnan(accuracy_interval(np.zeros(0)).value)
