"""Vocoder: log-mel spectrogram to waveform, all at frame rate, then one inverse STFT.

A ConvNeXt trunk predicts the magnitudes of a linear-frequency spectrum as a correction of the mel filterbank's
pseudo-inverse. The phase is integrated, not learned: a shift-equivariant network that sees a steady tone can only give
a steady phase, while the phase of the tone turns. Every bin follows the nearest spectral peak, whose frequency comes
from a parabola through the peak (single-pass spectrogram inversion, Beauregard et al., 2015); a few fast Griffin-Lim
rounds (Perraudin et al., 2013) then make the frames agree.

Shape legend: ``batch`` clips, ``frames`` per clip, ``bins`` = n_fft // 2 + 1, ``samples`` = frames * hop_length.
"""

from __future__ import annotations

import math

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from melfusion_core.mel import MelConfig, mel_filterbank


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a pointwise network, with a learned small residual.

    Args:
        dim: Channels.
        expansion: Width of the pointwise network relative to dim.
        num_layers: Blocks in the trunk; scales the first residuals.
        kernel_size: Frames that the convolution sees, odd.
    """

    def __init__(self, dim: int, expansion: int, num_layers: int, kernel_size: int = 7) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, expansion * dim)
        self.narrow = nn.Linear(expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 1.0 / num_layers))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the block.

        Args:
            hidden: Of shape ``(batch, frames, dim)``.

        Returns:
            Same shape.
        """
        change = self.depthwise(hidden.transpose(1, 2)).transpose(1, 2)
        change = self.narrow(functional.gelu(self.widen(self.norm(change))))
        return hidden + self.scale * change


