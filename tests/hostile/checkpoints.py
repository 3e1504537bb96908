"""Broken model folders: every file of a sound one missing, cut, empty, of another kind, or with other values."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from tests import conftest


def sound(folder: Path) -> Path:
    """Save a tiny pipeline.

    Args:
        folder: Where.

    Returns:
        The folder.
    """
    text = conftest.tiny_text.__wrapped__()
    conftest.make_tiny_pipeline.__wrapped__(text)().save_pretrained(folder)
    return folder


def broken(whole: Path, folder: Path) -> Iterator[Path]:
    """Break a copy of a model folder in every way, one at a time.

    Args:
        whole: A sound model folder.
        folder: Where the broken copies go.

    Yields:
        A folder, named after what is wrong with it.
    """
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    for file in files:
        for name, change in _changes(file).items():
            copy = folder / f"{str(file).replace('/', '-')}-{name}"
            shutil.copytree(whole, copy, copy_function=_link)
            target = copy / file
            data = target.read_bytes()
            target.unlink()
            change(target, data)
            yield copy
    for part in sorted({file.parts[0] for file in files if len(file.parts) > 1}):
        copy = folder / f"no-{part}"
        shutil.copytree(whole, copy, copy_function=_link)
        shutil.rmtree(copy / part)
        yield copy


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _changes(file: Path) -> dict[str, Callable[[Path, bytes], Any]]:
    changes: dict[str, Callable[[Path, bytes], Any]] = {
        "missing": lambda path, data: None,
        "empty": lambda path, data: path.write_bytes(b""),
        "cut": lambda path, data: path.write_bytes(data[: len(data) // 2]),
        "zeros": lambda path, data: path.write_bytes(b"\0" * len(data)),
    }
    if file.suffix == ".json" and "config" in file.name or file.name == "model_index.json":
        changes |= {
            "list": lambda path, data: path.write_bytes(b"[]"),
            "nested": lambda path, data: path.write_bytes(b"[" * 100_000),
            "null": lambda path, data: path.write_bytes(b"null"),
            "bytes": lambda path, data: path.write_bytes(b"\xff\xfe" + data),
            "texts": lambda path, data: path.write_text(_with(data, int, "many")),
            "negative": lambda path, data: path.write_text(_with(data, int, -1)),
            "huge": lambda path, data: path.write_text(_with(data, int, 10**30)),
            "lists": lambda path, data: path.write_text(_with(data, list, [["x", 5, None]])),
            "nulls": lambda path, data: path.write_text(_with(data, list, None)),
            "words": lambda path, data: path.write_text(_with(data, str, "nonsense")),
        }
    if file.suffix == ".safetensors":
        changes["pickle"] = lambda path, data: path.with_suffix(".bin").write_bytes(pickle.dumps({"x": 1}))
        changes["checkpoint"] = lambda path, data: torch.save({"x": torch.ones(1)}, path.with_name("checkpoint.pt"))
        changes["header"] = lambda path, data: path.write_bytes(b"\xff" * 8 + data[8:])
    return changes


def _with(data: bytes, kind: type, value: Any) -> str:
    return json.dumps(
        {key: value if type(old) is kind and not key.startswith("_") else old for key, old in json.loads(data).items()}
    )
