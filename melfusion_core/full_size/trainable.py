"""Which weights of a full-size model are trained."""

from __future__ import annotations

import torch
from diffusers import ModelMixin
from torch import nn

from melfusion_core.models.features import decoder_attention_names
from melfusion_core.models.synapse import VisualSynapse

MODES = ("gates", "gates_kv", "full", "lora")
LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


class TrainedWeights(nn.Module):
    """A view of some of a network's weights: the same parameters, so that averages and checkpoints hold only these.

    Args:
        weights: The parameters by name.
    """

    def __init__(self, weights: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.names = list(weights)
        for number, weight in enumerate(weights.values()):
            self.register_parameter(f"weight_{number}", weight)

    def named(self) -> dict[str, torch.Tensor]:
        """The weights by the names that the network has for them."""
        return {name: getattr(self, f"weight_{number}") for number, name in enumerate(self.names)}


def choose_weights(
    unet: ModelMixin, synapse: VisualSynapse, mode: str, lora_rank: int = 16, lora_alpha: float = 16.0
) -> TrainedWeights:
    """Freeze everything but what a mode trains; call it before the synapse is installed.

    The synapse is always trained: its gates, and its projections where it has them.

    Args:
        unet: The music UNet.
        synapse: The synapse.
        mode: `gates`: nothing of the UNet; `gates_kv`: the caption's key and value projections of the connected
            decoder layers; `full`: all of it; `lora`: low-rank changes of every attention layer (Hu et al., 2022),
            through peft.
        lora_rank: Rank of the changes.
        lora_alpha: Their scale is this over the rank.

    Returns:
        The UNet's trained weights, possibly none.

    Raises:
        ValueError: When the mode is unknown.
        ImportError: When peft is needed and not installed.
    """
    unet.requires_grad_(False)
    synapse.requires_grad_(True)
    if mode == "gates":
        return TrainedWeights({})
    if mode == "gates_kv":
        layers = [name.removesuffix(".processor") for name in decoder_attention_names(unet, "attn2")]
        wanted = [
            name
            for name, _ in unet.named_parameters()
            if any(name.startswith((f"{layer}.to_k.", f"{layer}.to_v.")) for layer in layers)
        ]
    elif mode == "full":
        wanted = [name for name, _ in unet.named_parameters()]
    elif mode == "lora":
        wanted = _add_lora(unet, lora_rank, lora_alpha)
    else:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    parameters = dict(unet.named_parameters())
    for name in wanted:
        parameters[name].requires_grad_(True)
    return TrainedWeights({name: parameters[name] for name in wanted})


def _add_lora(unet: ModelMixin, rank: int, alpha: float) -> list[str]:
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ImportError("mode lora needs the package peft: pip install 'melfusion-studio[train]'") from error
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(LORA_TARGETS), init_lora_weights=True))
    return [name for name, _ in unet.named_parameters() if ".lora_" in name]


def exported_name(name: str) -> str:
    """The name under which a low-rank change is stored: without the adapter's own.

    Args:
        name: As in the UNet, for instance `...to_k.lora_A.default.weight`.

    Returns:
        `...to_k.lora_A.weight`.
    """
    return name.replace(".default.", ".")
