"""The settings of a take: every knob once, with its default, its limits, its flags and its checks. Imports little."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

SAMPLERS = ("dpm++", "ddim")
"""Names of the samplers, the default one first."""
MAX_SEED = 2**63 - 1
MAX_TAKES = 64
"""Most takes of one caption and picture in one call."""


class SettingError(ValueError):
    """A setting that cannot be used.

    Args:
        name: Name of the setting.
        reason: What is wrong with it, to be read after a name of the setting.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}.")
        self.name, self.reason = name, reason


class SettingTypeError(SettingError, TypeError):
    """A setting that is not even of the right kind."""


@dataclass(frozen=True)
class Knob:
    """What is known of a setting besides its default.

    Args:
        kind: Type of its values: float, int or str.
        help: What it does, for the command line.
        flags: Its names on the command line, the first one being shown.
        low: Smallest value of a number.
        high: Largest value of a number.
        choices: All values of a text that is chosen; empty for free text.
        optional: Whether None is a value too.
    """

    kind: type
    help: str
    flags: tuple[str, ...]
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    optional: bool = False

    def check(self, name: str, value: Any, low: float | None = None, high: float | None = None) -> Any:
        """Check a value.

        Args:
            name: What the setting is called.
            value: The value.
            low: Smallest accepted number; None for the knob's own.
            high: Largest accepted number; None for the knob's own.

        Returns:
            The value in its type: whole floats become ints where those are wanted, and ints floats.

        Raises:
            SettingError: When it is out of range or no choice.
            SettingTypeError: When it is of another type.
        """
        if value is None and self.optional:
            return None
        if self.kind is str:
            return self._check_text(name, value)
        low, high = self.low if low is None else low, self.high if high is None else high
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not number:
            kind = "whole number" if self.kind is int else "number"
            raise SettingTypeError(name, f"must be a {kind}, not {type(value).__name__}")
        if value is None or not low <= value <= high:  # a NaN is never within bounds
            error = SettingTypeError if value is None else SettingError
            least, most = (f"{limit:d}" if self.kind is int else f"{limit:.15g}" for limit in (low, high))
            raise error(name, f"must be from {least} to {most}; it is {_named(value)}")
        if self.kind is int and value != int(value):
            raise SettingTypeError(name, f"must be a whole number; it is {value}")
        return self.kind(value)

    def _check_text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise SettingTypeError(name, f"must be a text, not {type(value).__name__}")
        if self.choices and value not in self.choices:
            raise SettingError(name, f"must be one of {', '.join(self.choices)}, not {value[:80]!r}")
        return value


def _named(value: float | None) -> str:
    if value is None or value != value:
        return "nothing" if value is None else "not a number"
    return f"{value:.15g}" if abs(value) < 1e15 else "far beyond that"


def _knob(
    default: Any,
    help: str,
    *flags: str,
    limits: tuple[float, float] = (0.0, 0.0),
    choices: tuple[str, ...] = (),
    kind: type | None = None,
) -> Any:
    found = Knob(kind or type(default), help, flags, *limits, choices=choices, optional=default is None)
    return field(default=default, metadata={"knob": found})


@dataclass(frozen=True, kw_only=True)
class TakeSettings:
    """How a take is made, whatever its caption and picture. Whoever has one knows that it is within the limits.

    Args:
        duration_s: Length in seconds; melfusion-mini was trained on 10.24.
        bars: Length in bars, where the model makes notes; None for the seconds nearest in whole bars.
        tempo_bpm: Quarter notes a minute, where the model makes notes; None leaves it to caption and picture.
        key: Key such as "A minor", where the model makes notes; empty leaves it to caption and picture.
        num_inference_steps: Denoising steps.
        sampler: Name of the sampler.
        guidance_scale: Weight of the caption; 1 is no guidance.
        image_guidance_scale: Weight of the picture; 1 is no guidance, 0 ignores it.
        guidance_rescale: Share in which the guided prediction takes the unguided one's deviation (Lin et al. 2024).
        guidance_stop: Share of the way from noise to music after which guidance stops. The late steps then run
            without the extra branches, which saves their time (Kynkaanniemi et al. 2024, "Applying guidance in a
            limited interval").
        synapse_strength: Multiplier of the synapse's gates: 0 is bit-identical to no picture, 1 as trained, up to 2
            exaggerates.
        timestep_shift: How much the steps crowd towards the noise; None for the model's own.
        negative_prompt: Caption to steer away from; it stands in for the empty one.
        seed: Seed of the initial noise; None draws one.

    Raises:
        SettingError: When a setting is out of range.
        SettingTypeError: When a setting has the wrong type.
    """

    duration_s: float = _knob(10.24, "seconds", "duration", limits=(1.0, 30.72))
    bars: int | None = _knob(None, "length in bars, in place of seconds", "bars", limits=(1, 64), kind=int)
    tempo_bpm: float | None = _knob(None, "quarter notes a minute", "tempo", limits=(40.0, 220.0), kind=float)
    key: str = _knob("", "key, such as A minor or F#", "key")
    num_inference_steps: int = _knob(25, "denoising steps", "steps", limits=(1, 1000))
    sampler: str = _knob(SAMPLERS[0], "how the steps are made", "sampler", choices=SAMPLERS)
    guidance_scale: float = _knob(3.0, "how closely to follow the caption", "guidance", limits=(0.0, 50.0))
    image_guidance_scale: float = _knob(4.0, "how closely to follow the picture", "image-guidance", limits=(0.0, 50.0))
    guidance_rescale: float = _knob(
        0.5, "rescaling of the guided prediction", "guidance-rescale", "rescale", limits=(0.0, 1.0)
    )
    guidance_stop: float = _knob(
        1.0, "share of the way from noise to music after which guidance stops", "guidance-stop", limits=(0.0, 1.0)
    )
    synapse_strength: float = _knob(
        1.0,
        "how strongly the picture acts: 0 not at all, 1 as trained, up to 2",
        *("synapse-strength", "synapse"),
        limits=(0.0, 2.0),
    )
    timestep_shift: float | None = _knob(
        None,
        "how much the steps crowd towards the noise (default the model's own)",
        "timestep-shift",
        limits=(1.0, 100.0),
        kind=float,
    )
    negative_prompt: str = _knob("", "caption to steer away from", "negative-prompt")
    seed: int | None = _knob(None, "of the noise; drawn if not given", "seed", limits=(0, MAX_SEED), kind=int)

    def __post_init__(self) -> None:
        for name, knob in KNOBS.items():
            object.__setattr__(self, name, knob.check(name, getattr(self, name)))

    def changed(self, **changes: Any) -> TakeSettings:
        """These settings alone, without what a subclass adds, and some of them changed.

        Args:
            changes: New values by name.

        Returns:
            The settings.

        Raises:
            SettingError: When a value is out of range.
            TypeError: When a value has the wrong type, or there is no such setting.
        """
        return TakeSettings(**{name: getattr(self, name) for name in KNOBS} | changes)


KNOBS: Mapping[str, Knob] = MappingProxyType(
    {field.name: field.metadata["knob"] for field in dataclasses.fields(TakeSettings)}
)
"""Every setting by its name."""
