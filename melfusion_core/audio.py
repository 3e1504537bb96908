"""Reading, writing and levelling audio: float32 of shape ``(samples,)`` or ``(channels, samples)``, in [-1, 1]."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

MIN_LOUDNESS_DURATION_S = 0.4
MAX_CHANNELS = 5  # of what loudness is defined for


class AudioError(ValueError):
    """Audio that cannot be used; the message is meant for people."""


def load_audio(
    path: str | Path, sample_rate: int, offset_s: float = 0.0, duration_s: float | None = None
) -> torch.Tensor:
    """Read a file as mono at a given sample rate.

    Args:
        path: A file in any format that libsndfile reads (WAV, FLAC, OGG, MP3, ...).
        sample_rate: Wanted sample rate in Hz; the file is resampled when it differs.
        offset_s: Where to start, in seconds.
        duration_s: How much to read, in seconds; ``None`` reads to the end. A shorter file gives fewer samples.

    Returns:
        Waveform of shape ``(samples,)``, float32, channels averaged.

    Raises:
        AudioError: When the file is missing, unreadable, empty, or contains NaN or infinite samples.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"There is no audio file at {path}.")
    try:
        with soundfile.SoundFile(str(path)) as file:
            file_rate = file.samplerate
            start = round(offset_s * file_rate)
            if start < 0 or start >= len(file):
                raise AudioError(f"{path.name} has {len(file) / file_rate:.2f} s of audio, none at {offset_s} s.")
            file.seek(start)
            count = -1 if duration_s is None else round(duration_s * file_rate)
            samples = file.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path.name} could not be read as audio: {error}") from error
    if not len(samples):
        raise AudioError(f"{path.name} contains no audio.")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path.name} contains samples that are not numbers.")
    mono = samples.mean(axis=1)
    if file_rate != sample_rate:
        mono = resample(torch.from_numpy(mono), file_rate, sample_rate).numpy()
    return torch.from_numpy(np.ascontiguousarray(mono, dtype=np.float32))


def resample(waveform: torch.Tensor, from_rate: int, to_rate: int) -> torch.Tensor:
    """Change the sample rate with a high-quality band-limited filter.

    Args:
        waveform: Mono audio of shape ``(samples,)``.
        from_rate: Its sample rate in Hz.
        to_rate: Wanted sample rate in Hz.

    Returns:
        Waveform of shape ``(round(samples * to_rate / from_rate),)``, float32.

    Raises:
        AudioError: When a rate is not positive.
    """
    import soxr

    if from_rate <= 0 or to_rate <= 0:
        raise AudioError(f"Sample rates must be positive, got {from_rate} and {to_rate} Hz.")
    return torch.from_numpy(soxr.resample(_mono_array(waveform), from_rate, to_rate)).float()


def save_audio(
    path: str | Path, waveform: torch.Tensor | np.ndarray, sample_rate: int, subtype: str | None = "PCM_16"
) -> Path:
    """Write a waveform; the extension chooses the format. Nothing is normalised: samples beyond full scale clip.

    Args:
        path: File to write, for instance ``.wav``, ``.flac`` or ``.mp3``.
        waveform: Of shape ``(samples,)`` or ``(channels, samples)``.
        sample_rate: Sample rate in Hz.
        subtype: Sample format of libsndfile, such as ``PCM_16``, ``PCM_24`` or ``FLOAT``; ``None`` takes the format's
            own default (needed for MP3 and OGG).

    Returns:
        The path written.

    Raises:
        AudioError: When the waveform is empty, of another shape or not finite, or the format is unknown.
    """
    path = Path(path)
    samples = _frames(waveform)
    if not samples.size:
        raise AudioError("There is no audio to save.")
    if not np.isfinite(samples).all():
        raise AudioError("The audio contains samples that are not numbers.")
    if subtype != "FLOAT":
        samples = samples.clip(-1.0, 1.0)
    try:
        soundfile.write(str(path), samples, sample_rate, subtype=subtype)
    except (soundfile.LibsndfileError, ValueError, TypeError) as error:
        raise AudioError(f"{path.name} could not be written: {error}") from error
    return path


