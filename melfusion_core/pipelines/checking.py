"""What is wrong with a model folder, said of the file or component that it is wrong with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from melfusion_core.models.parts import find_class, load_part
from melfusion_core.pipelines.loading import LOOSE_PARTS, load_engine, upgrade_index

INDEX = "model_index.json"
MAX_JSON_BYTES = 100_000_000
_UNSAFE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")


class ModelFolderError(ValueError):
    """A model folder that cannot be loaded; the message names the file or component and is meant for people."""


def check_folder(folder: Path) -> None:
    """Read what can be read of a model folder without loading it.

    Args:
        folder: Folder with ``model_index.json``.

    Raises:
        ModelFolderError: When a file is damaged, or one that the index names is missing or not of a safe kind.
    """
    index = _object(folder / INDEX)
    for name, value in index.items():
        if not isinstance(value, list):
            continue
        if len(value) != 2 or not all(part is None or isinstance(part, str) for part in value):
            raise ModelFolderError(f"{folder / INDEX}: {name} names no library and class")
        part = folder / name
        if value[0] is None or not part.is_dir():
            continue  # what is missing altogether, the loading names
        if not any(part.rglob("*.json")):
            raise ModelFolderError(f"{part} has no configuration")
        unsafe = [file for file in part.rglob("*") if file.suffix in _UNSAFE]
        if unsafe and not any(part.rglob("*.safetensors")):
            raise ModelFolderError(f"{unsafe[0]} may hold programs and is not loaded: weights have to be safetensors")
    for file in sorted(folder.rglob("*.json")):
        if file.name.endswith(("config.json", "index.json")):
            _object(file)
        else:
            _json(file)
    for file in sorted(folder.rglob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as weights:
                weights.keys()
        except Exception as error:  # noqa: BLE001  (the reader has an error of its own)
            raise ModelFolderError(f"{file} is no whole safetensors file") from error


def explain(folder: Path, error: Exception) -> ModelFolderError:
    """Find the component that could not be loaded, by loading each one.

    Args:
        folder: Folder of a pipeline that could not be loaded.
        error: What was raised.

    Returns:
        An error that names it, with the first line of what was raised.
    """
    index = _object(folder / INDEX)
    parts = {name: value for name, value in upgrade_index(index).items() if isinstance(value, list) and value[0]}
    for name, (library, class_name) in parts.items():
        try:
            if name == "engine":
                load_engine(folder)
            else:
                load_part(find_class(library, class_name), folder / name)
        except Exception as found:  # noqa: BLE001  (that is what is looked for)
            where = " or ".join(LOOSE_PARTS) if name == "engine" and name not in index else name
            return ModelFolderError(f"{folder / where} could not be loaded: {_first(found)}")
    return ModelFolderError(f"{folder / INDEX} does not make a pipeline: {_first(error)}")


def _object(file: Path) -> dict[str, Any]:
    found = _json(file)
    if not isinstance(found, dict):
        raise ModelFolderError(f"{file} does not hold a configuration")
    return found


def _json(file: Path) -> Any:
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise ModelFolderError(f"{file} is too large for a configuration")
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFolderError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"{file} is not valid JSON") from error


def _first(error: Exception) -> str:
    """The first line of what a library raised, without advice that is not ours, such as to load unsafely."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= 200 else f"{line[:197]}..."