class ISTFTVocoder(ModelMixin, ConfigMixin):
    """Normalised log-mel spectrogram to mono waveform.

    Args:
        sample_rate: Sample rate in Hz.
        n_fft: Window length of the spectrogram and of the inverse STFT, in samples.
        hop_length: Distance between two frames in samples.
        n_mels: Mel bins.
        fmin: Lower edge of the lowest mel filter in Hz.
        fmax: Upper edge of the highest mel filter in Hz.
        log_floor: Floor of the mel magnitudes.
        log_mean: Mean of the log-mel normalisation.
        log_std: Standard deviation of the log-mel normalisation.
        dim: Channels of the trunk.
        num_layers: Blocks of the trunk.
        expansion: Width of the blocks' pointwise networks relative to dim.
        refine_rounds: Griffin-Lim rounds after the phase integration.
        momentum: Momentum of these rounds, 0 for the classic algorithm.
    """

    @register_to_config
    def __init__(
        self,
        sample_rate: int = 32000,
        n_fft: int = 2048,
        hop_length: int = 512,
        n_mels: int = 128,
        fmin: float = 20.0,
        fmax: float = 16000.0,
        log_floor: float = MelConfig.log_floor,
        log_mean: float = MelConfig.log_mean,
        log_std: float = MelConfig.log_std,
        dim: int = 256,
        num_layers: int = 8,
        expansion: int = 3,
        refine_rounds: int = 16,
        momentum: float = 0.99,
    ) -> None:
        super().__init__()
        if refine_rounds < 0 or not 0 <= momentum < 1:
            raise ValueError("refine_rounds must not be negative, and momentum must be in [0, 1)")
        filters = mel_filterbank(self.mel_config)
        self.register_buffer("inverse_filters", torch.linalg.pinv(filters), persistent=False)
        # Where the pseudo-inverse dips below zero, a share of the plain interpolation between bands is the floor.
        spread = (filters / filters.sum(dim=0, keepdim=True)).T / filters.sum(dim=1).clamp_min(1e-3)
        self.register_buffer("interpolation", 0.3 * spread, persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.stem = nn.Conv1d(n_mels, dim, 7, padding=3)
        self.stem_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, expansion, num_layers) for _ in range(num_layers))
        self.head_norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, n_fft // 2 + 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def mel_config(self) -> MelConfig:
        """The configuration of the log-mel spectrograms that it understands."""
        return MelConfig(**{name: self.config[name] for name in MelConfig().to_dict()})

    def log_magnitude(self, mel: torch.Tensor) -> torch.Tensor:
        """Predict the linear-frequency spectrum.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.

        Returns:
            Natural log of STFT magnitudes, of shape ``(batch, frames, bins)``.

        Raises:
            ValueError: When the shape is another one.
        """
        if mel.ndim != 4 or mel.shape[1] != 1 or mel.shape[3] != self.config.n_mels:
            raise ValueError(f"expected (batch, 1, frames, {self.config.n_mels}), got {tuple(mel.shape)}")
        mel = mel[:, 0]
        hidden = self.stem_norm(self.stem(mel.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            hidden = block(hidden)
        change = self.head(self.head_norm(hidden))
        power = (mel.float() * self.config.log_std + self.config.log_mean).exp()
        start = torch.maximum(power @ self.inverse_filters, power @ self.interpolation)
        return start.clamp_min(1e-7).log() + change.float()

    def forward(self, mel: torch.Tensor, refine_rounds: int | None = None) -> torch.Tensor:
        """Make sound.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
            refine_rounds: Griffin-Lim rounds; ``None`` takes the configuration's.

        Returns:
            Waveform of shape ``(batch, samples)``, float32. No gradient flows through the phase.
        """
        rounds = self.config.refine_rounds if refine_rounds is None else refine_rounds
        magnitude = self.log_magnitude(mel).clamp(max=12.0).exp().transpose(1, 2)
        magnitude = torch.cat([magnitude, magnitude[..., -1:]], dim=-1)  # the frame centred on the very end
        with torch.no_grad():
            phase = integrate_phase(magnitude, self.config.n_fft, self.config.hop_length)
            phasor = self._refine(magnitude, torch.polar(torch.ones_like(phase), phase), rounds)
        return self._inverse(magnitude * phasor)

    def _inverse(self, spectrum: torch.Tensor) -> torch.Tensor:
        hop = self.config.hop_length
        samples = (spectrum.shape[-1] - 1) * hop
        return torch.istft(spectrum, self.config.n_fft, hop, window=self.window.float(), length=samples)

    def _refine(self, magnitude: torch.Tensor, phasor: torch.Tensor, rounds: int) -> torch.Tensor:
        weight = self.config.momentum / (1 + self.config.momentum)
        previous = torch.zeros_like(phasor)
        for _ in range(rounds):
            waveform = self._inverse(magnitude * phasor)
            rebuilt = torch.stft(
                waveform,
                self.config.n_fft,
                self.config.hop_length,
                window=self.window.float(),
                pad_mode="constant",
                return_complex=True,
            )
            phasor = rebuilt - weight * previous
            phasor = phasor / phasor.abs().clamp_min(1e-9)
            previous = rebuilt
        return phasor


def integrate_phase(magnitude: torch.Tensor, n_fft: int, hop_length: int) -> torch.Tensor:
    """Phases for a magnitude spectrogram: every peak turns with its own frequency, its neighbours follow it.

    The neighbours' phases also say when in the window a peak sounds: its group delay, which follows from the slope of
    the magnitude (Prusa et al. 2017, "A noniterative method for reconstruction of phase from STFT magnitude").

    Args:
        magnitude: Of shape ``(batch, bins, frames)``.
        n_fft: Window length in samples.
        hop_length: Distance between two frames in samples.

    Returns:
        Phases in radians, same shape, deterministic.
    """
    bins, frames = magnitude.shape[1:]
    level = magnitude.clamp_min(1e-9).log()
    below = functional.pad(level[:, :-1], (0, 0, 1, 0), value=math.inf)
    above = functional.pad(level[:, 1:], (0, 0, 0, 1), value=math.inf)
    peak = (level > below) & (level >= above)
    curve = torch.where(peak, below - 2 * level + above, -1.0).clamp(max=-1e-6)
    offset = torch.where(peak, 0.5 * (below - above) / curve, 0.0).clamp(-0.5, 0.5)
    index = torch.arange(bins, device=magnitude.device).view(1, -1, 1).expand_as(peak)
    last = torch.where(peak, index, -2 * bins).cummax(dim=1).values
    following = torch.where(peak, index, 3 * bins).flip(1).cummin(dim=1).values.flip(1)
    nearest = torch.where(index - last <= following - index, last, following)
    nearest = torch.where((nearest >= 0) & (nearest < bins), nearest, index)
    turn = (2 * math.pi * hop_length / n_fft) * (nearest + offset.gather(1, nearest))
    # Where in the window the sound lies, in samples after its centre: for a Gaussian window of variance s^2, s^2 times
    # the slope of the log magnitude over time; a Hann window is about one with s^2 = 0.0408 n_fft^2.
    padded = functional.pad(level, (1, 1), mode="replicate")
    delay = (padded[..., 2:] - padded[..., :-2]) * (0.0408 * n_fft**2 / (2 * hop_length))
    delay = delay.clamp(-0.45 * n_fft, 0.45 * n_fft)
    # Frames start half a window before their centre.
    lag = (index - nearest) * (math.pi - (2 * math.pi / n_fft) * delay)
    phases = []
    phase = torch.zeros_like(magnitude[..., 0])
    for frame in range(frames):
        phase = phase.gather(1, nearest[..., frame]) + turn[..., frame] + lag[..., frame]
        phase = phase.remainder(2 * math.pi)
        phases.append(phase)
    return torch.stack(phases, dim=-1)
