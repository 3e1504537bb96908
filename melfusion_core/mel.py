"""Log-mel spectrograms: one configuration, one forward transform.

Shape legend: ``batch`` waveforms, ``samples`` per waveform, ``frames`` = samples / hop_length, ``n_mels`` mel bins.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch


@dataclass(frozen=True)
class MelConfig:
    """Everything that defines a log-mel spectrogram.

    Args:
        sample_rate: Sample rate in Hz.
        n_fft: Length of the analysis window in samples.
        hop_length: Distance between two frames in samples.
        n_mels: Number of mel bins (HTK scale, filters not normalised; :class:`SlaneyMelConfig` differs).
        fmin: Lower edge of the lowest mel filter in Hz.
        fmax: Upper edge of the highest mel filter in Hz.
        log_floor: Mel magnitudes below this value are raised to it before the logarithm.
        log_mean: Mean of the natural-log mel magnitudes, subtracted when normalising.
        log_std: Standard deviation of the natural-log mel magnitudes, divided by when normalising.
    """

    sample_rate: int = 32000
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    fmin: float = 20.0
    fmax: float = 16000.0
    log_floor: float = 1e-2
    log_mean: float = -0.5
    log_std: float = 2.0
    slaney: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.sample_rate <= 0 or self.n_fft <= 0 or self.hop_length <= 0 or self.n_mels <= 0:
            raise ValueError(f"sample_rate, n_fft, hop_length and n_mels must be positive: {self}")
        if self.hop_length > self.n_fft:
            raise ValueError(f"hop_length {self.hop_length} is longer than the window {self.n_fft}")
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(f"need 0 <= fmin < fmax <= sample_rate / 2, got {self.fmin} and {self.fmax} Hz")
        if self.log_floor <= 0 or self.log_std <= 0:
            raise ValueError(f"log_floor and log_std must be positive: {self}")

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    def to_dict(self) -> dict[str, float | int]:
        """The fields as a plain dictionary, for a model's JSON configuration."""
        return asdict(self)


@dataclass(frozen=True)
class SlaneyMelConfig(MelConfig):
    """Spectrograms as AudioLDM, Tango, AudioLDM2 and MusicLDM make them: Slaney's mel scale, filters of equal area.

    The logarithm is not normalised further (mean 0, deviation 1). The defaults are those of the public models.

    Args:
        sample_rate: Sample rate in Hz.
        n_fft: Length of the analysis window in samples.
        hop_length: Distance between two frames in samples.
        n_mels: Number of mel bins.
        fmin: Lower edge of the lowest mel filter in Hz.
        fmax: Upper edge of the highest mel filter in Hz.
        log_floor: Mel magnitudes below this value are raised to it before the logarithm.
        log_mean: Mean subtracted when normalising.
        log_std: Standard deviation divided by when normalising.
    """

    sample_rate: int = 16000
    n_fft: int = 1024
    hop_length: int = 160
    n_mels: int = 64
    fmin: float = 0.0
    fmax: float = 8000.0
    log_floor: float = 1e-5
    log_mean: float = 0.0
    log_std: float = 1.0
    slaney: ClassVar[bool] = True


def mel_filterbank(config: MelConfig) -> torch.Tensor:
    """The triangular mel filters of a configuration.

    Args:
        config: The spectrogram's configuration.

    Returns:
        Filters of shape ``(n_fft // 2 + 1, n_mels)``, float32; peak value 1, or for Slaney's filters equal areas.
    """
    # librosa pulls in numba, which takes a second: only those who make spectrograms pay for it.
    from librosa.filters import mel as librosa_mel

    filters = librosa_mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=not config.slaney,
        norm="slaney" if config.slaney else None,
    )
    return torch.from_numpy(filters).float().T.contiguous()


class MelSpectrogram(torch.nn.Module):
    """Waveform to normalised log-mel spectrogram.

    Args:
        config: The spectrogram's configuration.
    """

    def __init__(self, config: MelConfig = MelConfig()) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("filters", mel_filterbank(config), persistent=False)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Transform waveforms.

        Args:
            waveform: Mono audio of shape ``(batch, samples)``, nominally in [-1, 1].

        Returns:
            Normalised log-mel spectrogram of shape ``(batch, 1, frames, n_mels)`` with exactly samples / hop_length
            frames; frame ``i`` is centred on sample ``i * hop_length``.

        Raises:
            ValueError: When the shape is not ``(batch, samples)``, or samples is not a multiple of the hop length, or
                is too short for the reflected edges.
        """
        config = self.config
        if waveform.ndim != 2:
            raise ValueError(f"expected a waveform of shape (batch, samples), got {tuple(waveform.shape)}")
        samples = waveform.shape[-1]
        if samples % config.hop_length:
            raise ValueError(f"{samples} samples is not a multiple of the hop length {config.hop_length}")
        if samples <= config.n_fft // 2:
            raise ValueError(f"{samples} samples is too short for a window of {config.n_fft}")
        spectrum = torch.stft(
            waveform,
            config.n_fft,
            hop_length=config.hop_length,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        magnitude = spectrum[..., :-1].abs()
        mel = magnitude.transpose(1, 2) @ self.filters
        return self.normalise(mel.clamp_min(config.log_floor).log()).unsqueeze(1)

    def normalise(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Scale natural-log mel magnitudes to about zero mean and unit variance.

        Args:
            log_mel: Natural logarithm of mel magnitudes, any shape.

        Returns:
            ``(log_mel - log_mean) / log_std``, same shape.
        """
        return (log_mel - self.config.log_mean) / self.config.log_std


def mel_to_db(mel: torch.Tensor, config: MelConfig = MelConfig()) -> torch.Tensor:
    """Normalised log-mel to decibels, for display.

    Args:
        mel: Normalised log-mel, any shape.
        config: The configuration it was made with.

    Returns:
        Mel magnitude in dB relative to magnitude 1, not below that of ``config.log_floor``, same shape.
    """
    decibels = (mel * config.log_std + config.log_mean) * (20.0 / math.log(10.0))
    return decibels.clamp_min(20.0 * math.log10(config.log_floor))
