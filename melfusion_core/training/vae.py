"""Trainer of the music VAE: ``python -m melfusion_core.training.vae --data CORPUS --out RUN --max-minutes 20``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from melfusion_core.audio import save_audio
from melfusion_core.engines.spectrogram.latents import decode_mel, encode_mel
from melfusion_core.mel import MelConfig, MelSpectrogram
from melfusion_core.training.config import TrainConfig, parse_config
from melfusion_core.training.data import draw_crops, fixed_crops, read_corpus, select
from melfusion_core.training.figures import save_spectrograms
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.losses import gaussian_kl, gradient_loss, multiscale_l1
from melfusion_core.training.optim import parameter_groups
from melfusion_core.training.presets import build_vae


@dataclass(frozen=True)
class VAEConfig(TrainConfig):
    """Train the music VAE on log-mel spectrograms.

    Args:
        size: Network size, ``mini`` or ``tiny``.
        batch_size: Crops per step and process.
        learning_rate: Peak learning rate.
        weight_decay: AdamW's weight decay.
        ema_decay: Decay of the moving average of the weights, after its own warm-up.
        crop_frames: Frames per crop, a multiple of 8.
        kl_weight: Weight of the divergence from the unit Gaussian, in nats per latent element.
        gradient_weight: Weight of the L1 distance between neighbour differences.
        scale_weight: Weight of the L1 distance after pooling.
        validation_clips: Held-out clips to measure on.
        vocoder: Folder of a trained vocoder to make audio samples with; empty for pictures only.
    """

    size: str = "mini"
    batch_size: int = 4
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-3
    ema_decay: float = 0.995
    crop_frames: int = 160
    kl_weight: float = 1e-4
    gradient_weight: float = 0.25
    scale_weight: float = 0.5
    validation_clips: int = 24
    vocoder: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.crop_frames > 0 and self.crop_frames % 8 == 0, "crop_frames must be a multiple of 8")
        self.require(self.kl_weight >= 0 and self.gradient_weight >= 0, "weights must not be negative")
        self.require(self.validation_clips > 0, "validation_clips must be positive")


class VAETask(Task):
    """Reconstruction with a light divergence penalty.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "vae"
    averaged = ("vae",)

    def __init__(self, config: VAEConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.mel_config = MelConfig()
        clips = read_corpus(config.data)
        self.clips = select(clips, "train", config.limit)
        held_out = select(clips, "validation", config.limit)
        self.vae = build_vae(config.size).to(device)
        self.mel = MelSpectrogram(self.mel_config).to(device)
        self.networks = {"vae": self.vae}
        groups = parameter_groups([self.vae], config.weight_decay)
        self.optimizers = {"vae": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))}
        samples = config.crop_frames * self.mel_config.hop_length
        self.held_out = self.mel(fixed_crops(held_out, config.validation_clips, samples, 32000).to(device))
        self.forward_vae = torch.compile(self._forward) if config.compile else self._forward

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw crops and update; see :class:`~melfusion_core.training.loop.Task`.

        Args:
            loop: The training loop.
            generator: CPU generator for every draw.

        Returns:
            Loss terms.
        """
        config, mel_config = self.config, self.mel_config
        samples = config.crop_frames * mel_config.hop_length
        waveform = draw_crops(
            self.clips, generator, config.batch_size, samples, mel_config.hop_length, mel_config.sample_rate
        )
        gain = 10 ** ((torch.rand(len(waveform), 1, generator=generator) * 9.0 - 6.0) / 20)  # -6 to 3 dB
        mel = self.mel((waveform * gain).to(self.device))
        frames, bins = mel.shape[2] // 8, mel.shape[3] // 8
        noise = torch.randn(len(mel), self.vae.config.latent_channels, frames, bins, generator=generator)
        with loop.autocast():
            reconstruction, mean, logvar = self.forward_vae(mel, noise.to(self.device))
        reconstruction, mean, logvar = reconstruction.float(), mean.float(), logvar.float()
        l1 = functional.l1_loss(reconstruction, mel)
        detail = gradient_loss(reconstruction, mel)
        pooled = multiscale_l1(reconstruction, mel)
        kl = gaussian_kl(mean, logvar)
        loss = l1 + config.gradient_weight * detail + config.scale_weight * pooled + config.kl_weight * kl
        norm = loop.update("vae", loss)
        nats = l1.detach() * mel_config.log_std
        return {"loss": loss.detach(), "l1_nats": nats, "detail": detail.detach(), "kl": kl.detach(), "norm": norm}

    def validate(self) -> dict[str, float]:
        """L1 on held-out crops, in nats of log-mel magnitude, and the size of the latents."""
        reconstruction, latents = self._reconstruct(self.held_out)
        return {
            "l1_nats": float(functional.l1_loss(reconstruction, self.held_out)) * self.mel_config.log_std,
            "detail": float(gradient_loss(reconstruction, self.held_out)),
            "latent_std": float(latents.std()),
        }

    def sample(self, folder: Path) -> None:
        """Held-out spectrograms above their reconstructions, and audio of them if there is a vocoder.

        Args:
            folder: Where to write.
        """
        mel = self.held_out[:4]
        reconstruction, _ = self._reconstruct(mel)
        save_spectrograms(folder / "reconstruction.png", [mel, reconstruction], self.mel_config)
        if self.config.vocoder:
            from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder

            vocoder = ISTFTVocoder.from_pretrained(self.config.vocoder).to(self.device)
            for number, audio in enumerate(vocoder(reconstruction)):
                save_audio(folder / f"reconstruction_{number}.flac", audio, self.mel_config.sample_rate)

    def export(self, folder: Path) -> None:
        """Save the averaged network.

        Args:
            folder: Where to write.
        """
        self.vae.save_pretrained(folder)

    def _forward(self, mel: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        posterior = encode_mel(self.vae, mel)
        latents = posterior.mean + posterior.std * noise
        return decode_mel(self.vae, latents), posterior.mean, posterior.logvar

    def _reconstruct(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = [encode_mel(self.vae, part).mode() for part in mel.split(8)]
        return torch.cat([decode_mel(self.vae, part) for part in parts]), torch.cat(parts)


def train(config: VAEConfig) -> TrainResult:
    """Train the music VAE.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged network is in ``out/export``.
    """
    loop = TrainLoop(config)
    return loop.run(VAETask(config, loop.device))


if __name__ == "__main__":
    train(parse_config(VAEConfig, program="python -m melfusion_core.training.vae"))
