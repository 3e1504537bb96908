"""The judge: a small convolutional network that hears the lead instrument, all instruments and the mood of a clip.

It is trained on real clips of the train split only, and its accuracy on held-out real clips is part of every report.
Its penultimate layer is the embedding of the Frechet distances; figures from other embedders are not comparable.

Shape legend: ``batch`` clips, ``frames``/``n_mels`` of a mel spectrogram, ``samples`` of a waveform, ``c`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from melfusion_core.mel import MelConfig, MelSpectrogram


@dataclass(frozen=True)
class Judgement:
    """What the judge hears in a batch of clips.

    Attributes:
        lead: Probabilities of the lead instruments, of shape `(batch, c)`.
        instruments: Probability of each instrument sounding, of shape `(batch, c')`.
        affect: Valence and arousal, about [0, 1], of shape `(batch, 2)`.
        embedding: Penultimate layer, of shape `(batch, embedding_dim)`.
    """

    lead: np.ndarray
    instruments: np.ndarray
    affect: np.ndarray
    embedding: np.ndarray


class ClipJudge(ModelMixin, ConfigMixin):
    """Convolutional network over log-mel spectrograms with three heads."""

    @register_to_config
    def __init__(
        self,
        leads: tuple[str, ...],
        instruments: tuple[str, ...],
        channels: tuple[int, ...] = (24, 48, 96, 128),
        embedding_dim: int = 64,
        dropout: float = 0.2,
        mel: dict[str, float | int] | None = None,
    ) -> None:
        """Build the network.

        Args:
            leads: Names of the lead instruments.
            instruments: Names of all instruments.
            channels: Width of each convolution; each halves time and frequency.
            embedding_dim: Width of the penultimate layer.
            dropout: Dropout before the heads in training.
            mel: Fields of the MelConfig of the input; None for the default with twice its hop length.
        """
        super().__init__()
        self.mel_config = MelConfig(hop_length=1024) if mel is None else MelConfig(**mel)
        self.register_to_config(mel=self.mel_config.to_dict())
        self.spectrogram = MelSpectrogram(self.mel_config)
        layers: list[nn.Module] = []
        width = 2
        for wider in channels:
            layers += [nn.Conv2d(width, wider, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU()]
            width = wider
        self.convolutions = nn.Sequential(*layers)
        bands = -(-self.mel_config.n_mels // 2 ** len(channels))
        self.embed = nn.Linear(2 * width * bands, embedding_dim)
        self.drop = nn.Dropout(dropout)
        self.lead_head = nn.Linear(embedding_dim, len(leads))
        self.instrument_head = nn.Linear(embedding_dim, len(instruments))
        self.affect_head = nn.Linear(embedding_dim, 2)

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Judge spectrograms.

        Args:
            mel: Normalised log-mel of shape `(batch, 1, frames, n_mels)`.

        Returns:
            Lead logits `(batch, c)`, instrument logits `(batch, c')`, affect `(batch, 2)` and embedding
            `(batch, embedding_dim)`.
        """
        # A convolution does not know bass from treble: it is told by a second channel.
        place = torch.linspace(-1.0, 1.0, mel.shape[-1], device=mel.device, dtype=mel.dtype).expand_as(mel)
        maps = self.convolutions(torch.cat([mel, place], dim=1))
        pooled = torch.cat([maps.mean(dim=2), maps.amax(dim=2)], dim=1).flatten(1)
        embedding = torch.relu(self.embed(pooled))
        hidden = self.drop(embedding)
        return self.lead_head(hidden), self.instrument_head(hidden), self.affect_head(hidden), embedding

    @torch.no_grad()
    def judge(self, waveforms: np.ndarray | torch.Tensor) -> Judgement:
        """Judge clips; the last samples that do not fill a hop are left out.

        Args:
            waveforms: Mono audio of shape `(batch, samples)` at the sample rate of the judge's MelConfig.

        Returns:
            What is heard.
        """
        self.eval()
        samples = torch.as_tensor(waveforms, dtype=torch.float32, device=self.device)
        samples = samples[:, : samples.shape[1] // self.mel_config.hop_length * self.mel_config.hop_length]
        lead, instruments, affect, embedding = self(self.spectrogram(samples))
        arrays = (lead.softmax(-1), instruments.sigmoid(), affect, embedding)
        return Judgement(*(array.cpu().numpy() for array in arrays))

    def judge_many(self, waveforms: list[np.ndarray], batch_size: int = 16) -> Judgement:
        """Judge clips of equal length in batches.

        Args:
            waveforms: Mono clips, each of shape `(samples,)`.
            batch_size: Clips per batch.

        Returns:
            What is heard, in the order of the clips.

        Raises:
            ValueError: If there are no clips.
        """
        if not waveforms:
            raise ValueError("no clips to judge")
        parts = [
            self.judge(np.stack(waveforms[start : start + batch_size]))
            for start in range(0, len(waveforms), batch_size)
        ]
        names = ("lead", "instruments", "affect", "embedding")
        return Judgement(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
