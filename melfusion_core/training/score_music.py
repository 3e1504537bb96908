"""Trainer of the score engine's music UNet.

``melfusion train score-music --data PREPARED --out RUN --max-minutes 120 --codec RUN/export``
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import ModelMixin, UNet2DConditionModel

from melfusion_core.engines.score.inputs import clean_estimate, fold_rows, meaningful, unet_input
from melfusion_core.engines.score.layout import CHANNELS, FIRST_OCTAVE_ROW, ROWS
from melfusion_core.models.synapse import SynapseHandle, VisualSynapse, install_synapse
from melfusion_core.training.config import TrainConfig
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.losses import dropped, loss_weights, stratified_timesteps
from melfusion_core.training.optim import parameter_groups
from melfusion_core.training.presets import build_score_unet, build_synapse, music_scheduler
from melfusion_core.training.score_data import PreparedScores
from melfusion_core.training.score_known import draw_known
from melfusion_core.training.score_pictures import PreparedPictures, music_facts

ENGINE_FILE = "engine.json"
"""What the engine of an exported model must be told, beside its weights."""


@dataclass(frozen=True)
class ScoreMusicConfig(TrainConfig):
    """Configuration of the score engine's music trainer.

    Args:
        pictures: Folder of ``melfusion train score-pictures``; without it the model hears no pictures.
        crop_beats: Length of a crop.
        long_share: Share of steps with crops twice as long, half as many.
        text_dropout: Share of examples without caption.
        image_dropout: Share of examples without picture.
        both_dropout: Share of examples without either.
        pairing_width: Deviation of the distance on each axis of mood at which pictures are drawn for music.
        pairing_meaning: Weight of what pictures show in that draw.
        gate_rate: Learning rate of the synapse's gates relative to the rest.
        known_share: Share of examples of which something may be known.
        filled_share: Least part of a crop that a passage fills where it is long enough.
        min_snr_gamma: Largest weight of a noise level.
        note_weight: Weight of notes against controls in the loss: most cells hold none.
        timestep_shift: How much noise levels crowd towards the noise.
        width: Channels of the UNet's first level.
        fold: How many rows of the latent image become one; divides 12 into an even number.
        init: Folder of a model to start from, or nothing.
        validation_clips: Held-out crops to measure on.
    """

    batch_size: int = 16
    pictures: str = ""
    crop_beats: int = 16
    long_share: float = 0.0
    text_dropout: float = 0.15
    image_dropout: float = 0.25
    both_dropout: float = 0.10
    pairing_width: float = 0.1
    pairing_meaning: float = 1.0
    gate_rate: float = 10.0
    known_share: float = 0.7
    filled_share: float = 0.75
    min_snr_gamma: float = 5.0
    note_weight: float = 4.0
    timestep_shift: float = 2.0
    width: int = 128
    fold: int = 1
    init: str = ""
    validation_clips: int = 192

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.crop_beats >= 4 and self.crop_beats % 2 == 0, "crop_beats must be even and at least 4")
        self.require(ROWS % self.fold == 0 and (ROWS // self.fold) % 2 == 0, "fold must divide 12 into an even number")
        for name in ("long_share", "known_share", "filled_share"):
            self.require(0 <= getattr(self, name) <= 1, f"{name} must be in [0, 1]")
        rates = (self.text_dropout, self.image_dropout, self.both_dropout)
        self.require(min(rates) >= 0 and sum(rates) <= 1, "dropouts must not be negative, nor more than 1 in sum")


@dataclass
class _Batch:
    """Crops of shape ``(batch, channels, beats, rows)`` with what is known of them, captions, pictures and starts."""

    clean: torch.Tensor
    known: torch.Tensor
    texts: list[int]
    starts: torch.Tensor
    views: np.ndarray | None = None
    strengths: torch.Tensor | None = None


class ScoreMusicTask(Task):
    """Denoising of score latents from captions and whatever else is known.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "score-music"
    averaged: tuple[str, ...] = ("unet",)

    def __init__(self, config: ScoreMusicConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.data = PreparedScores(Path(config.data))
        if config.init:
            self.unet = UNet2DConditionModel.from_pretrained(config.init, subfolder="unet")
        else:
            self.unet = build_score_unet("mini", config.fold, config.width)
        self.unet.to(device)
        self.scheduler = music_scheduler()
        self.weights = meaningful().float()
        self.weights[:, FIRST_OCTAVE_ROW:] *= config.note_weight
        self.networks: dict[str, ModelMixin] = {"unet": self.unet}
        self.pictures = self._pictures("train")
        self.handle = self._connect(self.pictures) if self.pictures else None
        gates = self.handle.synapse.gate_logits if self.handle else None
        rate = config.gate_rate * config.learning_rate
        groups = parameter_groups(list(self.networks.values()), config.weight_decay, gates, rate)
        self.music = music_facts(self.data.clips)
        self.optimizers = {"music": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)}
        self.rows = {n: self.data.rows("train", n // 2) for n in {config.crop_beats, self._long()}}
        held_out = self.data.rows("validation", config.crop_beats)
        count = min(config.validation_clips, len(held_out))
        rng = np.random.default_rng(7)
        chosen = [held_out[i * len(held_out) // count] for i in range(count)]
        self.held_out = self._batch(rng, chosen, config.crop_beats, first_caption=True)
        held_out_pictures = self._pictures("validation")
        if held_out_pictures:
            self.held_out.views = held_out_pictures.draw(self.music, np.array(chosen), rng)

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw crops and update."""
        config = self.config
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        long = rng.random() < config.long_share
        beats, count = (self._long(), config.batch_size // 2) if long else (config.crop_beats, config.batch_size)
        rows = self.rows[beats]
        batch = self._batch(rng, [rows[i] for i in rng.integers(len(rows), size=count)], beats)
        timesteps = self._timesteps(count, generator)
        noise = torch.randn(batch.clean.shape, generator=generator)
        with loop.autocast():
            error = self.errors(batch, noise, timesteps)
        loss = (self._weight(timesteps) * error).mean()
        norm = loop.update("music", loss)
        return {"loss": loss.detach(), "plain": error.detach().mean(), "norm": norm}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Losses on held-out crops; clips, noise, timesteps and what is known never change."""
        batch = self.held_out
        blank = batch.known & (batch.clean == 0).all(dim=(1, 3), keepdim=True)  # what lies outside stays known
        wrong = batch.texts[1:] + batch.texts[:1]
        null = [0] * len(wrong)
        cases: dict[str, tuple[list[int], torch.Tensor, np.ndarray | None]] = {
            "loss": (batch.texts, blank, None),
            "loss_wrong_text": (wrong, blank, None),
            "loss_nothing": (null, blank, None),
            "loss_known": (batch.texts, batch.known, None),
        }
        if batch.views is not None:
            cases["loss_picture"] = (null, blank, batch.views)
            cases["loss_wrong_picture"] = (null, blank, np.roll(batch.views, 1))
        results = {name: self._validation_loss(*case) for name, case in cases.items()}
        if self.handle:
            results["picture_gain"] = results["loss_wrong_picture"] - results["loss_picture"]
            results |= {f"gate_{n}": float(gate) for n, gate in enumerate(self.handle.synapse.gates())}
        return results

    def sample(self, folder: Path) -> None:
        """Nothing here; ``melfusion evaluate`` measures takes."""

    def export(self, folder: Path) -> None:
        """Save the averaged network and the scheduler."""
        for name, network in self.networks.items():
            network.save_pretrained(folder / name)
        self.scheduler.save_pretrained(folder / "scheduler")
        (folder / ENGINE_FILE).write_text(json.dumps({"fold": self.config.fold}))

    def errors(self, batch: _Batch, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Squared error of the prediction where nothing is known.

        Args:
            batch: The crops.
            noise: Of shape ``(batch, channels, beats, rows)``.
            timesteps: Of shape ``(batch,)``, int64.

        Returns:
            Means over channels and positions, of shape ``(batch,)``.
        """
        fold = self.config.fold
        text = self.data.captions.get(batch.texts, self.device)
        clean, known = batch.clean.to(self.device), batch.known.to(self.device)
        timesteps = timesteps.to(self.device)
        noisy = self.scheduler.add_noise(clean, noise.to(self.device), timesteps)
        if self.handle and self.pictures and batch.views is not None and batch.strengths is not None:
            self.handle.set(self.pictures.features_at(batch.views, timesteps, self.device), batch.strengths)
        elif self.handle:
            self.handle.clear()
        alpha = self.scheduler.alphas_cumprod.to(self.device)[timesteps]
        prediction = self.unet(
            unet_input(noisy, clean, known, batch.starts, fold, alpha),
            timesteps,
            encoder_hidden_states=text.states,
            encoder_attention_mask=text.mask,
            class_labels=text.pooled,
        ).sample
        prediction = clean_estimate(prediction, fold_rows(noisy, fold), alpha)
        counts = fold_rows((self.weights.to(self.device).unsqueeze(1) * ~known).float(), fold)
        error = counts * (prediction - fold_rows(clean, fold)).square()
        return error.sum(dim=(1, 2, 3)) / counts.sum(dim=(1, 2, 3)).clamp_min(1.0)

    def _pictures(self, split: str) -> PreparedPictures | None:
        config = self.config
        if not config.pictures:
            return None
        return PreparedPictures(Path(config.pictures), split, config.pairing_width, config.pairing_meaning)

    def _connect(self, pictures: PreparedPictures) -> SynapseHandle:
        """Put a synapse between pictures and the UNet: that of the model to start from, or a new one."""
        folder = Path(self.config.init) / "synapse" if self.config.init else None
        if folder and folder.is_dir():
            synapse = VisualSynapse.from_pretrained(folder)
        else:
            dims = [dim for _, dim in pictures.shapes]
            synapse = build_synapse(self.unet, dims, pictures.key_timesteps, pictures.num_inversion_steps)
        self.networks["synapse"] = synapse.to(self.device)
        self.averaged = ("unet", "synapse")
        return install_synapse(self.unet, synapse)

    def _long(self) -> int:
        return 2 * self.config.crop_beats if self.config.long_share else self.config.crop_beats

    def _batch(self, rng: np.random.Generator, rows: list[int], beats: int, first_caption: bool = False) -> _Batch:
        crops, masks, texts, starts, strengths = [], [], [], [], []
        rates = (self.config.text_dropout, self.config.image_dropout, self.config.both_dropout)
        for row in rows:
            clip = self.data.clips[row]
            # A crop may reach past the end of a short passage: what lies outside is known to be nothing.
            bars = max(clip["beats"] - beats * self.config.filled_share, 0) // clip["beats_per_bar"]
            start = int(rng.integers(int(bars) + 1)) * clip["beats_per_bar"]
            inside = min(clip["beats"] - start, beats)
            crop = torch.zeros(CHANNELS, beats, ROWS)
            crop[:, :inside] = self.data.latents(row, start, inside)
            crops.append(crop)
            starts.append(start)
            mask = torch.ones(CHANNELS, beats, ROWS, dtype=torch.bool)
            some = rng.random() < self.config.known_share or first_caption
            roles = [role for _, role in clip["tracks"]]
            mask[:, :inside] = draw_known(rng, inside, roles) if some else False
            masks.append(mask)
            drop, unseen = dropped(rng.random(), *rates)
            strengths.append(float(not unseen))
            caption = int(rng.integers(len(clip["captions"])))
            texts.append(clip["captions"][0] if first_caption else 0 if drop else clip["captions"][caption])
        known = torch.stack(masks) & meaningful().unsqueeze(1)
        views = self.pictures.draw(self.music, np.array(rows), rng) if self.pictures and not first_caption else None
        return _Batch(torch.stack(crops), known, texts, torch.tensor(starts), views, torch.tensor(strengths))

    def _timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        total = self.scheduler.config.num_train_timesteps
        return stratified_timesteps(count, total, generator, self.config.timestep_shift)

    def _weight(self, timesteps: torch.Tensor) -> torch.Tensor:
        return loss_weights(self.scheduler, timesteps, self.config.min_snr_gamma).to(self.device)

    def _validation_loss(self, texts: list[int], known: torch.Tensor, views: np.ndarray | None) -> float:
        generator = torch.Generator().manual_seed(1)
        batch, total = self.held_out, 0.0
        timesteps = self._timesteps(len(texts), generator)
        for first in range(0, len(texts), 16):
            part = slice(first, first + 16)
            seen = None if views is None else views[part]
            ones = torch.ones(len(texts[part]))
            piece = _Batch(batch.clean[part], known[part], texts[part], batch.starts[part], seen, ones)
            noise = torch.randn(piece.clean.shape, generator=generator)
            error = self.errors(piece, noise, timesteps[part])
            total += float((self._weight(timesteps[part]) * error).sum())
        return total / len(texts)


def train(config: ScoreMusicConfig) -> TrainResult:
    """Train the music UNet.

    Args:
        config: The configuration.

    Returns:
        How it ended.
    """
    loop = TrainLoop(config)
    return loop.run(ScoreMusicTask(config, loop.device))