def peak_dbfs(waveform: torch.Tensor | np.ndarray) -> float:
    """Highest absolute sample in dB relative to full scale.

    Args:
        waveform: Of any shape.

    Returns:
        Peak in dBFS; ``-inf`` for silence.
    """
    samples = _frames(waveform)
    peak = float(np.abs(samples).max()) if samples.size else 0.0
    return 20.0 * math.log10(peak) if peak > 0.0 else -math.inf


def integrated_lufs(waveform: torch.Tensor | np.ndarray, sample_rate: int) -> float:
    """Integrated loudness after ITU-R BS.1770-4.

    Args:
        waveform: Of shape ``(samples,)`` or ``(channels, samples)``, at least 0.4 s.
        sample_rate: Sample rate in Hz.

    Returns:
        Loudness in LUFS; ``-inf`` when everything lies below the absolute gate (-70 LUFS).

    Raises:
        AudioError: When the audio is shorter than one 0.4 s block.
    """
    import pyloudnorm

    samples = _frames(waveform)
    if len(samples) < MIN_LOUDNESS_DURATION_S * sample_rate:
        raise AudioError(f"Loudness needs at least {MIN_LOUDNESS_DURATION_S} s of audio.")
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mean of no blocks: silence, reported as -inf
        loudness = float(pyloudnorm.Meter(sample_rate).integrated_loudness(samples.astype(np.float64)))
    return loudness if math.isfinite(loudness) else -math.inf


def match_loudness_together(
    waveforms: Sequence[torch.Tensor], sample_rate: int, target_lufs: float = -16.0, peak_ceiling_dbfs: float = -1.0
) -> list[torch.Tensor]:
    """Scale several waveforms to one common loudness, for fair listening.

    When the peaks of any of them would pass the ceiling, all are lowered by the same amount, so that they stay equally
    loud.

    Args:
        waveforms: Each of shape ``(samples,)`` or ``(channels, samples)``.
        sample_rate: Sample rate in Hz.
        target_lufs: Wanted integrated loudness in LUFS.
        peak_ceiling_dbfs: No sample of the results is above this level.

    Returns:
        The scaled waveforms in order; silent ones come back unchanged.

    Raises:
        AudioError: When any is shorter than 0.4 s.
    """
    gains_db: list[float | None] = []
    headroom_db = 0.0
    for waveform in waveforms:
        loudness = integrated_lufs(waveform, sample_rate)
        if not math.isfinite(loudness):
            gains_db.append(None)
            continue
        gain_db = target_lufs - loudness
        headroom_db = min(headroom_db, peak_ceiling_dbfs - (peak_dbfs(waveform) + gain_db))
        gains_db.append(gain_db)
    return [
        waveform if gain_db is None else waveform * 10.0 ** ((gain_db + headroom_db) / 20.0)
        for waveform, gain_db in zip(waveforms, gains_db, strict=True)
    ]


def _frames(waveform: torch.Tensor | np.ndarray) -> np.ndarray:
    """The samples as soundfile and pyloudnorm take them: of shape (samples,), or (samples, channels)."""
    if isinstance(waveform, torch.Tensor):
        waveform = waveform.detach().cpu().float().numpy()
    if waveform.ndim not in (1, 2) or waveform.ndim == 2 and len(waveform) > MAX_CHANNELS:
        raise AudioError(f"Expected audio of shape (samples,) or (channels, samples), got {tuple(waveform.shape)}.")
    waveform = waveform[0] if waveform.ndim == 2 and len(waveform) == 1 else waveform.T
    return np.asarray(waveform, dtype=np.float32)


def _mono_array(waveform: torch.Tensor | np.ndarray) -> np.ndarray:
    samples = _frames(waveform)
    if samples.ndim != 1:
        raise AudioError(f"Expected mono audio of shape (samples,), got {tuple(waveform.shape)}.")
    return samples
