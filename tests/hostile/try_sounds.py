"""Bombs in tags and mutations of sound files, opened as the page opens a take.

Tags are read in this process, within the bounds of a reader apart; those of some files, with a count of 100 those of
all, are read in processes apart.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from melfusion_core import apart, tags
from melfusion_core.recipe import RecipeError, read_from_file
from melfusion_core.tags import TagError, read_cover
from tests.hostile.pictures import spoiled
from tests.hostile.run import Trial
from tests.hostile.sounds import SUFFIXES, crafted, whole

MORE_BYTES, SECONDS, PATIENCE_S = apart.MAX_BYTES, 600, 0.5
APART = ("text-bomb.mp3", "cover-bomb.wav", "chapters.mp3", "nested.mp4", "cover.flac")


def prepare(folder: Path, count: int, seed: int) -> None:
    for name, data in crafted(folder):
        (folder / f"{'apart-' if name in APART or count >= 100 else ''}{name}").write_bytes(data)
    for suffix in SUFFIXES:
        sound = whole(suffix, folder)
        for name, data in spoiled(suffix[1:], sound, count, seed):
            (folder / f"{name}{suffix}").write_bytes(data)


def answer_here(module: str, request: dict[str, Any], data: bytes = b"", cpu_s: int = 0) -> tuple[Any, bytes]:
    """Answer as a reader apart does, whose accidents are told by who asked it, but give up sooner."""
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)
    try:
        return tags._answer(request, data)
    except Exception as error:
        raise apart.ApartError("the reader failed") from error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def give_up(*_: object) -> None:
    """Say that it takes too long."""
    raise TimeoutError


def here(read: Any, path: Path) -> object:
    """Read something with the reader in this process."""
    with mock.patch.object(apart, "ask", answer_here):
        return read(path)


def trials(folder: Path) -> Iterator[Trial]:
    signal.signal(signal.SIGVTALRM, give_up)
    for path in sorted(folder.iterdir()):
        for read, error in ((read_from_file, RecipeError), (read_cover, TagError)):
            if read is read_cover and path.suffix == ".json":
                continue
            attempt = partial(read, path) if path.name.startswith("apart-") else partial(here, read, path)
            yield f"{read.__name__} {path.name}", attempt, (error,)
