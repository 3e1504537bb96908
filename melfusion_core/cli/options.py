"""Values on the command line: their types, limits and defaults."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melfusion_core.take import KNOBS, MAX_SEED, TakeSettings

MODEL_NAME = "melfusion-mini"
MAX_PROMPT_CHARACTERS = 1000


class CommandError(Exception):
    """Something the user can put right; shown as one line.

    Args:
        message: What is wrong and what to do.
        code: Exit code: 2 for bad input, 1 for trouble on the way.
    """

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


def check_folder(folder: Path, make: bool = False) -> None:
    """Find out before the work whether files can be written to a folder.

    Args:
        folder: The folder.
        make: Whether it may be missing, as it is made later.

    Raises:
        CommandError: They cannot.
    """
    try:
        while make and not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise CommandError(
                f"{folder} is no folder." if folder.exists() else f"The folder {folder} does not exist."
            )
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise CommandError(f"Nothing can be written to {str(folder)[:100]}: {error.strerror}.", code=1) from error


def out_folder(text: str) -> Path:
    """Read the folder that a command writes to; it is made later where it is missing.

    Args:
        text: As typed.

    Returns:
        The folder, to which files can be written.
    """
    return _writable(Path(text), Path(text), make=True)


def out_file(text: str) -> Path:
    """Read the file that a command writes.

    Args:
        text: As typed.

    Returns:
        The file, whose folder can be written to.
    """
    path = _writable(Path(text), Path(text).parent, make=False)
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"no file can be called that: {error.strerror}") from error
    if is_folder:
        raise argparse.ArgumentTypeError(f"{text} is a folder")
    return path


def _writable(path: Path, folder: Path, make: bool) -> Path:
    try:
        check_folder(folder, make)
    except CommandError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
    return path


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
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise argparse.ArgumentTypeError("is not valid text in this terminal's encoding")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise argparse.ArgumentTypeError(
            f"has {len(text):,} characters; at most {MAX_PROMPT_CHARACTERS:,} are accepted"
        )
    return text


def add_settings(parser: argparse.ArgumentParser, *names: str, filled: bool = True) -> None:
    """Add the flags of some settings of a take.

    Args:
        parser: To add to.
        names: Fields of `TakeSettings`; none for all of them.
        filled: Whether a flag that is not given has the setting's default; else it is None.
    """
    for name in names or KNOBS:
        knob, default = KNOBS[name], getattr(TakeSettings, name)
        told = "" if default in (None, "") else f" (default {default if isinstance(default, str) else f'{default:g}'})"
        metavar = knob.flags[0].upper().replace("-", "_")
        options: dict[str, Any] = (
            {"choices": knob.choices} if knob.choices else {"type": reader(name), "metavar": metavar}
        )
        flags = [f"--{flag}" for flag in knob.flags]
        parser.add_argument(*flags, dest=name, default=default if filled else None, help=knob.help + told, **options)


def add_part(parser: argparse.ArgumentParser) -> None:
    """Add the flag for a share of an evaluation's takes.

    Args:
        parser: To add to.
    """
    from melfusion_core.evaluation.shares import WHOLE, parse_part

    def part(text: str) -> Any:
        try:
            return parse_part(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument("--part", type=part, default=WHOLE, metavar="I/N", help="make share I of N only, no report")


def reader(name: str) -> Callable[[str], Any]:
    """Make a type for argparse: the values of a setting.

    Args:
        name: Field of `TakeSettings`.

    Returns:
        Function from text to value.
    """
    knob = KNOBS[name]
    if knob.kind is str:
        return caption
    return whole_number(int(knob.low), int(knob.high)) if knob.kind is int else number(knob.low, knob.high)


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of a take that a command line gives.

    Args:
        args: Parsed command line, of a parser with `add_settings`.

    Returns:
        Values by name.
    """
    return {name: getattr(args, name) for name in KNOBS if getattr(args, name, None) is not None}


def default_model() -> Path:
    """Find the model that ships with the program.

    Returns:
        The folder `checkpoints/melfusion-mini` beside the package, or else below the current folder.
    """
    beside = Path(__file__).resolve().parents[2] / "checkpoints" / MODEL_NAME
    return beside if beside.is_dir() else Path("checkpoints") / MODEL_NAME
