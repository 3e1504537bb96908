"""The vocoder of AudioLDM, Tango, AudioLDM2 and MusicLDM: transformers' HiFi-GAN, as this system's vocoders are used.

Shape legend: `batch` spectrograms, `frames` and `n_mels` of each, `samples` of a waveform.
"""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel, SpeechT5HifiGan

from melfusion_core.mel import SlaneyMelConfig

__all__ = ["HifiGanVocoder", "PreTrainedModel"]  # diffusers looks for the base class beside the class that it loads


class HifiGanVocoder(SpeechT5HifiGan):
    """`SpeechT5HifiGan` with the spectrograms that it was trained on; same files, same weights.

    The public configurations do not name the analysis window and the mel range; where `n_fft`, `mel_fmin` and
    `mel_fmax` are absent, AudioLDM's 1024 samples and 0 Hz to half the sample rate count.

    Args:
        config: A `SpeechT5HifiGanConfig`.
    """

    @property
    def mel_config(self) -> SlaneyMelConfig:
        """The configuration of the log-mel spectrograms that it understands."""
        config = self.config
        return SlaneyMelConfig(
            sample_rate=config.sampling_rate,
            n_fft=getattr(config, "n_fft", 1024),
            hop_length=math.prod(config.upsample_rates),
            n_mels=config.model_in_dim,
            fmin=getattr(config, "mel_fmin", 0.0),
            fmax=getattr(config, "mel_fmax", config.sampling_rate / 2),
        )

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Make sound.

        Args:
            spectrogram: Log-mel of shape `(batch, 1, frames, n_mels)`; without the second axis as in transformers.

        Returns:
            Waveform of shape `(batch, samples)`.
        """
        if spectrogram.ndim == 4:
            spectrogram = spectrogram[:, 0]
        return super().forward(spectrogram)
