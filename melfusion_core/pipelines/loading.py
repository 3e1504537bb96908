"""Strict loading: diffusers fills missing weights with random numbers and a log line; here that is an error."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import safe_open


def check_weights(name: str, module: torch.nn.Module, folder: Path, variant: str | None = None) -> None:
    """Check that a component's files hold exactly its weights.

    Args:
        name: Name of the component, for the message.
        module: The loaded component.
        folder: Folder of its files.
        variant: Variant that was loaded, such as ``"fp16"``; the plain files count where it has none.

    Raises:
        ValueError: When weights are missing or unexpected.
    """
    files = _weight_files(folder, variant) if variant else []
    files = files or _weight_files(folder, None)
    saved: set[str] = set()
    for file in files:
        with safe_open(file, framework="pt") as weights:
            saved.update(weights.keys())
    wanted = set(module.state_dict().keys())
    for kind, names in (("missing", wanted - saved), ("unexpected", saved - wanted)):
        if names:
            listed = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
            raise ValueError(f"{name} in {folder.parent} has {len(names)} {kind} weights: {listed}")


def _weight_files(folder: Path, variant: str | None) -> list[Path]:
    infix = rf"\.{re.escape(variant)}" if variant else ""
    pattern = re.compile(rf"\w+{infix}(-\d+-of-\d+)?\.safetensors")
    return sorted(file for file in folder.glob("*.safetensors") if pattern.fullmatch(file.name))
