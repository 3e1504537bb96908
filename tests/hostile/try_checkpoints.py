"""Broken model folders, opened as the commands and the studio open them."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.hostile.checkpoints import broken, sound
from tests.hostile.run import Trial

MORE_BYTES, SECONDS, PATHS = 8_000_000_000, 900, True


def prepare(folder: Path, count: int, seed: int) -> None:
    made = list(broken(sound(folder / "sound"), folder))
    for path in random.Random(seed).sample(made, max(0, len(made) - count)):
        shutil.rmtree(path)


def trials(folder: Path) -> Iterator[Trial]:
    from melfusion_core.cli.options import CommandError
    from melfusion_core.cli.takes import load_pipeline

    warnings.simplefilter("ignore")
    for path in sorted(folder.iterdir()):
        yield path.name, partial(load_pipeline, path, "cpu"), (CommandError,)
