"""Networks that training goes on from: the music UNet and the synapse of a finished run or model."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.training.prepare import PreparedData


def load_networks(folder: str, data: PreparedData) -> tuple[UNet2DConditionModel, VisualSynapse]:
    """Load what a run exported, or a model's parts, in float32, and check that they fit the prepared data.

    Args:
        folder: With ``unet`` and ``synapse``.
        data: What they are to be trained on.

    Returns:
        The music UNet and the synapse.

    Raises:
        ValueError: When the data was prepared with another codec, image model, timesteps or inversion.
    """
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32)
    synapse = VisualSynapse.from_pretrained(folder, subfolder="synapse", torch_dtype=torch.float32)
    needs = {
        "latent channels": (unet.config.out_channels, data.latents.shape[1]),
        "image dims": (list(synapse.config.image_dims), [dim for _, dim in data.feature_shapes]),
        "key timesteps": (list(synapse.config.key_timesteps), list(data.key_timesteps)),
        "inversion steps": (synapse.config.num_inversion_steps, data.num_inversion_steps),
    }
    for name, (wanted, found) in needs.items():
        if wanted != found:
            raise ValueError(f"the networks in {folder} were trained with {name} {wanted}, the data has {found}")
    return unet, synapse
