"""Loading in which every weight is used, or named in an error."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from safetensors.torch import load_file

PARTS_OF_TANGO = ("unet.", "text_encoder.")


class WeightsError(ValueError):
    """Weights are missing, unexpected or of another shape; the message names them."""


def load_component(
    component_class: type, folder: Path, unused: Iterable[str] = (), dtype: torch.dtype = torch.float32, **config: Any
) -> torch.nn.Module:
    """Load a network of diffusers or transformers from safetensors, strictly.

    Args:
        component_class: Its class.
        folder: Its folder, with `config.json`.
        unused: Patterns of weights that the file may hold though this class has no use for them, for instance the
            decoder of a T5 of which only the encoder is wanted.
        dtype: Of the weights.
        config: Further arguments of `from_pretrained`.

    Returns:
        The network, in evaluation mode and frozen.

    Raises:
        WeightsError: When the folder has no safetensors, or weights are missing, unexpected or of another shape.
    """
    if not (folder / "config.json").is_file():
        raise WeightsError(f"there is no {component_class.__name__} in {folder}: it has no config.json")
    if not any(folder.glob("*.safetensors")):
        raise WeightsError(f"{folder} has no safetensors; pickled weights are not read")
    option = "torch_dtype" if issubclass(component_class, ModelMixin) else "dtype"
    network, report = component_class.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        low_cpu_mem_usage=False,
        **{option: dtype},
        **config,
    )
    _check_report(component_class.__name__, folder, report, unused)
    for tensor in [*network.parameters(), *network.buffers()]:
        tensor.data = (
            tensor.data.clone()
        )  # mapped from a file they lie at odd addresses, where kernels round otherwise
    return network.eval().requires_grad_(False)


def _check_report(name: str, folder: Path, report: Mapping[str, Any], unused: Iterable[str] = ()) -> None:
    """Turn the report of `from_pretrained(..., output_loading_info=True)` into an error where it is not clean."""
    kinds = {"missing_keys": "missing", "unexpected_keys": "unexpected", "mismatched_keys": "of another shape"}
    faults = []
    for key, kind in kinds.items():
        names = sorted(str(item[0] if isinstance(item, tuple) else item) for item in report.get(key, ()))
        if key == "unexpected_keys":
            names = [item for item in names if not any(fnmatch.fnmatch(item, pattern) for pattern in unused)]
        if names:
            faults.append(f"{len(names)} {kind}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    messages = [str(message) for message in report.get("error_msgs", ())]
    if faults or messages:
        raise WeightsError(f"the weights of {name} in {folder} do not fit: {'; '.join(faults + messages)}")


def load_state(network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str) -> torch.nn.Module:
    """Load a state dictionary strictly.

    Args:
        network: Where to.
        state: The weights.
        name: What it is, for the message.

    Returns:
        The network, in evaluation mode and frozen.

    Raises:
        WeightsError: When weights are missing, unexpected or of another shape.
    """
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:  # names what is missing, unexpected or of another shape
        raise WeightsError(f"the weights of {name} do not fit: {' '.join(str(error).split())}") from error
    return network.eval().requires_grad_(False)


def read_tango(folder: Path, allow_pickle: bool = False) -> dict[str, dict[str, torch.Tensor]]:
    """Read a checkpoint in Tango's own layout: one file with the UNet and the text encoder.

    Args:
        folder: Folder with `*.safetensors`, or `pytorch_model_main.bin`.
        allow_pickle: Whether the `.bin` may be read; torch's `weights_only` reader executes nothing it holds.

    Returns:
        Weights by part, `unet` and `text_encoder`, under the names of diffusers and transformers.

    Raises:
        WeightsError: When there is no such file, or it holds weights that belong to no part.
    """
    files = sorted(folder.glob("*.safetensors"))
    pickled = folder / "pytorch_model_main.bin"
    state: dict[str, torch.Tensor] = {}
    for file in files:
        state |= load_file(file)
    if not files and pickled.is_file():
        if not allow_pickle:
            raise WeightsError(f"{folder} has a pickle only ({pickled.name}); allow it with --allow-pickle")
        state = torch.load(pickled, map_location="cpu", weights_only=True)
    if not state:
        raise WeightsError(f"{folder} holds neither a unet folder nor weights in Tango's layout")
    parts: dict[str, dict[str, torch.Tensor]] = {prefix.rstrip("."): {} for prefix in PARTS_OF_TANGO}
    strange = [key for key in state if not key.startswith(PARTS_OF_TANGO)]
    if strange:
        raise WeightsError(f"{folder} holds {len(strange)} weights of no known part: {', '.join(sorted(strange)[:5])}")
    for key, value in state.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    return parts
