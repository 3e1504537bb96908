from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from melfusion_core.data.picture_affect import (
    AROUSAL_WEIGHTS,
    FEATURE_MEAN,
    FEATURE_STD,
    PictureFeatures,
    colour_affect,
    picture_affect,
    picture_features,
    reference_statistics,
    srgb_to_lab,
)


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, colour)


def test_lab_of_known_colours() -> None:
    lab = srgb_to_lab(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(lab, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.05)


def test_features_of_flat_pictures() -> None:
    red = picture_features(flat((255, 0, 0)))
    assert red.saturation == pytest.approx(1.0) and red.redness == pytest.approx(80.09, abs=0.1)
    assert red.edges == 0.0 and red.contrast == pytest.approx(0.0, abs=1e-6) and red.darkness == 0.0
    assert picture_features(flat((10, 10, 10))).darkness == 1.0


def test_average_picture_scores_zero() -> None:
    assert colour_affect(PictureFeatures(**FEATURE_MEAN)) == pytest.approx((0.0, 0.0))


def test_each_arousal_feature_has_its_sign() -> None:
    for name, weight in AROUSAL_WEIGHTS.items():
        moved = PictureFeatures(**{**FEATURE_MEAN, name: FEATURE_MEAN[name] + FEATURE_STD[name]})
        assert np.sign(colour_affect(moved)[1]) == np.sign(weight)
    busy = PictureFeatures(**{**FEATURE_MEAN, "edges": 0.9})
    assert colour_affect(busy, painted=True) == pytest.approx((0.0, 0.0))


def test_colour_and_subject_both_count() -> None:
    assert picture_affect(flat((200, 30, 20)))[1] > picture_affect(flat((210, 225, 230)))[1]
    image = flat((120, 120, 160))
    assert picture_affect(image, (0.8, 0.9)) > picture_affect(image, (-0.8, -0.9))
    assert picture_affect(image, (0.0, 0.9))[1] > picture_affect(image, (0.0, -0.9))[1]


def test_reference_statistics() -> None:
    statistics = reference_statistics([flat((0, 0, 0)), flat((255, 255, 255))])
    assert statistics["lightness"] == pytest.approx((50.0, 50.0), abs=0.01)
    with pytest.raises(ValueError, match="at least one"):
        reference_statistics([])
