"""A codec under test: waveform to log-mel to latents and back, with its distances and its speed.

Shape legend: `batch` clips, `samples` of a waveform, `frames` of a spectrogram.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.engines.base import Rendered
from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
from melfusion_core.mel import MelSpectrogram

STAGES = ("codec", "vocoder")


class CodecUnderTest:
    """The codec and the vocoder of an engine.

    Args:
        engine: The engine, whose latents are spectrograms.
    """

    def __init__(self, engine: SpectrogramEngine) -> None:
        self.engine = engine.eval()
        self.mel_config, self.device, self.sample_rate = engine.mel_config, engine.device, engine.sample_rate
        self.spectrogram = MelSpectrogram(self.mel_config).to(self.device)

    def cut(self, waveform: np.ndarray) -> np.ndarray:
        """Drop the last samples that fill no latent position.

        Args:
            waveform: Of shape `(samples,)`.

        Returns:
            The beginning of it.

        Raises:
            ValueError: If nothing is left.
        """
        samples = len(waveform) // self.engine.position_samples * self.engine.position_samples
        if not samples:
            raise ValueError(f"a clip of {len(waveform)} samples is too short for this codec")
        return np.asarray(waveform[:samples], dtype=np.float32)

    @torch.no_grad()
    def rebuild(
        self, waveforms: Sequence[np.ndarray], stage: str = "codec", batch_size: int = 8, progress: bool = False
    ) -> list[np.ndarray]:
        """Encode and decode clips of one length.

        Args:
            waveforms: Clips of shape `(samples,)`, already cut.
            stage: "codec" for VAE and vocoder, "vocoder" for the vocoder on the exact spectrogram.
            batch_size: Clips at a time.
            progress: Show a progress bar.

        Returns:
            Clips of the same length, in the same order.

        Raises:
            ValueError: If `stage` is unknown.
        """
        if stage not in STAGES:
            raise ValueError(f"unknown stage {stage!r}; choose from {', '.join(STAGES)}")
        rebuilt: list[np.ndarray] = []
        for start in tqdm(range(0, len(waveforms), batch_size), desc=f"rebuilding, {stage}", disable=not progress):
            clips = torch.from_numpy(np.stack(waveforms[start : start + batch_size])).to(self.device)
            mel = self.spectrogram(clips)
            if stage == "codec":
                mel = self.engine.mel(self.engine.encode([Rendered(clip[None], self.sample_rate) for clip in clips]))
            rebuilt += list(self.engine.vocode(mel).cpu().numpy())
        return rebuilt

    def mel_distance(self, original: np.ndarray, rebuilt: np.ndarray) -> float:
        """Mean absolute difference of the log-mel spectrograms.

        Args:
            original: Of shape `(samples,)`.
            rebuilt: Of shape `(samples,)`.

        Returns:
            Distance in nats of mel magnitude.
        """
        pair = torch.from_numpy(np.stack([original, rebuilt])).float().to(self.device)
        mel = self.spectrogram(pair)
        return float((mel[0] - mel[1]).abs().mean()) * self.mel_config.log_std


@torch.no_grad()
def codec_speed(codec: CodecUnderTest, seconds: float = 10.24, repeats: int = 3) -> dict[str, float | int | str]:
    """Time encoding and decoding of one clip.

    Args:
        codec: What to time.
        seconds: Length of the clip.
        repeats: Timed runs; one more goes first, untimed.

    Returns:
        Seconds, and multiples of real time, with the threads and the device they were measured with.
    """
    engine = codec.engine
    noise = np.random.default_rng(0).normal(0, 0.1, max(round(seconds * codec.sample_rate), engine.position_samples))
    clip = Rendered(torch.from_numpy(codec.cut(noise))[None], codec.sample_rate)
    length_s, latents = clip.duration_s, engine.encode([clip])

    def median_s(action: Callable[[], Any]) -> float:
        taken = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            action()
            if codec.device.type == "cuda":
                torch.cuda.synchronize(codec.device)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[1:])

    encode_s = median_s(lambda: engine.encode([clip]))
    decode_s = median_s(lambda: engine.vocode(engine.mel(latents)))
    return {
        "clip_s": round(length_s, 2),
        "encode_s": round(encode_s, 4),
        "decode_s": round(decode_s, 4),
        "encode_times_real_time": round(length_s / encode_s, 1),
        "decode_times_real_time": round(length_s / decode_s, 1),
        "threads": torch.get_num_threads(),
        "device": str(codec.device),
    }
