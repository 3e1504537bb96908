"""Corpus clips to latents, batch by batch: what preparing and packing share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.data.corpus import Triplet
from melfusion_core.engines.spectrogram.latents import MelCodec, encode_mel
from melfusion_core.mel import MelConfig, MelSpectrogram
from melfusion_core.training.data import read_crop


@torch.no_grad()
def encode_clips(
    vae: MelCodec, clips: Sequence[Triplet], batch_size: int = 8, device: str = "cpu"
) -> Iterator[tuple[int, np.ndarray]]:
    """Encode whole clips with a codec (the posterior's mode).

    Args:
        vae: The codec; moved to the device.
        clips: Clips with audio of equal length.
        batch_size: Clips at a time.
        device: `cpu` or `cuda`.

    Yields:
        Index of the first clip of the batch, and raw latents of shape `(batch, channels, time, frequency)`, float32.
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


def latent_scales(vae: MelCodec) -> dict[str, list[float]]:
    """Mean and scale of a codec's latent channels.

    Args:
        vae: The codec.

    Returns:
        "mean" and "std", one number per channel.

    Raises:
        ValueError: When the codec does not state them.
    """
    if vae.config.latents_std is None:
        raise ValueError("the codec does not state the scales of its latents: fit one with `melfusion train codec`")
    return {"mean": list(vae.config.latents_mean), "std": list(vae.config.latents_std)}
