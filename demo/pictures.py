"""Visitors' pictures: read one at a time in a process apart; the last few are kept, as each is asked for again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from demo import words
from melfusion_core.image import ImageError, load_image_apart

MOST_KEPT = 6
PATIENCE_S = 60.0


class PictureReader:
    """Reads pictures for the page.

    Args:
        read: Function from a file to a plain picture.
        most_kept: How many pictures are kept in memory; each takes at most 17 MB.
    """

    def __init__(
        self, read: Callable[[str | Path], Image.Image] = load_image_apart, most_kept: int = MOST_KEPT
    ) -> None:
        self._read = read
        self._most_kept = most_kept
        self._kept: OrderedDict[tuple[str, int, int], Image.Image] = OrderedDict()
        self._turn = threading.Lock()

    def __call__(self, path: str | Path) -> Image.Image:
        """Read a picture, or give it again; where another is being read, wait for one's turn.

        Args:
            path: The file.

        Returns:
            A plain RGB picture, which is not to be changed.

        Raises:
            ImageError: When it cannot be used, or the turn does not come.
        """
        if not self._turn.acquire(timeout=PATIENCE_S):
            raise ImageError(words.TOO_MANY_PICTURES)
        try:
            key = _key(path)
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            image = self._read(path)
            self._kept[key] = image
            while len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
            return image
        finally:
            self._turn.release()


def _key(path: str | Path) -> tuple[str, int, int]:
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        raise ImageError(words.PICTURE_GONE) from error
    return str(path), status.st_mtime_ns, status.st_size
