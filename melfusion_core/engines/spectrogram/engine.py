"""Latents that mean a log-mel spectrogram: a codec turns them into one, a vocoder turns that into sound.

Shape legend: ``batch`` samples, ``channels``/``time``/``frequency`` of a latent, ``frames``/``n_mels`` of a
spectrogram.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from transformers import PreTrainedModel

from melfusion_core.engines.base import Engine, Known, Plan, Rendered
from melfusion_core.engines.spectrogram.latents import (
    MelCodec,
    add_coordinates,
    compression,
    latents_from_mel,
    mel_from_latents,
)
from melfusion_core.mel import MelConfig, MelSpectrogram, mel_to_db
from melfusion_core.take import TakeSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from melfusion_core.engines.score.direction import Direction


@dataclass(frozen=True)
class SpectrogramView:
    """A mel spectrogram to look at.

    Args:
        mel_db: In dB, of shape ``(frames, n_mels)``.
        config: Settings of the mel.
    """

    mel_db: np.ndarray
    config: MelConfig

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.mel_db) / self.config.frame_rate_hz

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.mel_db.nbytes

    @classmethod
    def of(cls, mel: torch.Tensor, config: MelConfig) -> SpectrogramView:
        """Look at a spectrogram.

        Args:
            mel: Normalised log-mel of shape ``(frames, n_mels)``.
            config: Settings of the mel.

        Returns:
            The view.
        """
        return cls(mel_to_db(mel.detach().float().cpu(), config).numpy(), config)

    @classmethod
    def of_sound(cls, audio: torch.Tensor, config: MelConfig) -> SpectrogramView:
        """Look at sound.

        Args:
            audio: Mono waveform of shape ``(1, samples)``; what fills no whole frame is left out.
            config: Settings of the mel, at its sample rate.

        Returns:
            The view.
        """
        whole = audio.shape[-1] // config.hop_length * config.hop_length
        return cls.of(MelSpectrogram(config)(audio[:, :whole])[0, 0], config)

    def figure(self, title: str = "", other: SpectrogramView | None = None, other_title: str = "") -> Figure:
        """Draw it with axes; see :meth:`~melfusion_core.engines.base.View.figure`.

        Args:
            title: Heading.
            other: Another view, of the same shape, to compare with.
            other_title: Its heading.

        Returns:
            The figure.
        """
        from melfusion_core.spectrogram import plot_mel, plot_pair  # matplotlib takes a second

        if other is None:
            return plot_mel(self.mel_db, self.config, title)
        return plot_pair(self.mel_db, other.mel_db, self.config, (title, other_title))


class SpectrogramEngine(Engine):
    """Music as a log-mel spectrogram, mono.

    Args:
        vae: Codec between spectrograms and latents.
        vocoder: Turns normalised log-mel into waveforms; has a ``mel_config``.
    """

    part_classes = {"vae": None, "vocoder": None}

    def __init__(self, vae: MelCodec, vocoder: ModelMixin | PreTrainedModel) -> None:
        super().__init__()
        self.vae, self.vocoder = vae, vocoder

    @property
    def mel_config(self) -> MelConfig:
        """Configuration of the spectrograms."""
        return self.vocoder.mel_config

    @property
    def sample_rate(self) -> int:
        """Of the sound, in Hz."""
        return self.mel_config.sample_rate

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return self.vae.config.latent_channels

    def plan(
        self,
        captions: Sequence[str],
        settings: TakeSettings,
        multiple: int = 1,
        directions: Sequence[Direction] | None = None,
    ) -> Plan:
        """Settle the length; directions are not followed here."""
        notes = [name for name in ("bars", "tempo_bpm", "key") if getattr(settings, name)]
        if directions or notes:
            told = f": {', '.join(notes)}" if notes else ""
            raise ValueError(f"This model paints spectrograms and takes no directions about notes{told}.")
        positions = -(-self.num_samples(settings) // self.position_samples)
        bins = compression(self.vae)[1]
        time = -(-positions // multiple) * multiple
        return Plan(settings, (self.latent_channels, time, self.mel_config.n_mels // bins))

    @property
    def position_samples(self) -> int:
        """Audio samples per latent position."""
        return self.mel_config.hop_length * compression(self.vae)[0]

    def num_samples(self, settings: TakeSettings) -> int:
        """Number of audio samples of a take.

        Args:
            settings: How it is made; its length counts.

        Returns:
            The number of samples.
        """
        return round(settings.duration_s * self.sample_rate)

    def check_channels(self, channels: int) -> None:
        """Check that a UNet fits."""
        coordinates = channels - self.latent_channels
        if coordinates != 0 and (coordinates < 0 or coordinates % 2 == 0):
            raise ValueError(
                f"the UNet takes {channels} channels, the codec has {self.latent_channels}; expected as many, or an "
                "odd number more for the coordinates"
            )

    @staticmethod
    def model_input(
        latents: torch.Tensor,
        channels: int,
        start: torch.Tensor | int = 0,
        known: Known | None = None,
        alpha_cumprod: float = 1.0,
    ) -> torch.Tensor:
        """What the UNet sees of noisy latents, of which no part can be known."""
        if known is not None:
            raise ValueError("a spectrogram is composed as a whole: nothing of it can be given")
        return add_coordinates(latents, channels, start)

    @staticmethod
    def model_output(output: torch.Tensor, latents: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
        """The UNet's output as it is."""
        return output

    @apply_forward_hook
    def encode(self, music: Sequence[Rendered]) -> torch.Tensor:
        """Turn mono sound into latents; silence fills the last latent position."""
        if any(piece.sample_rate != self.sample_rate or len(piece.audio) != 1 for piece in music):
            raise ValueError(f"this engine encodes mono sound of {self.sample_rate} Hz")
        waveforms = torch.cat([piece.audio for piece in music]).to(self.device)
        waveforms = F.pad(waveforms, (0, -waveforms.shape[-1] % self.position_samples))
        mel = MelSpectrogram(self.mel_config).to(self.device)(waveforms)
        return latents_from_mel(self.vae, mel.to(self.vae.dtype)).float()

    @apply_forward_hook
    @torch.no_grad()
    def mel(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents to spectrograms.

        Args:
            latents: Normalised latents of shape ``(batch, channels, time, frequency)``.

        Returns:
            Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
        """
        return mel_from_latents(self.vae, latents)

    @apply_forward_hook
    @torch.no_grad()
    def vocode(self, mel: torch.Tensor) -> torch.Tensor:
        """Turn spectrograms into waveforms.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.

        Returns:
            Waveforms of shape ``(batch, samples)``, float32.
        """
        return self.vocoder(mel.to(self.vocoder.dtype)).float()

    def decode(self, latents: torch.Tensor, plan: Plan) -> list[Rendered]:
        """Turn latents into sound."""
        mel, samples = self.mel(latents), self.num_samples(plan.settings)
        waveforms = self.vocode(mel)[:, None, :samples]
        frames = math.ceil(samples / self.mel_config.hop_length)
        views = [SpectrogramView.of(one, self.mel_config) for one in mel[:, 0, :frames]]
        return [Rendered(audio, self.sample_rate, view) for audio, view in zip(waveforms, views, strict=True)]

    def view(self, latents: torch.Tensor, plan: Plan | None = None) -> list[SpectrogramView]:
        """Draw latents as spectrograms, all of them whatever the plan says."""
        return [SpectrogramView.of(mel, self.mel_config) for mel in self.mel(latents)[:, 0]]
