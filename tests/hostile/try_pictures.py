"""Mutations of sound pictures of every kind, read in the process itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from melfusion_core.image import ImageError, load_image
from tests.hostile.pictures import KINDS, mutants
from tests.hostile.run import Trial

MORE_BYTES, SECONDS = 600_000_000, 600


def prepare(folder: Path, count: int, seed: int) -> None:
    for kind in KINDS:
        for name, data in mutants(kind, count, seed):
            (folder / name).write_bytes(data)


def trials(folder: Path) -> Iterator[Trial]:
    for path in sorted(folder.iterdir()):
        yield path.name, partial(load_image, path), (ImageError,)
