"""The judge: a small network that hears what a clip is, and puts clips, pictures and captions in one joint space.

Its penultimate layer is the embedding of the evaluation's Frechet distances, its attribute posteriors tell whether a
caption was obeyed, and its joint space (Radford et al., 2021, with soft targets) whether clip and picture fit.

Four cheap views of a clip meet in one trunk: statistics of every mel band (timbre, level), strided convolutions on
patches of the log-mel (attacks, textures), pitch classes under a convolution round the circle of semitones, which
knows no key but tells major from minor, and the autocorrelation of onset strength (tempo).

Shape legend: ``batch`` clips, ``frames``/``n_mels`` of the log-mel, ``steps``/``semitones`` of the pitch spectrum,
``dim`` of the joint space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from melfusion_core.mel import MelConfig, MelSpectrogram

SCALARS = ("log_tempo", "log_onset_rate", "valence", "arousal")
PICTURE_SIZE = 64
CAPTION_DIM = 384
PATCH = 4
_STATISTICS = 9
_LAGS = 64
_BANDS = 4


@dataclass(frozen=True)
class JudgeOutput:
    """What the judge hears.

    Args:
        lead: Logits of the lead instrument, of shape ``(batch, leads)``.
        instruments: Logits of every instrument's presence, of shape ``(batch, instruments)``.
        style: Logits of the style, of shape ``(batch, styles)``.
        tempo: Logits of the tempo word, of shape ``(batch, tempi)``.
        mode: Logits of the mode, of shape ``(batch, modes)``.
        scalars: Standardised values in the order of ``SCALARS``, of shape ``(batch, 4)``.
        embedding: Penultimate layer, of shape ``(batch, embedding_dim)``.
        joint: Unit vectors in the joint space, of shape ``(batch, dim)``.
    """

    lead: torch.Tensor
    instruments: torch.Tensor
    style: torch.Tensor
    tempo: torch.Tensor
    mode: torch.Tensor
    scalars: torch.Tensor
    embedding: torch.Tensor
    joint: torch.Tensor


class PitchSpectrum(nn.Module):
    """Waveform to log magnitudes in semitone bands.

    Args:
        config: Configuration of the log-mel; its floor and scales are used here too.
        n_fft: Window length in samples.
        hop_length: Distance between two steps in samples; a multiple of the log-mel's.
        low_hz: Frequency of the lowest semitone.
        octaves: Number of octaves.
    """

    filters: torch.Tensor
    window: torch.Tensor

    def __init__(self, config: MelConfig, n_fft: int, hop_length: int, low_hz: float, octaves: int) -> None:
        super().__init__()
        self.config, self.n_fft, self.hop_length = config, n_fft, hop_length
        frequency = torch.arange(n_fft // 2 + 1) * config.sample_rate / n_fft
        place = 12.0 * torch.log2(frequency.clamp_min(1e-3) / low_hz)
        distance = place[:, None] - torch.arange(12 * octaves)
        # A Gaussian of half a semitone, and at least the nearest bin where semitones are narrower than bins.
        weights = torch.exp(-2.0 * distance.square())
        nearest = torch.zeros_like(weights)
        nearest[distance.abs().argmin(dim=0), torch.arange(12 * octaves)] = 1.0
        self.register_buffer("filters", torch.maximum(weights * (weights > 0.02), nearest), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Transform.

        Args:
            waveforms: Of shape ``(batch, samples)``.

        Returns:
            Normalised like the log-mel, of shape ``(batch, steps, semitones)``, steps = samples / hop_length.
        """
        spectrum = torch.stft(
            waveforms, self.n_fft, self.hop_length, window=self.window, pad_mode="constant", return_complex=True
        )
        bands = spectrum[..., : waveforms.shape[-1] // self.hop_length].abs().transpose(1, 2) @ self.filters
        return (bands.clamp_min(self.config.log_floor).log() - self.config.log_mean) / self.config.log_std


def clip_statistics(bands: torch.Tensor) -> torch.Tensor:
    """Sum up each mel band over time.

    Args:
        bands: Normalised log-mel of shape ``(batch, frames, n_mels)``.

    Returns:
        Mean, maximum, 10 %, 50 % and 90 % quantile, standard deviation, mean and deviation of rises and mean fall, of
        shape ``(batch, 9, n_mels)``.
    """
    change = bands[:, 1:] - bands[:, :-1]
    rises = change.clamp_min(0.0)
    ordered = bands[:, ::2].sort(dim=1).values
    last = ordered.shape[1] - 1
    quantiles = [ordered[:, round(share * last)] for share in (0.1, 0.5, 0.9)]
    levels = [bands.mean(1), bands.amax(1), *quantiles]
    return torch.stack([*levels, bands.std(1), rises.mean(1), rises.std(1), (-change).clamp_min(0.0).mean(1)], dim=1)


def onset_autocorrelation(bands: torch.Tensor) -> torch.Tensor:
    """Autocorrelation of the onset strength, in four bands.

    Args:
        bands: Normalised log-mel of shape ``(batch, frames, n_mels)``.

    Returns:
        Of shape ``(batch, 4 * 64)``: lags of 1 to 64 frames over lag 0; 0 beyond the clip.
    """
    rises = (bands[:, 1:] - bands[:, :-1]).clamp_min(0.0)
    envelope = functional.adaptive_avg_pool1d(rises, _BANDS).transpose(1, 2)
    envelope = envelope - envelope.mean(-1, keepdim=True)
    frames = envelope.shape[-1]
    power = torch.fft.rfft(envelope, 2 * frames).abs().square()
    lags = torch.fft.irfft(power, 2 * frames)[..., :frames]
    lags = lags / lags[..., :1].clamp_min(1e-6)
    return functional.pad(lags[..., 1 : _LAGS + 1], (0, max(0, _LAGS + 1 - frames))).flatten(1)


def _convolution(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.GELU()
    )


class AudioTower(nn.Module):
    """Log-mel and pitch spectrum to the embedding.

    Args:
        n_mels: Mel bands, a multiple of 32.
        octaves: Octaves of the pitch spectrum.
        channels: Channels of the four convolutions.
        hidden_dim: Width of the branches and of the trunk.
        embedding_dim: Width of the embedding.
        drop: Dropout in training.
    """

    def __init__(
        self, n_mels: int, octaves: int, channels: Sequence[int], hidden_dim: int, embedding_dim: int, drop: float
    ) -> None:
        super().__init__()
        widths = (PATCH * PATCH, *channels)
        self.convolutions = nn.Sequential(
            *(_convolution(widths[i], widths[i + 1], 1 if i == 0 else 2) for i in range(len(channels)))
        )
        rows = n_mels // PATCH // 2 ** (len(channels) - 1)
        self.textures = nn.Sequential(nn.Linear(2 * channels[-1] * rows, hidden_dim), nn.GELU())
        size = _STATISTICS * n_mels
        self.statistics = nn.Sequential(
            nn.BatchNorm1d(size, affine=False), nn.Dropout(drop / 2), nn.Linear(size, hidden_dim), nn.GELU()
        )
        self.circle = nn.Conv1d(2 * octaves + 2, 32, 12)
        self.tempo = nn.Sequential(nn.Linear(_BANDS * _LAGS, 64), nn.GELU())
        joined = 2 * hidden_dim + 64 + 64
        self.trunk = nn.Sequential(
            nn.BatchNorm1d(joined),
            nn.Dropout(drop),
            nn.Linear(joined, hidden_dim),
            nn.GELU(),
            nn.Dropout(drop),
            nn.Linear(hidden_dim, embedding_dim),
        )

    def forward(self, mel: torch.Tensor, pitch: torch.Tensor) -> torch.Tensor:
        """Embed clips.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``, frames a multiple of 4.
            pitch: Of shape ``(batch, steps, semitones)``.

        Returns:
            Of shape ``(batch, embedding_dim)``.
        """
        folded = functional.pixel_unshuffle(mel, PATCH).contiguous(memory_format=torch.channels_last)
        texture = self.convolutions(folded)
        texture = torch.cat([texture.mean(2), texture.amax(2)], dim=1).flatten(1)
        with torch.autocast(mel.device.type, enabled=False):
            bands = mel[:, 0].float()
            statistics, lags = clip_statistics(bands), onset_autocorrelation(bands)
            circle = self._circle(pitch.float())
        parts = [self.textures(texture), self.statistics(statistics.flatten(1)), circle, self.tempo(lags)]
        return self.trunk(torch.cat([part.float() for part in parts], dim=1)).float()

    def _circle(self, pitch: torch.Tensor) -> torch.Tensor:
        """Features of the pitch classes that do not change with the key."""
        levels = pitch - pitch.amin(dim=(1, 2), keepdim=True)
        octaves = levels.mean(1).unflatten(1, (-1, 12))  # of log magnitudes: what sounds often
        peaks = levels.exp().mean(1).log().unflatten(1, (-1, 12))  # of magnitudes: what sounds strongly
        views = torch.cat([octaves, octaves.mean(1, keepdim=True), peaks, peaks.mean(1, keepdim=True)], dim=1)
        views = (views - views.mean(-1, keepdim=True)) / (views.std(-1, keepdim=True) + 0.05)
        around = functional.gelu(self.circle(torch.cat([views, views[..., :11]], dim=-1)))
        return torch.cat([around.amax(-1), around.mean(-1)], dim=1)


class PictureTower(nn.Module):
    """Picture to a vector: a small CNN with colour statistics beside it.

    Args:
        channels: Channels of the three convolutions.
        hidden_dim: Width of the result.
        drop: Dropout in training.
    """

    def __init__(self, channels: Sequence[int], hidden_dim: int, drop: float) -> None:
        super().__init__()
        widths = (3 * PATCH * PATCH, *channels)
        self.convolutions = nn.Sequential(
            *(_convolution(widths[i], widths[i + 1], 1 if i == 0 else 2) for i in range(len(channels)))
        )
        self.colours = nn.BatchNorm1d(12, affine=False)
        self.join = nn.Sequential(
            nn.Dropout(drop), nn.Linear(2 * channels[-1] + 12, hidden_dim), nn.GELU(), nn.Dropout(drop)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pictures.

        Args:
            pixels: Of shape ``(batch, 3, 64, 64)`` in [-1, 1].

        Returns:
            Of shape ``(batch, hidden_dim)``.
        """
        folded = functional.pixel_unshuffle(pixels, PATCH).contiguous(memory_format=torch.channels_last)
        maps = self.convolutions(folded).float()
        red, _, blue = pixels.unbind(1)
        light, spread = pixels.mean(1), pixels.amax(1) - pixels.amin(1)
        colours = torch.stack([*pixels.unbind(1), light, spread, red - blue], dim=1).flatten(2)
        colours = self.colours(torch.cat([colours.mean(-1), colours.std(-1)], dim=1))
        return self.join(torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), colours], dim=1))


class MelFusionJudge(ModelMixin, ConfigMixin):
    """Audio, picture and caption towers with the attribute heads.

    Args:
        leads: Names of the lead instruments.
        instruments: Names of all instruments.
        styles: Names of the styles.
        tempi: Tempo words.
        modes: Names of the modes.
        scalar_mean: Mean of the values of ``SCALARS`` in the training clips.
        scalar_std: Their standard deviation.
        mel: Fields of the MelConfig of the input; None for the default with twice its hop length.
        pitch_n_fft: Window of the pitch spectrum in samples.
        pitch_hop: Distance between its steps in samples, a multiple of four hops of the log-mel.
        pitch_low_hz: Lowest semitone in Hz.
        pitch_octaves: Octaves of the pitch spectrum.
        channels: Channels of the audio tower's convolutions.
        picture_channels: Channels of the picture tower's convolutions.
        hidden_dim: Width of the towers.
        embedding_dim: Width of the embedding.
        joint_dim: Dimensions of the joint space.
        drop: Dropout in training.
    """

    @register_to_config
    def __init__(
        self,
        leads: Sequence[str],
        instruments: Sequence[str],
        styles: Sequence[str],
        tempi: Sequence[str],
        modes: Sequence[str],
        scalar_mean: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        scalar_std: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        mel: dict[str, Any] | None = None,
        pitch_n_fft: int = 8192,
        pitch_hop: int = 4096,
        pitch_low_hz: float = 55.0,
        pitch_octaves: int = 5,
        channels: Sequence[int] = (48, 96, 160, 192),
        picture_channels: Sequence[int] = (64, 96, 128),
        hidden_dim: int = 256,
        embedding_dim: int = 96,
        joint_dim: int = 64,
        drop: float = 0.3,
    ) -> None:
        super().__init__()
        self.mel_config = MelConfig(hop_length=1024) if mel is None else MelConfig(**mel)
        self.register_to_config(mel=self.mel_config.to_dict())
        if pitch_hop % (PATCH * self.mel_config.hop_length):
            raise ValueError(f"pitch_hop {pitch_hop} is no multiple of {PATCH * self.mel_config.hop_length}")
        self.spectrogram = MelSpectrogram(self.mel_config)
        self.pitch_spectrum = PitchSpectrum(self.mel_config, pitch_n_fft, pitch_hop, pitch_low_hz, pitch_octaves)
        self.audio = AudioTower(self.mel_config.n_mels, pitch_octaves, channels, hidden_dim, embedding_dim, drop)
        self.lead_head = nn.Linear(embedding_dim, len(leads))
        self.instrument_head = nn.Linear(embedding_dim, len(instruments))
        self.style_head = nn.Linear(embedding_dim, len(styles))
        self.tempo_head = nn.Linear(embedding_dim, len(tempi))
        self.mode_head = nn.Linear(embedding_dim, len(modes))
        self.scalar_head = nn.Linear(embedding_dim, len(SCALARS))
        self.audio_joint = nn.Linear(embedding_dim, joint_dim)
        self.picture = PictureTower(picture_channels, hidden_dim // 2, drop)
        self.picture_affect = nn.Linear(hidden_dim // 2, 2)
        self.picture_joint = nn.Linear(hidden_dim // 2, joint_dim)
        self.caption = nn.Sequential(
            nn.Linear(CAPTION_DIM, hidden_dim), nn.GELU(), nn.Dropout(drop), nn.Linear(hidden_dim, joint_dim)
        )
        self.scales = nn.Parameter(torch.full((2,), 2.3))  # log inverse temperatures: pictures, captions

    @property
    def sample_rate(self) -> int:
        """Of the clips, in Hz."""
        return self.mel_config.sample_rate

    @property
    def grid(self) -> int:
        """Samples per step of the pitch spectrum: clips are cut to a multiple of it."""
        return self.config.pitch_hop

    @torch.no_grad()
    def listen(self, waveforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms into the network's input; the last samples that do not fill a step are left out.

        Args:
            waveforms: Mono audio of shape ``(batch, samples)`` at the judge's sample rate.

        Returns:
            Log-mel of shape ``(batch, 1, frames, n_mels)`` and pitch spectrum of shape ``(batch, steps, semitones)``.

        Raises:
            ValueError: If the clips are shorter than two steps.
        """
        samples = waveforms.shape[-1] // self.grid * self.grid
        if samples < 2 * self.grid:
            raise ValueError(f"the judge needs at least {2 * self.grid} samples, got {waveforms.shape[-1]}")
        waveforms = waveforms[..., :samples].float()
        return self.spectrogram(waveforms), self.pitch_spectrum(waveforms)

    def forward(self, mel: torch.Tensor, pitch: torch.Tensor) -> JudgeOutput:
        """Judge clips.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
            pitch: Of shape ``(batch, steps, semitones)``.

        Returns:
            What is heard.
        """
        embedding = self.audio(mel, pitch)
        return JudgeOutput(
            lead=self.lead_head(embedding).float(),
            instruments=self.instrument_head(embedding).float(),
            style=self.style_head(embedding).float(),
            tempo=self.tempo_head(embedding).float(),
            mode=self.mode_head(embedding).float(),
            scalars=self.scalar_head(embedding).float(),
            embedding=embedding,
            joint=functional.normalize(self.audio_joint(embedding).float(), dim=-1),
        )

    def see(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put pictures into the joint space.

        Args:
            pixels: Of shape ``(batch, 3, 64, 64)`` in [-1, 1].

        Returns:
            Unit vectors of shape ``(batch, dim)``, and valence and arousal of shape ``(batch, 2)``, about [0, 1].
        """
        hidden = self.picture(pixels)
        joint = functional.normalize(self.picture_joint(hidden).float(), dim=-1)
        return joint, self.picture_affect(hidden).float()

    def read(self, pooled: torch.Tensor) -> torch.Tensor:
        """Put captions into the joint space.

        Args:
            pooled: Pooled caption states (``TextCondition.pooled``) of shape ``(batch, 384)``.

        Returns:
            Unit vectors of shape ``(batch, dim)``.
        """
        return functional.normalize(self.caption(pooled).float(), dim=-1)
