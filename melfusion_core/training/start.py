"""What the music trainer starts from: its prepared data and its networks, new ones or those of a run or model."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.training.music_config import MusicConfig
from melfusion_core.training.prepare import PrepareConfig, PreparedData, prepared_folder
from melfusion_core.training.presets import build_music_unet, build_synapse


def prepared_for(config: MusicConfig, device: torch.device) -> Path:
    """The prepared folder of a run: `data` itself, or what is made from it in the run folder.

    Args:
        config: The trainer's configuration.
        device: Where to prepare.

    Returns:
        The folder.

    Raises:
        ValueError: When `data` is prepared already and settings of the preparation are given.
    """
    if (Path(config.data) / "latents.json").is_file():
        if config.image_unet or config.subset != "all":
            raise ValueError(f"{config.data} is prepared already: image_unet and subset would change nothing")
        return Path(config.data)
    return prepared_folder(
        PrepareConfig(
            data=config.data,
            out=str(config.out_folder / "prepared"),
            vae=config.vae,
            image_unet=config.image_unet,
            subset=config.subset,
            device=device.type,
            threads=config.threads,
        )
    )


def fresh_networks(config: MusicConfig, data: PreparedData) -> tuple[UNet2DConditionModel, VisualSynapse]:
    """Make networks with random weights.

    Args:
        config: Their size.
        data: What they are to be trained on.

    Returns:
        The music UNet and the synapse.
    """
    channels, *positions = data.latents.shape[1:]
    unet = build_music_unet(config.size, channels, tuple(positions))
    image_dims = [dim for _, dim in data.feature_shapes]
    return unet, build_synapse(unet, image_dims, data.key_timesteps, data.num_inversion_steps)


def load_networks(folder: str, data: PreparedData) -> tuple[UNet2DConditionModel, VisualSynapse]:
    """Load what a run exported, or a model's parts, in float32, and check that they fit the prepared data.

    Args:
        folder: With `unet` and `synapse`.
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
