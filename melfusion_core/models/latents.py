"""Between log-mel spectrograms and the latents that the music model sees.

Shape legend: ``batch`` samples, ``channels`` of the latent, ``time`` and ``frequency`` its positions.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL


def latents_from_mel(vae: AutoencoderKL, mel: torch.Tensor) -> torch.Tensor:
    """Encode spectrograms to normalised latents (the posterior's mode).

    Args:
        vae: The music VAE.
        mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.

    Returns:
        Latents of shape ``(batch, channels, time, frequency)`` with about zero mean and unit variance per channel.
    """
    return normalise_latents(vae, vae.encode(mel).latent_dist.mode())


def mel_from_latents(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Decode normalised latents to spectrograms.

    Args:
        vae: The music VAE.
        latents: Normalised latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
    """
    return vae.decode(denormalise_latents(vae, latents.to(vae.dtype)), return_dict=False)[0]


def normalise_latents(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Scale raw VAE latents: per channel where the VAE's config has statistics, else by its scaling factor.

    Args:
        vae: The music VAE.
        latents: Raw latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Normalised latents, same shape.
    """
    mean, std = _statistics(vae, latents)
    return (latents - mean) / std * vae.config.scaling_factor


def denormalise_latents(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Undo :func:`normalise_latents`.

    Args:
        vae: The music VAE.
        latents: Normalised latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Raw latents, same shape.
    """
    mean, std = _statistics(vae, latents)
    return latents / vae.config.scaling_factor * std + mean


def _statistics(vae: AutoencoderKL, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    channels = vae.config.latent_channels
    statistics = []
    for values, default in ((vae.config.latents_mean, 0.0), (vae.config.latents_std, 1.0)):
        values = [default] * channels if values is None else list(values)
        if len(values) != channels:
            raise ValueError(f"the VAE has {channels} latent channels, but statistics of {len(values)}")
        statistics.append(torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1))
    return statistics[0], statistics[1]


def add_frequency_coordinate(latents: torch.Tensor) -> torch.Tensor:
    """Append a channel that runs from -1 to 1 along the frequency axis: convolutions do not know bass from treble.

    Args:
        latents: Latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Tensor of shape ``(batch, channels + 1, time, frequency)``.
    """
    batch, _, time, frequency = latents.shape
    coordinate = torch.linspace(-1.0, 1.0, frequency, device=latents.device, dtype=latents.dtype)
    return torch.cat([latents, coordinate.expand(batch, 1, time, frequency)], dim=1)
