"""Clips and pictures of a corpus as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from tqdm.auto import tqdm

from melfusion_core.data.corpus import CorpusError, Triplet
from melfusion_core.image import image_to_tensor


def read_crop(path: Path, sample_rate: int, start: int, samples: int) -> np.ndarray:
    """Part of an audio file that already has the right sample rate.

    Args:
        path: Mono audio file.
        sample_rate: The rate it must have, in Hz.
        start: First sample.
        samples: Number of samples; -1 for all the rest.

    Returns:
        Float32 samples of shape `(samples,)`.

    Raises:
        CorpusError: When the file is missing, has another rate, is not mono, or is too short.
    """
    if not path.is_file():
        raise CorpusError(f"{path} does not exist (packs hold no audio: this trainer needs the corpus itself)")
    with soundfile.SoundFile(str(path)) as file:
        if file.samplerate != sample_rate or file.channels != 1:
            raise CorpusError(f"{path}: {file.channels} channels at {file.samplerate} Hz, need mono at {sample_rate}")
        file.seek(start)
        crop = file.read(samples, dtype="float32")
    if samples >= 0 and len(crop) != samples:
        raise CorpusError(f"{path}: {len(crop)} samples from {start}, need {samples}")
    return crop


def draw_crops(clips: Sequence[Triplet], generator: torch.Generator, batch: int, samples: int, grid: int, rate: int):
    """Random crops of random clips.

    Args:
        clips: Clips to draw from, with replacement.
        generator: CPU generator.
        batch: Number of crops.
        samples: Length of a crop.
        grid: Crops start at multiples of this many samples.
        rate: Sample rate in Hz.

    Returns:
        Waveforms of shape `(batch, samples)`.

    Raises:
        CorpusError: When a clip is too short.
    """
    rows = []
    for index in torch.randint(len(clips), (batch,), generator=generator).tolist():
        path = clips[index].audio
        places = (soundfile.info(str(path)).frames - samples) // grid + 1
        if places < 1:
            raise CorpusError(f"{path} is shorter than {samples} samples")
        start = int(torch.randint(places, (1,), generator=generator)) * grid
        rows.append(read_crop(path, rate, start, samples))
    return torch.from_numpy(np.stack(rows))


def fixed_crops(clips: Sequence[Triplet], count: int, samples: int, rate: int) -> torch.Tensor:
    """The beginnings of a few evenly spread clips, for validation and samples.

    Args:
        clips: Clips to choose from.
        count: Number of crops, at most as many as clips.
        samples: Length of a crop.
        rate: Sample rate in Hz.

    Returns:
        Waveforms of shape `(count, samples)`.
    """
    count = min(count, len(clips))
    chosen = [clips[i * len(clips) // count] for i in range(count)]
    return torch.from_numpy(np.stack([read_crop(clip.audio, rate, 0, samples) for clip in chosen]))


def load_pictures(clips: Sequence[Triplet], size: int) -> tuple[torch.Tensor, dict[Path, int]]:
    """Every different picture of some clips, as bytes.

    Args:
        clips: The clips.
        size: Side in pixels.

    Returns:
        Pictures of shape `(pictures, 3, size, size)` uint8, and the row of each path.
    """
    rows: dict[Path, int] = {}
    sources: list[Triplet] = []
    for clip in clips:
        if rows.setdefault(clip.image, len(rows)) == len(sources):
            sources.append(clip)
    pictures = torch.empty(len(rows), 3, size, size, dtype=torch.uint8)
    for row, clip in enumerate(tqdm(sources, desc="pictures", mininterval=5.0)):
        pictures[row] = pixels_to_bytes(image_to_tensor(clip.read_image(), size))
    return pictures, rows


def pixels_to_bytes(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels in [-1, 1] to 0..255.

    Args:
        pixels: Any shape.

    Returns:
        Same shape, uint8.
    """
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def bytes_to_pixels(values: torch.Tensor) -> torch.Tensor:
    """0..255 to pixels in [-1, 1].

    Args:
        values: Any shape, uint8.

    Returns:
        Same shape, float32.
    """
    return values.float() / 127.5 - 1
