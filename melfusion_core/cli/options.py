"""Values on the command line: their types, limits and defaults."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from melfusion_core import defaults
from melfusion_core.recipe import MAX_SEED

MODEL_NAME = "melfusion-mini"
MAX_PROMPT_CHARACTERS = 1000
DURATION_S = (defaults.MIN_DURATION_S, defaults.MAX_DURATION_S)
STEPS = (1, defaults.MAX_INFERENCE_STEPS)
GUIDANCE = (0.0, defaults.MAX_GUIDANCE_SCALE)
SYNAPSE_STRENGTH = (0.0, defaults.MAX_SYNAPSE_STRENGTH)
DEFAULTS = {
    "duration": defaults.DURATION_S,
    "steps": defaults.NUM_INFERENCE_STEPS,
    "sampler": defaults.SAMPLERS[0],
    "guidance": defaults.GUIDANCE_SCALE,
    "image_guidance": defaults.IMAGE_GUIDANCE_SCALE,
    "guidance_rescale": defaults.GUIDANCE_RESCALE,
    "guidance_stop": defaults.GUIDANCE_STOP,
    "synapse_strength": defaults.SYNAPSE_STRENGTH,
    "negative_prompt": "",
}


class CommandError(Exception):
    """Something the user can put right; shown as one line.

    Args:
        message: What is wrong and what to do.
        code: Exit code: 2 for bad input, 1 for trouble on the way.
    """

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


def number(low: float, high: float) -> Callable[[str], float]:
    """Make a type for argparse: a finite number within limits.

    Args:
        low: Smallest accepted value.
        high: Largest accepted value.

    Returns:
        Function from text to number.
    """

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not math.isfinite(value) or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}, not {text}")
        return value

    return parse


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make a type for argparse: a whole number within limits.

    Args:
        low: Smallest accepted value.
        high: Largest accepted value.

    Returns:
        Function from text to number.
    """

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be from {low} to {high}, not {text}")
        return value

    return parse


def seed(text: str) -> int:
    """Read a seed.

    Args:
        text: As typed.

    Returns:
        Whole number from 0 to 2**63 - 1.
    """
    return whole_number(0, MAX_SEED)(text)


def caption(text: str) -> str:
    """Read a caption.

    Args:
        text: As typed.

    Returns:
        The caption without blanks at its ends.
    """
    text = text.strip()
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise argparse.ArgumentTypeError(
            f"has {len(text):,} characters; at most {MAX_PROMPT_CHARACTERS:,} are accepted"
        )
    return text


def default_model() -> Path:
    """Find the model that ships with the program.

    Returns:
        The folder `checkpoints/melfusion-mini` beside the package, or else below the current folder.
    """
    beside = Path(__file__).resolve().parents[2] / "checkpoints" / MODEL_NAME
    return beside if beside.is_dir() else Path("checkpoints") / MODEL_NAME
