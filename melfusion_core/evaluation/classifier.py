"""The judge: a small network on log-mel statistics that hears lead instrument, all instruments and mood of a clip.

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


LEVEL_STATISTICS = 5  # of the statistics per mel band, the first that move with the gain
NUM_STATISTICS = 9


def clip_statistics(mel: torch.Tensor) -> torch.Tensor:
    """Sum up each mel band over time: levels first, then spread and attacks.

    Args:
        mel: Normalised log-mel of shape `(batch, 1, frames, n_mels)`.

    Returns:
        Mean, maximum, 10 %, 50 % and 90 % quantile, standard deviation, mean and deviation of rises and mean fall of
        every band, of shape `(batch, 9, n_mels)`.
    """
    bands = mel[:, 0].float()
    change = bands[:, 1:] - bands[:, :-1]
    rises = change.clamp_min(0.0)
    quantiles = torch.quantile(bands, torch.tensor([0.1, 0.5, 0.9], device=mel.device), dim=1)
    levels = [bands.mean(1), bands.amax(1), *quantiles]
    return torch.stack([*levels, bands.std(1), rises.mean(1), rises.std(1), (-change).clamp_min(0.0).mean(1)], dim=1)


class ClipJudge(ModelMixin, ConfigMixin):
    """Multi-layer perceptron on log-mel statistics with three heads."""

    @register_to_config
    def __init__(
        self,
        leads: tuple[str, ...],
        instruments: tuple[str, ...],
        hidden_dim: int = 256,
        embedding_dim: int = 64,
        drop: float = 0.4,
        mel: dict[str, float | int] | None = None,
    ) -> None:
        """Build the network.

        Args:
            leads: Names of the lead instruments.
            instruments: Names of all instruments.
            hidden_dim: Width of the first layer.
            embedding_dim: Width of the penultimate layer.
            drop: Dropout in training.
            mel: Fields of the MelConfig of the input; None for the default with twice its hop length.
        """
        super().__init__()
        self.mel_config = MelConfig(hop_length=1024) if mel is None else MelConfig(**mel)
        self.register_to_config(mel=self.mel_config.to_dict())
        self.spectrogram = MelSpectrogram(self.mel_config)
        shape = (NUM_STATISTICS, self.mel_config.n_mels)
        self.register_buffer("statistics_mean", torch.zeros(shape))
        self.register_buffer("statistics_std", torch.ones(shape))
        self.body = nn.Sequential(
            nn.Linear(NUM_STATISTICS * self.mel_config.n_mels, hidden_dim),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(),
            nn.Dropout(drop),
            nn.Linear(hidden_dim, embedding_dim),
            nn.ReLU(),
        )
        self.last_drop = nn.Dropout(0.75 * drop)
        self.lead_head = nn.Linear(embedding_dim, len(leads))
        self.instrument_head = nn.Linear(embedding_dim, len(instruments))
        self.affect_head = nn.Linear(embedding_dim, 2)

    def forward(self, statistics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Judge clips by their statistics.

        Args:
            statistics: Of shape `(batch, 9, n_mels)`, as `clip_statistics` gives them.

        Returns:
            Lead logits `(batch, c)`, instrument logits `(batch, c')`, affect `(batch, 2)` and embedding
            `(batch, embedding_dim)`.
        """
        embedding = self.body(((statistics - self.statistics_mean) / self.statistics_std).flatten(1))
        last = self.last_drop(embedding)
        return self.lead_head(last), self.instrument_head(last), self.affect_head(last), embedding

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
        lead, instruments, affect, embedding = self(clip_statistics(self.spectrogram(samples)))
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
