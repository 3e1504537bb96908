"""What the synapse's trainer exported, put into the pipeline that it was trained for."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file

from melfusion_core.full_size.strict import WeightsError
from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

TRAINED = "unet_trained.safetensors"
LORA = "unet_lora.safetensors"


def merge_trained(pipe: MelFusionPipeline, trained: Path) -> MelFusionPipeline:
    """Put trained parts into a pipeline: the synapse, and what of the music UNet was trained.

    Args:
        pipe: The pipeline that was the training's base.
        trained: RUN/export: `synapse/`, and `unet_trained.safetensors` (some or all of the UNet's weights) or
            `unet_lora.safetensors` with `lora.json` (low-rank changes, added into the weights here).

    Returns:
        The pipeline itself.

    Raises:
        WeightsError: When the parts do not belong to this pipeline, or the export is incomplete.
    """
    if not (trained / "synapse" / "config.json").is_file():
        raise WeightsError(f"{trained} is no export of the synapse's trainer: it has no synapse")
    synapse = VisualSynapse.from_pretrained(trained / "synapse", use_safetensors=True)
    if tuple(synapse.config.music_dims) != tuple(pipe.synapse.config.music_dims):
        raise WeightsError(f"the synapse in {trained} was trained for another music model")
    pipe.register_modules(synapse=synapse.eval().requires_grad_(False))
    state = pipe.unet.state_dict()
    if (trained / TRAINED).is_file():
        change = load_file(trained / TRAINED)
    elif (trained / LORA).is_file():
        change = lora_weights(trained, state)
    else:
        change = {}
    strange = [name for name, value in change.items() if name not in state or state[name].shape != value.shape]
    if strange:
        raise WeightsError(f"{trained} holds weights that the music UNet lacks: {', '.join(sorted(strange)[:5])}")
    for name, value in change.items():
        state[name].copy_(value)
    return pipe


def lora_weights(trained: Path, state: dict) -> dict:
    """Add low-rank changes to the weights that they belong to: `W + (alpha / rank) B A` (Hu et al., 2022).

    Args:
        trained: Folder with `unet_lora.safetensors` and `lora.json`.
        state: The UNet's weights.

    Returns:
        The changed weights by name.

    Raises:
        WeightsError: When a pair is incomplete or belongs to no weight.
    """
    settings = json.loads((trained / "lora.json").read_text(encoding="utf-8"))
    scale = settings["alpha"] / settings["rank"]
    pairs = load_file(trained / LORA)
    changed = {}
    for name in sorted({key.rsplit(".lora_", 1)[0] for key in pairs}):
        down, up, weight = f"{name}.lora_A.weight", f"{name}.lora_B.weight", f"{name}.weight"
        if down not in pairs or up not in pairs or weight not in state:
            raise WeightsError(f"the low-rank change of {name} in {trained} is incomplete or belongs to no weight")
        base = state[weight]
        delta = (pairs[up].double() @ pairs[down].double()).view_as(base)
        changed[weight] = (base.double() + scale * delta).to(base.dtype)
    return changed
