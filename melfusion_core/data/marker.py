"""What a folder is made from, recorded in it, so that only the same work goes on there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class MarkerError(ValueError):
    """A record that cannot be read; the message says what to do."""


def read_marker(path: Path) -> Any:
    """Read a record.

    Args:
        path: Its file.

    Returns:
        What was recorded; `None` where nothing was.

    Raises:
        MarkerError: It is damaged.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MarkerError(
            f"{path} is damaged, so nobody knows what this folder is made from: delete it if you are sure that the "
            "same settings made the rest, or choose another folder"
        ) from error


def write_marker(path: Path, record: Any) -> None:
    """Write a record, whole or not at all.

    Args:
        path: Its file.
        record: What JSON can hold.
    """
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
