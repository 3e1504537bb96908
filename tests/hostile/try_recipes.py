"""Recipes with strange values in every field, and cut and mutated ones, opened as `--recipe` opens them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from melfusion_core.engines.score.direction import Direction
from melfusion_core.recipe import Recipe, RecipeError, read_from_file
from tests.core.test_recipe import make_recipe
from tests.hostile.pictures import spoiled
from tests.hostile.run import Trial

MORE_BYTES, SECONDS = 200_000_000, 120
VALUES = {
    "null": "null",
    "true": "true",
    "text": '"x"',
    "escape": r'"\u001b[2J\u001b]0;x\u0007\u202e"',
    "surrogate": r'"\ud800"',
    "zero": r'"../../a\u0000b"',
    "long": json.dumps("la " * 15_000),
    "minus": "-1e9",
    "huge": "9" * 4000,
    "large": "1e308",
    "nan": "NaN",
    "infinite": "1e999",
    "fraction": "0.5",
    "list": '[[["x"]]]',
    "object": '{"a": {"b": [null]}, "\\u001b": 1}',
}
DIRECTIONS = ("metre", "swing", "style", "parts", "chords", "arousal", "valence", "tempo_within", "source", "\u001b")


def prepare(folder: Path, count: int, seed: int) -> None:
    plain = make_recipe().to_dict()
    for key in (*plain, "unknown", "\u001b[2J", "k" * 50_000):
        for name, text in VALUES.items():
            whole = json.dumps(plain | {key: "@"}).replace('"@"', text)
            (folder / f"{key[:20].encode().hex()}-{name}.json").write_text(whole)
        without = {name: value for name, value in plain.items() if name != key}
        (folder / f"{key[:20].encode().hex()}-none.json").write_text(json.dumps(without))
    for key in DIRECTIONS:
        for name, text in VALUES.items():
            whole = json.dumps(plain | {"direction": {key: "@"}}).replace('"@"', text)
            (folder / f"direction-{key.encode().hex()}-{name}.json").write_text(whole)
    for name, data in spoiled("recipe", json.dumps(plain).encode(), 4 * count, seed):
        (folder / f"{name}.json").write_bytes(data)


def read(path: Path) -> Recipe:
    """Read a recipe and what it told the music."""
    recipe = read_from_file(path)
    if recipe.direction:
        try:
            Direction.from_dict(recipe.direction)
        except ValueError as error:  # as the commands tell it
            raise RecipeError(f"{str(error).rstrip('.')}.") from error
    return recipe


def trials(folder: Path) -> Iterator[Trial]:
    for path in sorted(folder.iterdir()):
        yield path.name, partial(read, path), (RecipeError,)
