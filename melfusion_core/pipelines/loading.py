"""Strict loading: diffusers fills missing weights with random numbers and a log line; here that is an error.

And plain words where the Hub cannot be reached.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

_CORE = "melfusion_core"
MOVED_MODULES = {
    f"{_CORE}.models.patch_codec": f"{_CORE}.engines.spectrogram.patch_codec",
    f"{_CORE}.models.vocoder": f"{_CORE}.engines.spectrogram.vocoder",
    f"{_CORE}.models.text_encoders": f"{_CORE}.full_size.text_encoders",
    f"{_CORE}.models.hifigan": f"{_CORE}.full_size.hifigan",
}
"""Modules that model folders of earlier releases name, and where their classes are now."""


class HubError(RuntimeError):
    """A repository could not be had from the Hub; the message says what to do."""


def download_pipeline(repo: str, **options: Any) -> Path:
    """Fetch a pipeline's repository: configurations and safetensors only.

    Args:
        repo: Name on the Hub.
        options: Of ``huggingface_hub.snapshot_download``, such as ``revision``, ``token`` and ``local_files_only``.

    Returns:
        Its folder in the local cache.

    Raises:
        HubError: When it could not be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = snapshot_download(repo, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"], **options)
    except HFValidationError as error:
        raise HubError(f"{repo} is neither a folder nor the name of a repository.") from error
    except OSError as error:
        raise HubError(hub_message(repo, error)) from error
    if not (Path(folder) / "model_index.json").is_file():
        raise HubError(f"{repo} holds no pipeline: it has no model_index.json.")
    return Path(folder)


def hub_message(repo: str, error: Exception) -> str:
    """Say in one line that the Hub did not give a repository, and what can be done.

    Args:
        repo: The repository.
        error: What huggingface_hub raised.

    Returns:
        The message.
    """
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"{repo} could not be had from the Hugging Face Hub ({first}). Check the name, your connection and, for gated "
        "repositories, `hf auth login`; or fetch the folder on another machine and give it as a local folder."
    )


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
    state = module.state_dict()
    wanted = set(state.keys())
    present = {state[key].data_ptr() for key in wanted & saved}
    wanted = {key for key in wanted if key in saved or state[key].data_ptr() not in present}  # tied: saved only once
    for kind, names in (("missing", wanted - saved), ("unexpected", saved - wanted)):
        if names:
            listed = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
            raise ValueError(f"{name} in {folder.parent} has {len(names)} {kind} weights: {listed}")


def _weight_files(folder: Path, variant: str | None) -> list[Path]:
    infix = rf"\.{re.escape(variant)}" if variant else ""
    pattern = re.compile(rf"\w+{infix}(-\d+-of-\d+)?\.safetensors")
    return sorted(file for file in folder.glob("*.safetensors") if pattern.fullmatch(file.name))
