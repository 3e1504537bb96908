"""Crafted pictures, and mutations of sound ones of every kind, read in this process within the bounds of a reader.

One picture of each way to be costly is read as the page reads it, in a process apart; with a count of 100 all crafted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import AvifImagePlugin, Image

from melfusion_core import apart
from melfusion_core.image import ImageError, load_image, load_image_apart
from tests.hostile.pictures import KINDS, crafted, mutants
from tests.hostile.run import Trial

MORE_BYTES, SECONDS = apart.MAX_BYTES, 600
APART = (
    *("pixels-64m.png", "pixels-64m.webp", "pixels-108m-progressive.jpg", "scans.jpg"),
    *("text-bomb.png", "exif-bomb.jpg", "tags-bomb.tif", "text-in-width.jpg"),
)


def prepare(folder: Path, count: int, seed: int) -> None:
    for name, data in crafted():
        (folder / f"{'apart-' if name in APART or count >= 100 else ''}{name}").write_bytes(data)
    for kind in KINDS:
        for name, data in mutants(kind, count, seed):
            (folder / name).write_bytes(data)


def read(path: Path) -> Image.Image:
    """Read a picture as a reader apart does, whose end for want of memory is told by who asked it."""
    try:
        return load_image(path)
    except MemoryError as error:
        raise ImageError(f"{path.name} takes too much memory.") from error


def trials(folder: Path) -> Iterator[Trial]:
    Image.MAX_IMAGE_PIXELS = None
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    for path in sorted(folder.iterdir()):
        reader = load_image_apart if path.name.startswith("apart-") else read
        yield path.name, partial(reader, path), (ImageError,)
