"""Loading the model that is evaluated, and naming it by its content."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any


def fingerprint(folder: Path) -> str:
    """Name a model by its content, so that takes of two models never mix.

    Args:
        folder: Folder of the model.

    Returns:
        Name of the folder and the start of a SHA-256 over its weights and configurations.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.resolve().name}-{digest.hexdigest()[:12]}"


def load_pipeline(folder: Path, device: str) -> Any:
    """Load the project's pipeline, found by name: evaluation itself works with any object that can compare.

    Args:
        folder: Folder of the model.
        device: Where to run it.

    Returns:
        The pipeline.
    """
    pipeline = importlib.import_module("melfusion_core").MelFusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
