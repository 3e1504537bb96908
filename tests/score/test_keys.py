from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.score.keys import FLAVOURS, MAJOR_PROFILE, MINOR_PROFILE, SCALES, krumhansl_key


@pytest.mark.parametrize("tonic", range(12))
def test_krumhansl_finds_its_own_profiles(tonic):
    assert krumhansl_key(np.roll(MAJOR_PROFILE, tonic))[:2] == (tonic, "major")
    assert krumhansl_key(np.roll(MINOR_PROFILE, tonic))[:2] == (tonic, "minor")
    assert krumhansl_key(np.zeros(12))[2] == 0.0


def test_a_profile_says_how_major_it_is():
    assert krumhansl_key(np.roll(MAJOR_PROFILE, 4))[2] > 0.1 > -0.1 > krumhansl_key(np.roll(MINOR_PROFILE, 7))[2]
    assert krumhansl_key(np.ones(12))[2] == 0.0


@pytest.mark.parametrize("mode", SCALES)
def test_scales_are_heard_in_their_mode(mode):
    """All degrees of a scale, its tonic triad twice as loud."""
    scale = SCALES[mode]
    histogram = np.zeros(12)
    histogram[list(scale)] = 1.0
    histogram[[scale[0], scale[2], scale[4]]] = 2.0
    assert krumhansl_key(np.roll(histogram, 3))[:2] == (3, mode)


def test_church_modes_have_seven_degrees_and_a_third():
    assert all(len(set(degrees)) == 7 and degrees[0] == 0 for degrees in FLAVOURS.values())
    thirds = {name: 4 if 4 in degrees else 3 for name, degrees in FLAVOURS.items()}
    assert [name for name, third in thirds.items() if third == 4] == ["ionian", "lydian", "mixolydian"]
