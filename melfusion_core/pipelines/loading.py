"""Where pipelines come from: folders of this release and of earlier ones, and the Hub, in plain words if not."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import torch

from melfusion_core.engines.base import Engine
from melfusion_core.models.parts import MOVED_MODULES, find_class, load_part

logger = logging.getLogger(__name__)

SPECTROGRAM = ["melfusion_core.engines.spectrogram.engine", "SpectrogramEngine"]
LOOSE_PARTS = ("vae", "vocoder")
"""Components that pipelines of earlier releases had in place of an engine, which was always that of spectrograms."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class HubError(RuntimeError):
    """A repository could not be had from the Hub; the message says what to do."""


def find_model(model: str | Path) -> Path:
    """The folder of a model; a repository on the Hub is downloaded, or found in the local cache.

    Args:
        model: A folder, or ``owner/name`` of a repository.

    Returns:
        The folder.

    Raises:
        HubError: When there is no such folder, and as a repository it could not be had.
        FileNotFoundError: When there is no pipeline in the folder.
    """
    name, folder = Path(model).as_posix(), Path(model)
    if not folder.exists() and _REPOSITORY.fullmatch(name):
        logger.warning("There is no folder %s: looking for a repository of that name on the Hugging Face Hub.", name)
        return download_pipeline(name)
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"There is no model in {folder}: it has no model_index.json.")
    return folder


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


def upgrade_index(index: dict[str, Any]) -> dict[str, Any]:
    """A pipeline's ``model_index.json`` as this release writes it.

    Args:
        index: As some release wrote it.

    Returns:
        The same with modules of today, and an engine in place of its parts.
    """
    upgraded = dict(index)
    if "engine" not in index and all(name in index for name in LOOSE_PARTS):
        upgraded = {name: value for name, value in index.items() if name not in LOOSE_PARTS}
        upgraded["engine"] = SPECTROGRAM
    for name, value in upgraded.items():
        if isinstance(value, list) and value and value[0] in MOVED_MODULES:
            upgraded[name] = [MOVED_MODULES[value[0]], *value[1:]]
    return upgraded


def load_engine(folder: Path, dtype: torch.dtype | None = None, variant: str | None = None) -> Engine:
    """Load the engine of a pipeline's folder.

    Args:
        folder: Folder with ``model_index.json``.
        dtype: Of its weights; None for float32.
        variant: Variant of its files, such as ``"fp16"``.

    Returns:
        The engine, frozen and in evaluation mode.

    Raises:
        ValueError: When the folder names no engine, or weights do not fit.
    """
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    upgraded = upgrade_index(index)
    if "engine" not in upgraded:
        raise ValueError(f"{folder} names no engine")
    engine_class = find_class(*upgraded["engine"])
    if "engine" not in index:
        return engine_class.from_parts(folder, {name: index[name] for name in LOOSE_PARTS}, dtype, variant)
    return load_part(engine_class, folder / "engine", dtype, variant)
