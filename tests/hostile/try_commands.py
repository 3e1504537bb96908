"""Command lines with a strange value for every flag of every command: told in one plain line, or taken."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.hostile.run import Trial

MORE_BYTES, SECONDS, PATHS = 8_000_000_000, 600, True
VALUES = {
    "empty": "",
    "blank": " ",
    "text": "x",
    "escape": "\x1b[2J\x1b]0;x\x07\u202e",
    "surrogate": "\udcff",
    "long": "x" * 50_000,
    "minus": "-1",
    "huge": "9" * 6000,
    "large": "1e308",
    "nan": "nan",
    "infinite": "inf",
    "fraction": "0.5",
    "folder": "/proc/none/out.wav",
    "flag": "--",
}


class Refused(Exception):
    """What a command said."""


def prepare(folder: Path, count: int, seed: int) -> None:
    (folder / "draw.json").write_text(json.dumps([count, seed]))


def leaves(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """All commands that do something, with their parsers."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, child in action.choices.items():
            yield from leaves(child, (*words, name))
    if not below:
        yield words, parser


def parse(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Parse a command line as the program does."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit:
        text = said.getvalue()
        if text.count("\n") != 1:
            raise AssertionError(f"{text.count(chr(10))} lines") from None
        raise Refused(text.rstrip("\n")) from None


def trials(folder: Path) -> Iterator[Trial]:
    from melfusion_core.cli.parser import build_parser

    whole = build_parser()
    made: list[Trial] = []
    for words, parser in leaves(whole):
        for action in parser._actions:
            for value in VALUES.values():
                given = [f"{action.option_strings[0]}={value}"] if action.option_strings else [value]
                made.append((" ".join([*words, *given])[:60], partial(parse, whole, [*words, *given]), (Refused,)))
    count, seed = json.loads((folder / "draw.json").read_text())
    yield from random.Random(seed).sample(made, min(100 * count, len(made)))
