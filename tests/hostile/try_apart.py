"""Crafted pictures, read as the page reads them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from melfusion_core.image import ImageError, load_image_apart
from tests.hostile.pictures import crafted
from tests.hostile.run import Trial

MORE_BYTES, SECONDS = 200_000_000, 60


def prepare(folder: Path, count: int, seed: int) -> None:
    for name, data in crafted():
        (folder / name).write_bytes(data)


def trials(folder: Path) -> Iterator[Trial]:
    for path in sorted(folder.iterdir()):
        yield path.name, partial(load_image_apart, path), (ImageError,)
