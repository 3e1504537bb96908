"""Bombs in tags and mutations of sound files, opened as the page opens a take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from melfusion_core.recipe import RecipeError, read_from_file
from melfusion_core.tags import TagError, read_cover
from tests.hostile.pictures import spoiled
from tests.hostile.run import Trial
from tests.hostile.sounds import SUFFIXES, crafted, whole

MORE_BYTES, SECONDS = 200_000_000, 60


def prepare(folder: Path, count: int, seed: int) -> None:
    for name, data in crafted(folder):
        (folder / name).write_bytes(data)
    for suffix in SUFFIXES:
        sound = whole(suffix, folder)
        for name, data in spoiled(suffix[1:], sound, count // 4, seed):
            (folder / f"{name}{suffix}").write_bytes(data)


def trials(folder: Path) -> Iterator[Trial]:
    for path in sorted(folder.iterdir()):
        yield f"recipe {path.name}", partial(read_from_file, path), (RecipeError,)
        if path.suffix != ".json":
            yield f"cover {path.name}", partial(read_cover, path), (TagError,)
