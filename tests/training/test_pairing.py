"""Pictures drawn by mood."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.training.pairing import PicturePairing


def test_pictures_are_drawn_near_the_mood_and_vary():
    rng = np.random.default_rng(0)
    moods = rng.random((2000, 2))
    pairing = PicturePairing(moods, 0.08)
    music = rng.random((1500, 2))
    drawn = np.array([pairing.draw(tuple(mood), place) for mood, place in zip(music, rng.random(1500), strict=True)])
    for axis in range(2):
        assert np.corrcoef(music[:, axis], moods[drawn, axis])[0, 1] > 0.93
    inner = np.abs(music - 0.5).max(axis=1) < 0.25  # away from the borders
    assert (moods[drawn] - music)[inner].std(axis=0) == pytest.approx([0.08, 0.08], rel=0.15)
    again = {pairing.draw((0.5, 0.5), place) for place in np.linspace(0, 0.999, 200)}
    assert len(again) > 50


def test_a_mood_without_neighbours_gets_the_nearest():
    pairing = PicturePairing(np.array([[0.1, 0.1], [0.2, 0.1]]), 0.001)
    assert [pairing.draw((0.9, 0.9), place) for place in (0.0, 0.5, 0.999999)] == [1, 1, 1]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="shape"):
        PicturePairing(np.zeros((0, 2)), 0.1)
    with pytest.raises(ValueError, match="finite"):
        PicturePairing(np.array([[np.nan, 0.0]]), 0.1)
    with pytest.raises(ValueError, match="positive"):
        PicturePairing(np.zeros((2, 2)), 0.0)
