"""Corpus clips to latents, batch by batch: what preparing and packing share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.engines.spectrogram.latents import MelCodec, encode_mel
from melfusion_core.mel import MelConfig, MelSpectrogram
from melfusion_core.training.data import Clip, read_crop


@torch.no_grad()
def encode_clips(
    vae: MelCodec, clips: Sequence[Clip], batch_size: int = 8, device: str = "cpu"
) -> Iterator[tuple[int, np.ndarray]]:
    """Encode whole clips with a codec (the posterior's mode).

    Args:
        vae: The codec; moved to the device.
        clips: Clips with audio of equal length.
        batch_size: Clips at a time.
        device: ``cpu`` or ``cuda``.

    Yields:
        Index of the first clip of the batch, and raw latents of shape ``(batch, channels, time, frequency)``, float32.
    """
    vae = vae.to(device).eval()
    config = MelConfig()
    mel = MelSpectrogram(config).to(device)
    with tqdm(total=len(clips), desc="latents", mininterval=5.0) as bar:
        for start in range(0, len(clips), batch_size):
            batch = clips[start : start + batch_size]
            waveform = np.stack([read_crop(clip.audio, config.sample_rate, 0, -1) for clip in batch])
            latents = encode_mel(vae, mel(torch.from_numpy(waveform).to(device))).mode()
            yield start, latents.float().cpu().numpy()
            bar.update(len(batch))


class ChannelStatistics:
    """Mean and standard deviation of each latent channel, gathered clip by clip."""

    def __init__(self) -> None:
        self.count = 0
        self.total: np.ndarray | float = 0.0
        self.squares: np.ndarray | float = 0.0

    def add(self, latents: np.ndarray) -> None:
        """Take in one clip.

        Args:
            latents: Of shape ``(channels, time, frequency)``.
        """
        values = latents.astype(np.float64)
        self.total = self.total + values.mean(axis=(1, 2))
        self.squares = self.squares + np.square(values).mean(axis=(1, 2))
        self.count += 1

    def result(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations, one per channel.

        Raises:
            ValueError: When no clip was added.
        """
        if not self.count:
            raise ValueError("there is no clip to take statistics of")
        mean = np.asarray(self.total) / self.count
        std = np.sqrt(np.maximum(np.asarray(self.squares) / self.count - mean**2, 1e-8))
        return [round(float(v), 6) for v in mean], [round(float(v), 6) for v in std]
