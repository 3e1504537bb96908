"""The components of a saved pipeline, without the pipeline: what a trainer needs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin

from melfusion_core.models.text import MINILM_SOURCE, load_minilm

SAFE_LIBRARIES = ("diffusers", "transformers", "melfusion_core.")


def load_components(folder: Path, names: Iterable[str], dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Load components of a pipeline's folder.

    Args:
        folder: Folder with ``model_index.json``.
        names: Which components; those that the pipeline does not have are None.
        dtype: Of the weights.

    Returns:
        Components by name; networks are frozen and in evaluation mode.

    Raises:
        ValueError: When the folder is no pipeline, or a component is of a library that is not known.
    """
    index_path = folder / "model_index.json"
    if not index_path.is_file():
        raise ValueError(f"there is no pipeline in {folder}: it has no model_index.json")
    index = json.loads(index_path.read_text(encoding="utf-8"))
    components: dict[str, Any] = {}
    if index.get("text_encoder_source") == MINILM_SOURCE:
        components["tokenizer"], components["text_encoder"] = load_minilm()
    for name in names:
        library, class_name = index.get(name) or (None, None)
        if name in components:
            continue
        if library is None:
            components[name] = None
            continue
        if not library.startswith(SAFE_LIBRARIES):
            raise ValueError(f"{name} in {folder} is of the library {library}, which is not loaded here")
        component_class = getattr(importlib.import_module(library), class_name)
        components[name] = _load(component_class, folder / name, dtype)
    return components


def _load(component_class: type, folder: Path, dtype: torch.dtype) -> Any:
    if not issubclass(component_class, torch.nn.Module):
        return component_class.from_pretrained(folder, local_files_only=True)
    option = "torch_dtype" if issubclass(component_class, ModelMixin) else "dtype"
    module = component_class.from_pretrained(folder, local_files_only=True, use_safetensors=True, **{option: dtype})
    for tensor in [*module.parameters(), *module.buffers()]:
        tensor.data = (
            tensor.data.clone()
        )  # mapped from a file they lie at odd addresses, where kernels round otherwise
    return module.eval().requires_grad_(False)
