"""The components of a saved pipeline, without the pipeline: what a trainer needs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from melfusion_core.models.parts import find_class, load_part
from melfusion_core.models.text import MINILM_SOURCE, load_minilm
from melfusion_core.pipelines.loading import load_engine, upgrade_index


def load_components(folder: Path, names: Iterable[str], dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Load components of a pipeline's folder.

    Args:
        folder: Folder with ``model_index.json``.
        names: Which components; those that the pipeline does not have are None.
        dtype: Of the weights.

    Returns:
        Components by name; networks are frozen and in evaluation mode.

    Raises:
        ValueError: When the folder is no pipeline, a component is of a library that is not known, or weights do
            not fit.
    """
    index_path = folder / "model_index.json"
    if not index_path.is_file():
        raise ValueError(f"there is no pipeline in {folder}: it has no model_index.json")
    index = upgrade_index(json.loads(index_path.read_text(encoding="utf-8")))
    components: dict[str, Any] = {}
    if index.get("text_encoder_source") == MINILM_SOURCE:
        components["tokenizer"], components["text_encoder"] = load_minilm()
    for name in names:
        named = index.get(name) or (None, None)
        if name in components:
            continue
        if named[0] is None:
            components[name] = None
        elif name == "engine":
            components[name] = load_engine(folder, dtype)
        else:
            components[name] = load_part(find_class(*named), folder / name, dtype)
    return components
