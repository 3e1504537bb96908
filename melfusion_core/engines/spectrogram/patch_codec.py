"""A linear codec for log-mel spectrograms: the Karhunen-Loeve transform of rectangular patches.

It has the `encode` / `decode` interface of `AutoencoderKL`, so either can be a pipeline's VAE. A linear transform
loses fine detail only; the vocoder, trained on decoded spectrograms, puts it back.

Shape legend: ``batch`` spectrograms, ``frames`` and ``n_mels`` of each, ``channels`` coefficients per patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import nn


class PatchCodec(ModelMixin, ConfigMixin):
    """Orthogonal projection of spectrogram patches onto their leading principal components.

    Args:
        patch: Frames and mel bins of a patch; one number for a square.
        latent_channels: Coefficients kept per patch.
        in_channels: Channels of the spectrogram, always 1.
        out_channels: Channels of the spectrogram, always 1.
        latents_mean: Mean of each latent channel, for normalising.
        latents_std: Scale of each latent channel, for normalising.
        scaling_factor: Overall scale of normalised latents.
    """

    @register_to_config
    def __init__(
        self,
        patch: int | Sequence[int] = 8,
        latent_channels: int = 16,
        in_channels: int = 1,
        out_channels: int = 1,
        latents_mean: Sequence[float] | None = None,
        latents_std: Sequence[float] | None = None,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        size = math.prod(self.patch)
        if not 0 < latent_channels <= size:
            raise ValueError(f"latent_channels must lie in 1 to {size}, got {latent_channels}")
        if in_channels != 1 or out_channels != 1:
            raise ValueError("the patch codec has one input and one output channel")
        self.mean_patch = nn.Parameter(torch.zeros(size))
        self.basis = nn.Parameter(torch.eye(size)[:latent_channels].contiguous())

    @property
    def patch(self) -> tuple[int, int]:
        """Frames and mel bins of a patch."""
        patch = self.config.patch
        frames, bins = (patch, patch) if isinstance(patch, int) else patch
        return int(frames), int(bins)

    def encode(self, mel: torch.Tensor) -> AutoencoderKLOutput:
        """Project every patch.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``; both multiples of the patch's sides.

        Returns:
            A distribution without spread over latents of shape ``(batch, channels, time, frequency)``, one position
            per patch.
        """
        offset = self.basis @ self.mean_patch
        latents = F.conv2d(mel, self.basis.view(-1, 1, *self.patch), -offset, stride=self.patch)
        spread = torch.full_like(latents, -30.0)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(torch.cat([latents, spread], dim=1)))

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        """Put the patches together again.

        Args:
            latents: Of shape ``(batch, channels, time, frequency)``.
            return_dict: Whether to return a ``DecoderOutput``.

        Returns:
            Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
        """
        mel = F.conv_transpose2d(latents, self.basis.view(-1, 1, *self.patch), stride=self.patch)
        mel = mel + self.mean_patch.view(self.patch).repeat(latents.shape[2], latents.shape[3])
        return DecoderOutput(sample=mel) if return_dict else (mel,)

    def cut(self, mel: torch.Tensor) -> torch.Tensor:
        """The patches of spectrograms.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``; both multiples of the patch's sides.

        Returns:
            Of shape ``(count, frames * bins)`` of a patch.
        """
        return F.unfold(mel, self.patch, stride=self.patch).transpose(1, 2).flatten(0, 1)

    @torch.no_grad()
    def fit(self, patches: torch.Tensor, whitening: float = 0.5) -> torch.Tensor:
        """Find the principal components, and scales for normalising.

        With whitening 1 every channel has unit variance; with less, leading coefficients (the level of a patch, its
        slopes) stay larger than fine detail, so that a diffusion model decides them first, as it does in pictures.

        Args:
            patches: Of shape ``(count, frames * bins)`` of a patch, frames before mel bins; see :meth:`cut`.
            whitening: Exponent of the scales, 0 to 1.

        Returns:
            Standard deviation of each coefficient, of shape ``(channels,)``.

        Raises:
            ValueError: When there are too few patches or whitening is out of range.
        """
        size, channels = math.prod(self.patch), self.config.latent_channels
        if patches.ndim != 2 or patches.shape[1] != size or patches.shape[0] < 4 * size:
            raise ValueError(f"need at least {4 * size} patches of {size} values, got {tuple(patches.shape)}")
        if not 0.0 <= whitening <= 1.0:
            raise ValueError(f"whitening must lie in [0, 1], got {whitening}")
        mean = patches.double().mean(dim=0)
        centred = patches.double() - mean
        variances, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        basis = vectors[:, -channels:].flip(1).T
        basis = basis * torch.where(basis.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)  # eigenvectors have no sign
        self.mean_patch.copy_(mean)
        self.basis.copy_(basis)
        spread = variances[-channels:].flip(0).clamp_min(1e-12).sqrt()
        scale = spread**whitening
        scale = scale * (spread / scale).square().mean().sqrt()
        self.register_to_config(latents_mean=[0.0] * channels, latents_std=[round(float(s), 6) for s in scale])
        return spread.float()
