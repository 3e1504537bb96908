"""Pictures as a latent image model sees them.

Shape legend: ``batch`` pictures.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL

from melfusion_core.models.devices import execution_device


@torch.no_grad()
def encode_pixels(image_vae: AutoencoderKL | None, pixels: torch.Tensor) -> torch.Tensor:
    """Encode pictures for the image UNet: the posterior's mode, scaled as the VAE's configuration says.

    Args:
        image_vae: The image model's VAE; None for one that works on pixels.
        pixels: Of shape ``(batch, 3, height, width)`` in [-1, 1].

    Returns:
        Latents of shape ``(batch, channels, height / factor, width / factor)``; without a VAE the pixels themselves.
    """
    if image_vae is None:
        return pixels
    pixels = pixels.to(execution_device(image_vae), image_vae.dtype)
    config = image_vae.config
    return (image_vae.encode(pixels).latent_dist.mode() - (config.shift_factor or 0.0)) * config.scaling_factor
