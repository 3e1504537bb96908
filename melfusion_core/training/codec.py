"""Fit the linear codec: `melfusion train codec --data CORPUS --out RUN`. Takes about a minute."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from melfusion_core.data.corpus import Triplet, read_corpus, select
from melfusion_core.engines.spectrogram.latents import decode_mel, encode_mel
from melfusion_core.engines.spectrogram.patch_codec import PatchCodec
from melfusion_core.mel import MelConfig, MelSpectrogram
from melfusion_core.training.config import use_threads
from melfusion_core.training.data import read_crop


@dataclass(frozen=True)
class CodecConfig:
    """Fit the linear codec to the training clips.

    Args:
        data: Corpus folder with `metadata.jsonl`.
        out: Run folder; the codec is written to `out/export`.
        patch: Frames and mel bins of a patch.
        latent_channels: Coefficients kept per patch.
        whitening: Exponent of the normalising scales, 0 to 1.
        clips: Training clips to fit to, evenly spread.
        validation_clips: Held-out clips to measure on.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    data: str = ""
    out: str = ""
    patch: tuple[int, ...] = (8, 32)
    latent_channels: int = 64
    whitening: float = 0.5
    clips: int = 600
    validation_clips: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.data or not self.out:
            raise ValueError("data and out must name folders")
        if len(self.patch) != 2 or min(self.patch) < 1:
            raise ValueError("patch must be two positive numbers, frames and mel bins")
        if self.clips < 1 or self.validation_clips < 1:
            raise ValueError("clips and validation_clips must be positive")


def _mels(clips: list[Triplet], config: MelConfig) -> torch.Tensor:
    transform = MelSpectrogram(config)
    waveforms = (torch.from_numpy(read_crop(clip.audio, config.sample_rate, 0, -1))[None] for clip in clips)
    return torch.cat([transform(waveform).half() for waveform in waveforms])


@torch.no_grad()
def train(config: CodecConfig) -> dict[str, float]:
    """Fit, measure and save.

    Args:
        config: What to do.

    Returns:
        Mean absolute error on held-out clips in nats of log-mel magnitude, and its share of the standard deviation.
    """
    use_threads(config.threads)
    mel_config = MelConfig()
    clips = read_corpus(config.data)
    codec = PatchCodec(config.patch, config.latent_channels)
    mel = _mels(select(clips, "train", config.clips), mel_config).float()
    spread = codec.fit(codec.cut(mel), config.whitening)
    held_out = _mels(select(clips, "validation", config.validation_clips), mel_config).float()
    rebuilt = decode_mel(codec, encode_mel(codec, held_out).mode())
    error = float(functional.l1_loss(rebuilt, held_out))
    result = {
        "l1_nats": round(error * mel_config.log_std, 4),
        "unexplained_variance": round(float((rebuilt - held_out).var() / held_out.var()), 4),
        "spread": [round(float(s), 3) for s in spread],
    }
    folder = Path(config.out)
    codec.save_pretrained(folder / "export")
    (folder / "summary.json").write_text(json.dumps(result, indent=1))
    return result
