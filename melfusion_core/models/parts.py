"""Loading networks strictly, and components made of several of them.

diffusers fills missing weights with random numbers and a log line; here that is an error.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from safetensors import safe_open

_CORE = "melfusion_core"
MOVED_MODULES = {
    f"{_CORE}.models.patch_codec": f"{_CORE}.engines.spectrogram.patch_codec",
    f"{_CORE}.models.vocoder": f"{_CORE}.engines.spectrogram.vocoder",
    f"{_CORE}.models.text_encoders": f"{_CORE}.full_size.text_encoders",
    f"{_CORE}.models.hifigan": f"{_CORE}.full_size.hifigan",
}
"""Modules that model folders of earlier releases name, and where their classes are now."""
SAFE_LIBRARIES = ("diffusers", "transformers", f"{_CORE}.")


def find_class(library: str, class_name: str) -> type:
    """The class that a model folder names.

    Args:
        library: Its module.
        class_name: Its name.

    Returns:
        The class.

    Raises:
        ValueError: When it is of a library that is not known, or does not exist.
    """
    library = MOVED_MODULES.get(library, library)
    if not library.startswith(SAFE_LIBRARIES):
        raise ValueError(f"{class_name} is of the library {library}, which is not loaded here")
    try:
        return getattr(importlib.import_module(library), class_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {class_name} in {library}") from error


def load_part(part_class: type, folder: Path, dtype: torch.dtype | None = None, variant: str | None = None) -> Any:
    """Load one network, tokenizer or scheduler of a model folder.

    Args:
        part_class: Its class, of diffusers, transformers or this project.
        folder: What its ``save_pretrained`` wrote.
        dtype: Of a network's weights; None for float32.
        variant: Variant of the files, such as ``"fp16"``; the plain files count where a part has none.

    Returns:
        The part; networks are frozen and in evaluation mode.

    Raises:
        ValueError: When weights are missing or unexpected.
    """
    if not issubclass(part_class, torch.nn.Module):
        return part_class.from_pretrained(folder, local_files_only=True)
    if issubclass(part_class, PartedModel):
        return part_class.from_pretrained(folder, dtype=dtype, variant=variant)
    variant = variant if variant and weight_files(folder, variant) else None
    option = "torch_dtype" if issubclass(part_class, ModelMixin) else "dtype"
    options = {option: dtype or torch.float32, "variant": variant}
    library_class: Any = part_class  # of diffusers or transformers, which are taken as untyped
    module = library_class.from_pretrained(folder, local_files_only=True, use_safetensors=True, **options)
    check_weights(folder.name, module, folder, variant)
    return own_weights(module)


def own_weights(module: torch.nn.Module) -> torch.nn.Module:
    """Freeze a loaded network and give it weights of its own.

    Args:
        module: The network.

    Returns:
        The network itself, in evaluation mode.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        # Weights mapped from a file lie at odd addresses, for which CPU kernels round differently.
        tensor.data = tensor.data.clone()
    return module.eval().requires_grad_(False)


def check_weights(name: str, module: torch.nn.Module, folder: Path, variant: str | None = None) -> None:
    """Check that a network's files hold exactly its weights.

    Args:
        name: Name of the network, for the message.
        module: The loaded network.
        folder: Folder of its files.
        variant: Variant that was loaded, such as ``"fp16"``; the plain files count where it has none.

    Raises:
        ValueError: When weights are missing or unexpected.
    """
    files = weight_files(folder, variant) if variant else []
    files = files or weight_files(folder, None)
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


def weight_files(folder: Path, variant: str | None) -> list[Path]:
    """The weight files of a network.

    Args:
        folder: Its folder.
        variant: Their variant, or None for the plain ones.

    Returns:
        The files.
    """
    infix = rf"\.{re.escape(variant)}" if variant else ""
    pattern = re.compile(rf"\w+{infix}(-\d+-of-\d+)?\.safetensors")
    return sorted(file for file in folder.glob("*.safetensors") if pattern.fullmatch(file.name))


class PartedModel(ModelMixin, ConfigMixin):
    """A component of several parts, each saved in a folder of its own below this component's.

    Subclasses name their parts in ``part_classes`` and set an attribute for each; what else their constructor takes
    they give to ``register_to_config``.
    """

    config_name = "config.json"
    part_classes: dict[str, type | None] = {}
    """Class of each part by its name; None where it may be any, and the configuration says which."""

    def __init__(self) -> None:
        super().__init__()
        self.register_to_config()

    @property
    def parts(self) -> dict[str, Any]:
        """The parts by their names."""
        return {name: getattr(self, name) for name in self.part_classes}

    def save_pretrained(
        self,
        save_directory: str | Path,
        max_shard_size: int | str = "10GB",
        variant: str | None = None,
        safe_serialization: bool = True,
        **kwargs: Any,
    ) -> None:
        """Save every part.

        Args:
            save_directory: The folder.
            max_shard_size: Size of the largest weight file.
            variant: Variant of the files, such as ``"fp16"``.
            safe_serialization: Always True: there are no other files than safetensors.
            kwargs: More that diffusers gives; it means nothing here.

        Raises:
            ValueError: When another kind of file is asked for.
        """
        if not safe_serialization:
            raise ValueError("weights are saved as safetensors only")
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        named = {name: part for name, part in self.parts.items() if self.part_classes[name] is None}
        if named:
            libraries = {name: [type(part).__module__, type(part).__qualname__] for name, part in named.items()}
            for pair in libraries.values():  # the public name of a library's class: its inner modules move about
                pair[0] = pair[0] if pair[0].startswith(f"{_CORE}.") else pair[0].partition(".")[0]
            self.register_to_config(parts=libraries)
        self.save_config(folder)
        options = {"max_shard_size": max_shard_size, "variant": variant}
        for name, part in self.parts.items():
            part.save_pretrained(folder / name, **(options if isinstance(part, torch.nn.Module) else {}))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> PartedModel:
        """Load every part, and check that every weight was there.

        Args:
            pretrained_model_name_or_path: What :meth:`save_pretrained` wrote.
            kwargs: As for diffusers; ``dtype`` or ``torch_dtype``, and ``variant`` count.

        Returns:
            The component, frozen and in evaluation mode.

        Raises:
            ValueError: When weights are missing or unexpected.
        """
        folder = Path(pretrained_model_name_or_path)
        config = json.loads((folder / cls.config_name).read_text(encoding="utf-8"))
        named = config.pop("parts", {})
        settings = {name: value for name, value in config.items() if not name.startswith("_")}
        return cls.from_parts(
            folder, named, kwargs.get("dtype") or kwargs.get("torch_dtype"), kwargs.get("variant"), **settings
        )

    @classmethod
    def from_parts(
        cls,
        folder: Path,
        named: Mapping[str, Sequence[str]],
        dtype: torch.dtype | None = None,
        variant: str | None = None,
        **settings: Any,
    ) -> PartedModel:
        """Load the parts from the folders below one.

        Args:
            folder: Where they are.
            named: Library and class of each part whose class is not fixed.
            dtype: Of their weights; None for float32.
            variant: Variant of their files.
            settings: What else the constructor takes.

        Returns:
            The component, frozen and in evaluation mode.

        Raises:
            ValueError: When a part is not named, is of a library that is not known, or weights do not fit.
        """
        parts = {}
        for name, part_class in cls.part_classes.items():
            if part_class is None:
                if name not in named:
                    raise ValueError(f"{folder} does not say what its {name} is")
                part_class = find_class(*named[name])
            parts[name] = load_part(part_class, folder / name, dtype, variant)
        return cls(**parts, **settings).eval().requires_grad_(False)
