"""What visitors made lately, in memory as long as there is room; sessions hold only the names."""

from __future__ import annotations

import threading
from collections import OrderedDict

from demo.takes import Result

MAX_BYTES = 400_000_000


class TakeStore:
    """Keeps results by name, and gives up the oldest where there is no room.

    Args:
        max_bytes: Memory for all of them together.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def keep(self, name: str, result: Result) -> None:
        """Keep a result, in place of what had its name.

        Args:
            name: Known to the visitor's session alone.
            result: To keep.
        """
        with self._lock:
            self._drop(name)
            self._results[name] = result
            self._bytes += _size(result)
            while self._bytes > self.max_bytes and len(self._results) > 1:
                self._drop(next(iter(self._results)))

    def find(self, name: str | None) -> Result | None:
        """Give a result.

        Args:
            name: Its name; `None` for none.

        Returns:
            The result; `None` where it is not kept, or no longer.
        """
        with self._lock:
            result = self._results.get(name or "")
            if result is not None:
                self._results.move_to_end(name)
            return result

    def _drop(self, name: str) -> None:
        result = self._results.pop(name, None)
        self._bytes -= _size(result) if result is not None else 0


def _size(result: Result) -> int:
    pictures = {id(image): image for take in result.takes for image in (take.image, take.cover) if image is not None}
    arrays = sum(take.view.nbytes + take.samples.nbytes for take in result.takes)
    return arrays + sum(4 * image.width * image.height for image in pictures.values())
