"""Trainer configuration: a validated dataclass per component, and a command line made from its fields."""

from __future__ import annotations

import argparse
import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from melfusion_core.terminal import PlainParser

PRECISIONS = ("no", "bf16")

_Config = TypeVar("_Config")


@dataclass(frozen=True)
class TrainConfig:
    """What every trainer needs.

    Args:
        data: Corpus folder with `metadata.jsonl`.
        out: Run folder: checkpoint, logs, samples and the exported model.
        max_steps: Optimiser steps of the whole run; 0 for no limit. At least one limit is needed.
        max_minutes: Training time of the whole run in minutes, earlier sittings counted in; 0 for no limit.
        batch_size: Examples per step and process.
        learning_rate: Peak learning rate.
        warmup: Fraction of the run over which the learning rate rises linearly.
        weight_decay: AdamW's weight decay.
        grad_clip: Largest gradient norm; 0 does not clip.
        ema_decay: Decay of the moving average of the weights, after its own warm-up.
        seed: Seed of every random draw.
        device: `auto`, `cpu` or `cuda`.
        precision: Autocast: `no` or `bf16`.
        threads: CPU threads; 0 leaves PyTorch's choice.
        resume: Whether to go on from the run folder's checkpoint if there is one; if not, an existing one is an error.
        tensorboard: Whether to write TensorBoard event files next to the CSV logs.
        log_steps: Steps between two rows of the training log.
        checkpoint_minutes: Minutes between two checkpoints.
        validate_minutes: Minutes between two validations.
        sample_minutes: Minutes between two sets of samples and exports.
        limit: Use only this many clips of each split; 0 for all.
    """

    data: str = ""
    out: str = ""
    max_steps: int = 0
    max_minutes: float = 0.0
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup: float = 0.03
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    device: str = "auto"
    precision: str = "no"
    threads: int = 1
    resume: bool = True
    tensorboard: bool = False
    log_steps: int = 20
    checkpoint_minutes: float = 3.0
    validate_minutes: float = 4.0
    sample_minutes: float = 5.0
    limit: int = 0

    def __post_init__(self) -> None:
        if not self.data or not self.out:
            raise ValueError("data and out must name folders")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            self.require(not isinstance(value, float) or math.isfinite(value), f"{field.name} must be a number")
        if self.max_steps < 0 or self.max_minutes < 0 or not (self.max_steps or self.max_minutes):
            raise ValueError("max_steps or max_minutes must be set, and neither may be negative")
        for name in ("batch_size", "learning_rate", "log_steps", "checkpoint_minutes"):
            self.require(getattr(self, name) > 0, f"{name} must be positive")
        for name in ("validate_minutes", "sample_minutes", "weight_decay", "grad_clip", "threads", "limit"):
            self.require(getattr(self, name) >= 0, f"{name} must not be negative")
        self.require(0 <= self.warmup < 1, "warmup must be in [0, 1)")
        self.require(0 <= self.ema_decay < 1, "ema_decay must be in [0, 1)")
        self.require(self.precision in PRECISIONS, f"precision must be one of {PRECISIONS}")
        self.require(self.device in ("auto", "cpu", "cuda"), "device must be auto, cpu or cuda")

    def require(self, condition: bool, message: str) -> None:
        """Raise when a condition on the fields does not hold.

        Args:
            condition: What must be true.
            message: What to say if not.

        Raises:
            ValueError: When it does not hold.
        """
        if not condition:
            raise ValueError(f"{type(self).__name__}: {message}")

    @property
    def out_folder(self) -> Path:
        """The run folder."""
        return Path(self.out)


def parse_config(
    config_class: type[_Config], arguments: list[str] | None = None, program: str | None = None
) -> _Config:
    """Read a configuration from command line arguments; `--some-field value` for every field.

    Args:
        config_class: A dataclass whose docstring documents its fields.
        arguments: The arguments; `None` takes the process's.
        program: Program name for the help text.

    Returns:
        The validated configuration.
    """
    parser = PlainParser(prog=program, description=(config_class.__doc__ or "").split("\n")[0])
    _add_config_arguments(parser, config_class)
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in vars(parser.parse_args(arguments)).items()}
    try:
        return config_class(**values)
    except ValueError as error:
        parser.error(str(error))


def _add_config_arguments(parser: argparse.ArgumentParser, config_class: type) -> None:
    """Add one flag per field of a dataclass; booleans also get a `--no-` form."""
    hints = typing.get_type_hints(config_class)
    helps = field_help(config_class)
    for field in dataclasses.fields(config_class):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        options: dict[str, Any] = {"help": helps.get(field.name, ""), "dest": field.name}
        if required or field.default == "" and field.name in ("data", "out"):
            options["required"] = True
        else:
            options["default"] = field.default
        kind = hints[field.name]
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is tuple:
            options["type"] = typing.get_args(kind)[0]
            options["nargs"] = "+"
        elif typing.get_origin(kind) in (typing.Union, types.UnionType):
            options["type"] = next(member for member in typing.get_args(kind) if member is not type(None))
        else:
            options["type"] = _finite if kind is float else kind
        parser.add_argument("--" + field.name.replace("_", "-"), **options)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def field_help(config_class: type) -> dict[str, str]:
    """The help text of each field, from the `Args` sections of a dataclass and its bases.

    Args:
        config_class: The dataclass.

    Returns:
        Field name to text, with per cent signs doubled for argparse.
    """
    helps: dict[str, str] = {}
    for base in reversed(config_class.__mro__):
        name = None
        for line in (base.__doc__ or "").partition("Args:")[2].splitlines():
            text = line.strip()
            head, colon, rest = text.partition(": ")
            if colon and head.isidentifier():
                name = head
                helps[name] = rest.replace("%", "%%")
            elif name and text:
                helps[name] += " " + text.replace("%", "%%")
    return helps


def use_threads(threads: int) -> None:
    """Limit the CPU threads of this process.

    Args:
        threads: Number of threads; 0 leaves PyTorch's choice.
    """
    if threads:
        torch.set_num_threads(threads)
