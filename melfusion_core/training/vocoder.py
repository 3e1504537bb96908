"""Trainer of the vocoder: `melfusion train vocoder --data CORPUS --out RUN --max-minutes 35`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from melfusion_core.audio import save_audio
from melfusion_core.data.corpus import read_corpus, select
from melfusion_core.engines.spectrogram.distances import stft_distances
from melfusion_core.engines.spectrogram.latents import decode_mel, encode_mel, load_codec
from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
from melfusion_core.mel import MelSpectrogram
from melfusion_core.training.config import TrainConfig
from melfusion_core.training.data import draw_crops, fixed_crops
from melfusion_core.training.discriminator import SpectrumDiscriminator
from melfusion_core.training.figures import save_spectrograms
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.losses import (
    feature_matching_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from melfusion_core.training.optim import parameter_groups
from melfusion_core.training.presets import build_vocoder

LEVEL_FLOOR = 1e-3
LEVEL_SCALE = 4.0


@dataclass(frozen=True)
class VocoderConfig(TrainConfig):
    """Train the vocoder to turn log-mel spectrograms into linear-frequency spectra.

    Args:
        size: Network size, `mini` or `tiny`.
        batch_size: Crops per step and process.
        learning_rate: Peak learning rate.
        ema_decay: Decay of the moving average of the weights, after its own warm-up.
        crop_frames: Frames per crop.
        linear_weight: Weight of the relative error of the magnitudes.
        mel_weight: Weight of the L1 distance of the log-mel spectrum that the prediction has.
        adversarial_start: Fraction of the run after which the discriminator takes part; 1 leaves it out.
        adversarial_weight: Weight of the discriminator's verdict.
        feature_weight: Weight of feature matching.
        mel_noise: Largest standard deviation of noise added to the input, in normalised units, so that the vocoder
            forgives what the music model gets wrong.
        vae: Folder of the codec; the vocoder then learns to restore what it loses. Empty: clean spectrograms only.
        codec_share: Fraction of crops that pass through the codec.
        init: Folder of a vocoder to start from instead of random weights.
        validation_clips: Held-out clips to measure on.
        validation_frames: Frames of each.
    """

    size: str = "mini"
    batch_size: int = 12
    learning_rate: float = 1e-3
    ema_decay: float = 0.998
    crop_frames: int = 64
    linear_weight: float = 0.5
    mel_weight: float = 0.5
    adversarial_start: float = 0.45
    adversarial_weight: float = 0.1
    feature_weight: float = 0.2
    mel_noise: float = 0.03
    vae: str = ""
    codec_share: float = 0.8
    init: str = ""
    validation_clips: int = 16
    validation_frames: int = 160

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.crop_frames > 2 and self.validation_frames > 2, "crops must be longer than 2 frames")
        self.require(0 <= self.adversarial_start <= 1, "adversarial_start must be in [0, 1]")
        self.require(0 <= self.codec_share <= 1, "codec_share must be in [0, 1]")
        self.require(bool(self.vae) or self.codec_share == VocoderConfig.codec_share, "codec_share needs vae")
        self.require(self.mel_noise >= 0, "mel_noise must not be negative")


class VocoderTask(Task):
    """Magnitude regression, then a discriminator for the texture that regression blurs.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "vocoder"
    averaged = ("vocoder",)

    def __init__(self, config: VocoderConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        clips = read_corpus(config.data)
        self.clips = select(clips, "train", config.limit)
        held_out = select(clips, "validation", config.limit)
        self.vocoder = ISTFTVocoder.from_pretrained(config.init) if config.init else build_vocoder(config.size)
        self.vocoder.to(device)
        self.codec = load_codec(config.vae).to(device).eval().requires_grad_(False) if config.vae else None
        self.discriminator = SpectrumDiscriminator(channels=16 if config.size == "mini" else 4).to(device)
        self.mel_config = self.vocoder.mel_config
        self.mel = MelSpectrogram(self.mel_config).to(device)
        self.networks = {"vocoder": self.vocoder, "discriminator": self.discriminator}
        groups = parameter_groups([self.vocoder], config.weight_decay)
        critic = parameter_groups([self.discriminator], config.weight_decay)
        self.optimizers = {
            "vocoder": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.8, 0.98)),
            "discriminator": torch.optim.AdamW(critic, lr=0.5 * config.learning_rate, betas=(0.5, 0.9)),
        }
        samples = config.validation_frames * self.mel_config.hop_length
        self.held_out = fixed_crops(held_out, config.validation_clips, samples, self.mel_config.sample_rate).to(device)

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw crops and update."""
        config, mel_config = self.config, self.mel_config
        samples = config.crop_frames * mel_config.hop_length
        waveform = draw_crops(
            self.clips, generator, config.batch_size, samples, mel_config.hop_length, mel_config.sample_rate
        )
        gain = 10 ** ((torch.rand(len(waveform), 1, generator=generator) * 18.0 - 12.0) / 20)  # -12 to 6 dB
        waveform = (waveform * gain).to(self.device)
        spectrum = self._magnitude(waveform)
        mel = self.mel(waveform)
        seen = mel
        coded = (torch.rand(len(mel), 1, 1, 1, generator=generator) < config.codec_share).to(self.device)
        if self.codec is not None:
            seen = torch.where(coded, self._through_codec(mel), mel)
        noise = torch.randn(mel.shape, generator=generator) * torch.rand(len(mel), 1, 1, 1, generator=generator)
        with loop.autocast():
            level = self.vocoder.log_magnitude(seen + config.mel_noise * noise.to(self.device)).float()
        log_l1 = self._log_distance(level, spectrum)
        predicted = level.clamp(max=12.0).exp()
        linear = self._relative_error(predicted, spectrum)
        rebuilt = (predicted @ self.mel.filters).clamp_min(mel_config.log_floor).log()
        mel_l1 = functional.l1_loss(self.mel.normalise(rebuilt), mel[:, 0])
        loss = log_l1 + config.linear_weight * linear + config.mel_weight * mel_l1
        zero = torch.zeros((), device=self.device)
        verdict = matching = critic = zero
        if loop.progress >= config.adversarial_start and config.adversarial_start < 1:
            real, fake = self._scaled(spectrum.clamp_min(LEVEL_FLOOR).log()), self._scaled(level)
            critic = self._update_discriminator(loop, real, fake.detach())
            verdict, matching = self._judge(loop, real, fake)
            ramp = min(1.0, (loop.progress - config.adversarial_start) / 0.05)
            loss = loss + ramp * (config.adversarial_weight * verdict + config.feature_weight * matching)
        norm = loop.update("vocoder", loss)
        metrics = {"loss": loss, "log_l1": log_l1, "linear": linear, "mel_l1": mel_l1}
        metrics |= {"verdict": verdict, "matching": matching, "critic": critic, "norm": norm}
        return {name: value.detach() for name, value in metrics.items()}

    def validate(self) -> dict[str, float]:
        """Distances of spectra and of finished audio on held-out crops, clean and, with a codec, coded ones."""
        mel = self.mel(self.held_out)
        results = self._distances(mel, mel)
        if self.codec is not None:
            coded = self._distances(self._through_codec(mel), mel)
            results |= {f"coded_{name}": value for name, value in coded.items()}
        return results

    def sample(self, folder: Path) -> None:
        """Held-out clips and their resynthesis, as audio and spectrograms."""
        waveform = self.held_out[:4]
        mel = self.mel(waveform)
        audio = self.vocoder(mel if self.codec is None else self._through_codec(mel))
        save_spectrograms(folder / "resynthesis.png", [mel, self.mel(audio)], self.mel_config)
        for number, (original, made) in enumerate(zip(waveform, audio, strict=True)):
            save_audio(folder / f"{number}_original.flac", original, self.mel_config.sample_rate)
            save_audio(folder / f"{number}_resynthesis.flac", made, self.mel_config.sample_rate)

    def export(self, folder: Path) -> None:
        """Save the averaged network."""
        self.vocoder.save_pretrained(folder)

    def _through_codec(self, mel: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return decode_mel(self.codec, encode_mel(self.codec, mel).mode())

    def _distances(self, seen: torch.Tensor, mel: torch.Tensor) -> dict[str, float]:
        spectrum = self._magnitude(self.held_out)
        level = self.vocoder.log_magnitude(seen)
        audio = self.vocoder(seen)
        stft = [stft_distances(one, other) for one, other in zip(self.held_out, audio, strict=True)]
        stft_convergence, stft_log = (sum(values) / len(stft) for values in zip(*stft, strict=True))
        return {
            "log_l1": float(self._log_distance(level, spectrum)),
            "linear": float(self._relative_error(level.exp(), spectrum)),
            "stft_log_l1": stft_log,
            "stft_convergence": stft_convergence,
            "mel_l1_nats": float(functional.l1_loss(self.mel(audio), mel)) * self.mel_config.log_std,
        }

    def _magnitude(self, waveform: torch.Tensor) -> torch.Tensor:
        config = self.mel_config
        spectrum = torch.stft(
            waveform,
            config.n_fft,
            config.hop_length,
            window=self.mel.window,
            pad_mode="reflect",
            return_complex=True,
        )
        return spectrum[..., :-1].abs().transpose(1, 2)

    @staticmethod
    def _scaled(level: torch.Tensor) -> torch.Tensor:
        return level.clamp_min(torch.tensor(LEVEL_FLOOR).log().item()) / LEVEL_SCALE

    @staticmethod
    def _log_distance(level: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
        floor = torch.tensor(LEVEL_FLOOR).log().item()
        return functional.l1_loss(level.clamp_min(floor), spectrum.clamp_min(LEVEL_FLOOR).log())

    @staticmethod
    def _relative_error(predicted: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
        error = (predicted - spectrum).square().sum(dim=(1, 2))
        return (error / spectrum.square().sum(dim=(1, 2)).clamp_min(1.0) + 1e-8).sqrt().mean()

    def _update_discriminator(self, loop: TrainLoop, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        with loop.autocast():
            scores, _ = self.discriminator(torch.cat([real, fake]))
        halves = [part.float().chunk(2) for part in scores]
        loss = hinge_discriminator_loss([half[0] for half in halves], [half[1] for half in halves])
        loop.update("discriminator", loss)
        return loss

    def _judge(self, loop: TrainLoop, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.discriminator.requires_grad_(False)
        with loop.autocast():
            with torch.no_grad():
                _, wanted = self.discriminator(real)
            scores, features = self.discriminator(fake)
        self.discriminator.requires_grad_(True)
        verdict = hinge_generator_loss([part.float() for part in scores])
        return verdict, feature_matching_loss(wanted, features).float()


def train(config: VocoderConfig) -> TrainResult:
    """Train the vocoder.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged network is in `out/export`.
    """
    loop = TrainLoop(config)
    return loop.run(VocoderTask(config, loop.device))
