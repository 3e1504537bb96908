"""Trainer of the music UNet with its visual synapse.

Measured for one step of the mini UNet at batch 16 x 40 frames on a 2-core AMD EPYC (AVX512-BF16), medians: one
thread 1.53 s plain, 1.44 s with fused AdamW, 1.09 s with bf16 autocast, two threads 0.82 s and 0.58 s (channels_last
and torch.compile gained nothing). Processors without BF16 instructions are slower with it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from melfusion_core.audio import save_audio
from melfusion_core.diffusion.guidance import MusicCondition
from melfusion_core.diffusion.sampling import make_scheduler, sample_latents
from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
from melfusion_core.engines.spectrogram.latents import load_codec
from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
from melfusion_core.models.features import KeyValue
from melfusion_core.models.synapse import install_synapse
from melfusion_core.take import TakeSettings
from melfusion_core.training.figures import save_spectrograms
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.losses import dropped, loss_weights, stratified_timesteps, training_target
from melfusion_core.training.music_config import MusicConfig
from melfusion_core.training.optim import parameter_groups
from melfusion_core.training.pairing import PicturePairing
from melfusion_core.training.prepare import PreparedData
from melfusion_core.training.presets import music_scheduler
from melfusion_core.training.start import fresh_networks, load_networks, prepared_for
from melfusion_core.training.views import crop_features


class MusicTask(Task):
    """Denoising of music latents from captions and pictures.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "music"
    averaged = ("unet", "synapse")

    def __init__(self, config: MusicConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.data = PreparedData.load(prepared_for(config, device))
        unet, synapse = load_networks(config.init, self.data) if config.init else fresh_networks(config, self.data)
        self.unet, self.synapse = unet.to(device), synapse.to(device)
        self.handle = install_synapse(self.unet, self.synapse)
        self.scheduler = music_scheduler()
        self.networks = {"unet": self.unet, "synapse": self.synapse}
        gate_rate = config.gate_rate * config.learning_rate
        groups = parameter_groups([self.unet, self.synapse], config.weight_decay, self.synapse.gate_logits, gate_rate)
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
        self.optimizers = {"music": optimizer}
        self.mean = torch.tensor(self.data.latents_mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(self.data.latents_std, device=device).view(1, -1, 1, 1)
        self.rows = self._rows("train")
        self.pairing = self._pairing() if config.pairing_width else None
        held_out = self._rows("validation")
        count = min(config.validation_clips, len(held_out))
        self.held_out = [held_out[i * len(held_out) // count] for i in range(count)]

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw crops and update."""
        config = self.config
        batch, frames = config.batch_size, config.crop_frames
        total = self.data.latents.shape[2]
        if loop.progress >= config.full_from and config.full_from < 1 and frames < total:
            batch, frames = max(1, batch // 2), total
        rates = config.text_dropout, config.image_dropout, config.both_dropout
        chosen = torch.randint(len(self.rows), (batch,), generator=generator).tolist()
        places = torch.rand(4, batch, generator=generator).tolist()
        crops, texts, pictures, strengths, starts = [], [], [], [], []
        for index, place, variant, drop, partner in zip(chosen, *places, strict=True):
            row = self.rows[index]
            clip = self.data.clips[row]
            start = int(place * (total - frames + 1))
            starts.append(start)
            crops.append(torch.from_numpy(self.data.latents[row][:, start : start + frames].astype("float32")))
            without_text, without_image = dropped(drop, *rates)
            texts.append(0 if without_text else self._caption(clip["captions"], variant))
            pictures.append(self._picture(clip, partner))
            strengths.append(0.0 if without_image else 1.0)
        latents = (torch.stack(crops).to(self.device) - self.mean) / self.std
        timesteps = self._timesteps(batch, generator)
        noise = torch.randn(latents.shape, generator=generator)
        features = self.data.features_at(pictures, timesteps, self.device)
        if config.picture_crop < 1:
            side = torch.empty(1).uniform_(config.picture_crop, 1, generator=generator).item()
            features = crop_features(features, side, torch.rand(2, batch, generator=generator))
        with loop.autocast():
            error = self.errors(latents, noise, timesteps, texts, features, strengths, torch.tensor(starts))
        loss = (self._weight(timesteps) * error).mean()
        norm = loop.update("music", loss)
        self.handle.clear()
        return {"loss": loss.detach(), "plain": error.detach().mean(), "norm": norm}

    def validate(self) -> dict[str, float]:
        """Losses on held-out crops under every condition; clips, noise and timesteps never change.

        `picture_gain` is how much worse the loss is with another clip's picture than with the right one, without a
        caption: above 0, the model listens to the picture.
        """
        clips = [self.data.clips[row] for row in self.held_out]
        full, null = [clip["captions"][0] for clip in clips], [0] * len(clips)
        right = [clip["picture"] for clip in clips]
        wrong = right[1:] + right[:1]
        cases = {
            "loss": (full, right, 1.0),
            "loss_text_only": (full, right, 0.0),
            "loss_wrong_picture": (full, wrong, 1.0),
            "loss_image_only": (null, right, 1.0),
            "loss_wrong_image_only": (null, wrong, 1.0),
            "loss_nothing": (null, right, 0.0),
        }
        results = {name: self._validation_loss(*case) for name, case in cases.items()}
        results["picture_gain"] = results["loss_wrong_image_only"] - results["loss_image_only"]
        return results | {f"gate_{layer}": float(gate) for layer, gate in enumerate(self.synapse.gates())}

    def sample(self, folder: Path) -> None:
        """Four held-out clips, what is made from their captions and pictures, and from their captions alone."""
        if not self.config.vae:
            return
        vocoder = ISTFTVocoder.from_pretrained(self.config.vocoder) if self.config.vocoder else ISTFTVocoder()
        engine = SpectrogramEngine(load_codec(self.config.vae), vocoder).to(self.device).eval()
        rows = self.held_out[:4]
        real = torch.from_numpy(self.data.latents[rows].astype("float32")).to(self.device)
        made = [self.generate(rows, strength) for strength in (1.0, 0.0)]
        mels = [engine.mel(latents) for latents in ((real - self.mean) / self.std, *made)]
        save_spectrograms(folder / "real_picture_text.png", mels, engine.mel_config)
        if self.config.vocoder:
            for name, mel in zip(("picture", "text_only"), mels[1:], strict=True):
                for number, audio in enumerate(engine.vocode(mel[:2])):
                    save_audio(folder / f"{number}_{name}.flac", audio, engine.sample_rate)

    def export(self, folder: Path) -> None:
        """Save the averaged networks and the scheduler: `unet`, `synapse`, `scheduler`."""
        self.unet.save_pretrained(folder / "unet")
        self.synapse.save_pretrained(folder / "synapse")
        self.scheduler.save_pretrained(folder / "scheduler")

    def generate(self, rows: list[int], strength: float, seed: int = 3) -> torch.Tensor:
        """Sample clips for the captions and pictures of some clips, as pipelines do.

        Args:
            rows: Rows of the prepared clips.
            strength: Synapse strength.
            seed: Seed of the noise.

        Returns:
            Normalised latents of shape `(rows, channels, time, frequency)`.
        """
        clips, config = [self.data.clips[row] for row in rows], self.config
        condition = MusicCondition(
            self.data.captions.get([clip["captions"][0] for clip in clips], self.device),
            self.data.captions.get([0] * len(rows), self.device),
            same_text=False,
            image=self.data.all_features([clip["picture"] for clip in clips], self.device) if strength else None,
            settings=TakeSettings(
                guidance_scale=config.sample_guidance,
                image_guidance_scale=config.sample_guidance,
                synapse_strength=strength,
            ),
        )
        scheduler = make_scheduler(self.scheduler, "dpm++", config.sample_steps, config.timestep_shift)
        noise = torch.randn(len(rows), *self.data.latents.shape[1:], generator=torch.Generator().manual_seed(seed))
        latents = noise.to(self.device)
        for step in sample_latents(SpectrogramEngine, self.unet, self.handle, [condition], scheduler, latents):
            latents = step.latents
        self.handle.clear()
        return latents

    def errors(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        texts: list[int],
        features: list[KeyValue],
        strengths: list[float],
        starts: torch.Tensor | int = 0,
    ) -> torch.Tensor:
        """Squared error of the prediction for clips at given noise levels.

        Args:
            latents: Normalised latents of shape `(batch, channels, time, frequency)`.
            noise: Same shape.
            timesteps: Of shape `(batch,)`, int64.
            texts: Number of each clip's caption; 0 is the empty one.
            features: For each layer `(key, value)` of the clips' pictures.
            strengths: Synapse strengths.
            starts: First latent frame of each crop, of shape `(batch,)`, or of all.

        Returns:
            Means over channels and positions, of shape `(batch,)`.
        """
        text = self.data.captions.get(texts, self.device)
        noise, timesteps = noise.to(self.device), timesteps.to(self.device)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        target = training_target(self.scheduler, latents, noise, timesteps)
        self.handle.set(features, torch.tensor(strengths, device=self.device))
        prediction = self.unet(
            SpectrogramEngine.model_input(noisy, self.unet.config.in_channels, starts),
            timesteps,
            encoder_hidden_states=text.states,
            encoder_attention_mask=text.mask,
            class_labels=text.pooled,
        ).sample
        return (prediction.float() - target).square().mean(dim=(1, 2, 3))

    def _rows(self, split: str) -> list[int]:
        rows = [row for row, clip in enumerate(self.data.clips) if clip["split"] == split]
        if not rows:
            raise ValueError(f"the prepared data has no clip in split {split!r}")
        return rows[: self.config.limit] if self.config.limit else rows

    def _pairing(self) -> PicturePairing:
        clips = [self.data.clips[row] for row in self.rows]
        if any(not (clip.get("moods") or {}).get(side) for clip in clips for side in ("music", "image")):
            raise ValueError(
                "the prepared data lacks the moods of music and pictures: prepare a corpus that has them, or set "
                "pairing_width 0 to train on the corpus' own pairs"
            )
        self.pictures = [clip["picture"] for clip in clips]
        moods = np.array([clip["moods"]["image"] for clip in clips])
        return PicturePairing(moods, self.config.pairing_width)

    def _picture(self, clip: dict, place: float) -> int:
        if self.pairing is None:
            return clip["picture"]
        return self.pictures[self.pairing.draw(clip["moods"]["music"], place)]

    def _caption(self, captions: list[int], place: float) -> int:
        drawn = []
        for _ in range(self.config.caption_draws):
            index, place = divmod(place * len(captions), 1.0)
            drawn.append(captions[int(index)])
        return max(drawn, key=self.data.captions.length)

    def _timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        total = self.scheduler.config.num_train_timesteps
        return stratified_timesteps(count, total, generator, self.config.timestep_shift)

    def _weight(self, timesteps: torch.Tensor) -> torch.Tensor:
        return loss_weights(self.scheduler, timesteps, self.config.min_snr_gamma).to(self.device)

    def _validation_loss(self, texts: list[int], pictures: list[int], strength: float) -> float:
        frames, count = self.config.crop_frames, len(self.held_out)
        generator = torch.Generator().manual_seed(1)
        timesteps = self._timesteps(count, generator)
        total = 0.0
        for start in range(0, count, 16):
            part = slice(start, min(count, start + 16))
            crops = self.data.latents[self.held_out[part], :, :frames].astype("float32")
            latents = (torch.from_numpy(crops).to(self.device) - self.mean) / self.std
            noise = torch.randn(latents.shape, generator=generator)
            strengths = [strength] * len(latents)
            features = self.data.features_at(pictures[part], timesteps[part], self.device)
            error = self.errors(latents, noise, timesteps[part], texts[part], features, strengths)
            total += float((self._weight(timesteps[part]) * error).sum())
        self.handle.clear()
        return total / count


def train(config: MusicConfig) -> TrainResult:
    """Train the music UNet and the visual synapse.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged networks are in `out/export`.
    """
    loop = TrainLoop(config)
    return loop.run(MusicTask(config, loop.device))
