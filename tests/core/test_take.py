"""The settings of a take: limits, types, and what is said of wrong ones."""

from __future__ import annotations

import math

import pytest

from melfusion_core.take import KNOBS, SettingError, SettingTypeError, TakeSettings


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"duration_s": 31}, SettingError, "duration_s must be from 1 to 30.72; it is 31."),
        ({"duration_s": "long"}, SettingTypeError, "duration_s must be a number, not str."),
        ({"guidance_scale": math.nan}, SettingError, "guidance_scale must be from 0 to 50; it is not a number."),
        ({"guidance_scale": math.inf}, SettingError, "it is far beyond that."),
        ({"guidance_rescale": -0.1}, SettingError, "from 0 to 1; it is -0.1."),
        ({"num_inference_steps": 2.5}, SettingTypeError, "num_inference_steps must be a whole number; it is 2.5."),
        ({"num_inference_steps": True}, SettingTypeError, "must be a whole number, not bool."),
        ({"num_inference_steps": None}, SettingTypeError, "from 1 to 1000; it is nothing."),
        ({"seed": -1}, SettingError, "seed must be from 0 to 9223372036854775807; it is -1."),
        ({"sampler": "euler"}, SettingError, "sampler must be one of dpm\\+\\+, ddim, not 'euler'."),
        ({"negative_prompt": None}, SettingTypeError, "negative_prompt must be a text, not NoneType."),
        ({"timestep_shift": 0.5}, SettingError, "timestep_shift must be from 1 to 100; it is 0.5."),
        ({"loudness": 3}, TypeError, "loudness"),
    ],
)
def test_wrong_settings_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        TakeSettings(**changes)


def test_errors_are_those_of_python_as_well():
    with pytest.raises(TypeError):
        TakeSettings(seed="x")
    with pytest.raises(ValueError):
        TakeSettings(seed=-1)


def test_numbers_get_their_type():
    settings = TakeSettings(duration_s=10, num_inference_steps=30.0, seed=7.0)
    assert [type(value) for value in (settings.duration_s, settings.num_inference_steps, settings.seed)] == [
        float,
        int,
        int,
    ]


def test_narrower_limits_are_the_ones_that_are_told():
    with pytest.raises(SettingError, match="Steps must be from 1 to 8; it is 9"):
        KNOBS["num_inference_steps"].check("Steps", 9, 1, 8)


def test_changing_checks_again():
    assert TakeSettings(seed=3).changed(duration_s=2) == TakeSettings(seed=3, duration_s=2.0)
    with pytest.raises(SettingError, match="duration_s"):
        TakeSettings().changed(duration_s=0)
