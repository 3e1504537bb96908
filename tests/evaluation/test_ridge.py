"""Ridge regression against its closed form, and what groups are for."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.evaluation import ridge
from melfusion_core.evaluation.ridge import class_groups, ridge_cross_predict, ridge_predict


@pytest.mark.parametrize("size", [6, 60])
def test_ridge_is_the_closed_form(size, monkeypatch):
    monkeypatch.setattr(ridge, "PENALTIES", (0.1,))
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(30, size)), rng.normal(size=(30, 2)), rng.normal(size=(5, size))
    predicted = ridge_predict(x, y, [str(number % 5) for number in range(30)], z)
    mean, std = x.mean(0), x.std(0)
    a, b = (x - mean) / std, (z - mean) / std
    weights = np.linalg.solve(a.T @ a + 3.0 * np.eye(size), a.T @ (y - y.mean(0)))
    np.testing.assert_allclose(predicted, b @ weights + y.mean(0), atol=1e-8)


def test_every_target_has_its_own_penalty():
    """What is linear is fitted closely, though the target beside it is noise that wants the largest penalty."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 20))
    y = np.stack([x @ rng.normal(size=20), rng.normal(size=60)], axis=1)
    together = ridge_predict(x, y, [str(number % 6) for number in range(60)], x)
    assert np.abs(together[:, 0] - y[:, 0]).max() < 0.5 and together[:, 1].std() < 0.5 * y[:, 1].std()


def test_a_class_of_one_theme_is_not_held_out_whole():
    groups = class_groups(["sea", "photo", "sea", "photo"], ["sea", "dog", "sea", "cat"])
    assert groups.tolist() == ["sample 0", "dog", "sample 2", "cat"]


def test_ridge_finds_what_is_linear_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    x, groups = rng.normal(size=(200, 20)), [str(i % 40) for i in range(200)]
    y = np.stack([x[:, 0] - 2 * x[:, 3], rng.normal(size=200)], axis=1)
    crossed = ridge_cross_predict(x, y, groups)
    assert np.corrcoef(crossed[:, 0], y[:, 0])[0, 1] > 0.95 and abs(np.corrcoef(crossed[:, 1], y[:, 1])[0, 1]) < 0.3
    held = ridge_predict(x[:150], y[:150], groups[:150], x[150:])
    assert np.corrcoef(held[:, 0], y[150:, 0])[0, 1] > 0.95
    with pytest.raises(ValueError, match="at least two groups"):
        ridge_predict(x, y, ["a"] * 200, x)


def test_noise_is_not_anticorrelated_with_what_varies_between_groups():
    """Folds over groups that differ: the mean of the others is low where the held-out group is high."""
    correlations = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        groups = np.arange(200) // 10
        y = (rng.normal(size=20)[groups] + 0.3 * rng.normal(size=200))[:, None]
        crossed = ridge_cross_predict(rng.normal(size=(200, 8)), y, [str(group) for group in groups], 5)
        correlations.append(np.corrcoef(crossed[:, 0], y[:, 0])[0, 1])
    assert abs(np.mean(correlations)) < 0.08
