"""Between log-mel spectrograms and the latents that the music model sees.

Shape legend: ``batch`` samples, ``channels`` of the latent, ``time`` and ``frequency`` its positions.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from melfusion_core.engines.spectrogram.patch_codec import PatchCodec

MelCodec = AutoencoderKL | PatchCodec
"""What can stand between spectrograms and latents."""

_CODECS = {"AutoencoderKL": AutoencoderKL, "PatchCodec": PatchCodec}


def load_codec(folder: str | Path) -> MelCodec:
    """Load a codec of either class.

    Args:
        folder: What ``save_pretrained`` wrote.

    Returns:
        The codec.

    Raises:
        ValueError: When the folder holds another class.
    """
    name = json.loads((Path(folder) / "config.json").read_text()).get("_class_name")
    if name not in _CODECS:
        raise ValueError(f"{folder} holds a {name}, expected one of {sorted(_CODECS)}")
    return _CODECS[name].from_pretrained(folder)


def compression(vae: MelCodec) -> tuple[int, int]:
    """Frames and mel bins per latent position.

    Args:
        vae: The music VAE.

    Returns:
        Both factors, for example 8 and 32.
    """
    if isinstance(vae, PatchCodec):
        return vae.patch
    factor = patch_size(vae) * 2 ** (len(vae.config.block_out_channels) - 1)
    return factor, factor


def patch_size(vae: MelCodec) -> int:
    """Side of the square patches of the spectrogram that the VAE sees as channels.

    Convolutions with many channels on few positions learn more per second than the other way round, so the mini's VAE
    sees 4 x 4 patches; a VAE with one input channel sees the spectrogram itself.

    Args:
        vae: The music VAE.

    Returns:
        The side in frames and mel bins, 1 for no patches.

    Raises:
        ValueError: When the number of input channels is not a square.
    """
    side = math.isqrt(vae.config.in_channels)
    if side * side != vae.config.in_channels or vae.config.out_channels != vae.config.in_channels:
        raise ValueError(
            f"a music VAE needs the same square number of input and output channels, got {vae.config.in_channels} "
            f"and {vae.config.out_channels}"
        )
    return side


def encode_mel(vae: MelCodec, mel: torch.Tensor) -> DiagonalGaussianDistribution:
    """Posterior of spectrograms.

    Args:
        vae: The music VAE.
        mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.

    Returns:
        Distribution of raw latents of shape ``(batch, channels, time, frequency)``.
    """
    return vae.encode(F.pixel_unshuffle(mel, patch_size(vae))).latent_dist


def decode_mel(vae: MelCodec, latents: torch.Tensor) -> torch.Tensor:
    """Spectrograms of raw latents.

    Args:
        vae: The music VAE.
        latents: Raw (not normalised) latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
    """
    return F.pixel_shuffle(vae.decode(latents, return_dict=False)[0], patch_size(vae))


def latents_from_mel(vae: MelCodec, mel: torch.Tensor) -> torch.Tensor:
    """Encode spectrograms to normalised latents (the posterior's mode).

    Args:
        vae: The music VAE.
        mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.

    Returns:
        Latents of shape ``(batch, channels, time, frequency)`` with about zero mean and unit variance per channel.
    """
    return normalise_latents(vae, encode_mel(vae, mel).mode())


def mel_from_latents(vae: MelCodec, latents: torch.Tensor) -> torch.Tensor:
    """Decode normalised latents to spectrograms.

    Args:
        vae: The music VAE.
        latents: Normalised latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
    """
    return decode_mel(vae, denormalise_latents(vae, latents.to(vae.dtype)))


def normalise_latents(vae: MelCodec, latents: torch.Tensor) -> torch.Tensor:
    """Scale raw VAE latents: per channel where the VAE's config has statistics, else by its scaling factor.

    Args:
        vae: The music VAE.
        latents: Raw latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Normalised latents, same shape.
    """
    mean, std = _statistics(vae, latents)
    return (latents - mean) / std * vae.config.scaling_factor


def denormalise_latents(vae: MelCodec, latents: torch.Tensor) -> torch.Tensor:
    """Undo :func:`normalise_latents`.

    Args:
        vae: The music VAE.
        latents: Normalised latents of shape ``(batch, channels, time, frequency)``.

    Returns:
        Raw latents, same shape.
    """
    mean, std = _statistics(vae, latents)
    return latents / vae.config.scaling_factor * std + mean


def _statistics(vae: MelCodec, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    channels = vae.config.latent_channels
    statistics = []
    for values, default in ((vae.config.latents_mean, 0.0), (vae.config.latents_std, 1.0)):
        values = [default] * channels if values is None else list(values)
        if len(values) != channels:
            raise ValueError(f"the VAE has {channels} latent channels, but statistics of {len(values)}")
        statistics.append(torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1))
    return statistics[0], statistics[1]


def add_coordinates(latents: torch.Tensor, channels: int, start: torch.Tensor | int = 0) -> torch.Tensor:
    """Append channels that say where a position lies: convolutions know neither bass from treble nor beat from beat.

    The first runs from -1 to 1 along the frequency axis. Further ones come in pairs, sine and cosine along the time
    axis with periods of 2, 4, 8, ... positions, so that a model can keep time from the start of a piece.

    Args:
        latents: Latents of shape ``(batch, latent_channels, time, frequency)``.
        channels: Channels that the result has.
        start: Position in its piece at which each sample starts, a number or of shape ``(batch,)``.

    Returns:
        Tensor of shape ``(batch, channels, time, frequency)``.

    Raises:
        ValueError: When the number of additional channels is neither 0 nor odd.
    """
    batch, present, time, frequency = latents.shape
    extra = channels - present
    if extra == 0:
        return latents
    if extra < 0 or extra % 2 == 0:
        raise ValueError(f"cannot add {extra} coordinates: the number must be 0 or odd")
    parts = [torch.linspace(-1.0, 1.0, frequency, device=latents.device).expand(batch, 1, time, frequency)]
    start = torch.as_tensor(start, device=latents.device).expand(batch)
    place = start.unsqueeze(1) + torch.arange(time, device=latents.device)
    for octave in range(1, (extra - 1) // 2 + 1):
        angle = place.float() * (2 * math.pi / 2**octave)
        waves = torch.stack([angle.sin(), angle.cos()], dim=1)
        parts.append(waves.unsqueeze(-1).expand(batch, 2, time, frequency))
    return torch.cat([latents, *(part.to(latents.dtype) for part in parts)], dim=1)
