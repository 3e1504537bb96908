"""Trainer of the image UNet: ``melfusion train image --data PICTURES --out RUN --max-minutes 20``.

The visual synapse hears what the image model is told only as far as that moves the keys and values of its decoder,
and denoising hardly needs it. So two things make the network pass it on: pictures are often told another picture's
mood or meaning, and linear readers of each layer's mean key and mean value have to recover what was told. The readers
are thrown away afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn import functional

from melfusion_core.data.corpus import read_corpus, select
from melfusion_core.models.features import decoder_attention_names, fold_pixels, picture_size, unfold_pixels
from melfusion_core.models.picture_encoder import ENCODER_FOLDER, MOOD_AXES, PictureEncoder, load_picture_encoder
from melfusion_core.models.text import load_minilm
from melfusion_core.training.captions import CaptionStore, encode_captions
from melfusion_core.training.config import TrainConfig
from melfusion_core.training.data import bytes_to_pixels
from melfusion_core.training.figures import save_pictures
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.losses import loss_weights, stratified_timesteps, training_target
from melfusion_core.training.optim import parameter_groups
from melfusion_core.training.picture_bank import PictureBank, is_picture_bank
from melfusion_core.training.presets import build_image_unet, image_scheduler, told_unet
from melfusion_core.training.told import corpus_pictures


@dataclass(frozen=True)
class ImageConfig(TrainConfig):
    """Train the image UNet on pictures and their captions: a corpus', or a bank's (`melfusion train pictures`).

    Args:
        size: Network size, ``mini`` or ``tiny``.
        batch_size: Pictures per step and process.
        learning_rate: Peak learning rate.
        ema_decay: Decay of the moving average of the weights, after its own warm-up.
        caption_dropout: Fraction of pictures that are shown without their caption.
        smallest_crop: Side of the smallest random crop relative to the picture's; 1 shows whole pictures only.
        init: Folder of an image UNet to start from instead of random weights.
        encoder: Folder of a picture encoder, whose embeddings the network is told from now on; empty for the one that
            ``init`` has, if any.
        embedding_dropout: Fraction of pictures that are told nothing.
        redrawn: Fraction of pictures that are told another's mood, and another's meaning.
        listening: Weight of the loss of the readers that recover what was told.
        min_snr_gamma: Gamma of the min-SNR weighting.
        validation_pictures: Held-out pictures to measure on.
        sample_steps: Denoising steps of the samples.
        sample_guidance: Guidance scale of the samples.
    """

    size: str = "mini"
    batch_size: int = 16
    learning_rate: float = 6e-4
    ema_decay: float = 0.998
    caption_dropout: float = 0.15
    smallest_crop: float = 0.65
    init: str = ""
    encoder: str = ""
    embedding_dropout: float = 0.07
    redrawn: float = 0.35
    listening: float = 0.1
    min_snr_gamma: float = 5.0
    validation_pictures: int = 64
    sample_steps: int = 20
    sample_guidance: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.caption_dropout <= 1, "caption_dropout must be in [0, 1]")
        for name in ("embedding_dropout", "redrawn"):
            self.require(0 <= getattr(self, name) <= 1, f"{name} must be in [0, 1]")
        self.require(self.listening >= 0, "listening must not be negative")
        self.require(not self.init or self.size == ImageConfig.size, "init brings its own size")
        self.require(0 < self.smallest_crop <= 1, "smallest_crop must be in (0, 1]")
        self.require(self.min_snr_gamma > 0, "min_snr_gamma must be positive")
        self.require(self.validation_pictures > 0 and self.sample_steps > 0, "counts must be positive")


class ImageTask(Task):
    """Denoising of small pictures.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "image"
    averaged = ("image_unet",)

    def __init__(self, config: ImageConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.unet, self.encoder = image_networks(config.size, config.init, config.encoder)
        dropout = config.embedding_dropout
        config.require(
            self.encoder is not None or dropout == ImageConfig.embedding_dropout, "embedding_dropout needs an encoder"
        )
        self.unet.to(device)
        self.scheduler = image_scheduler()
        self.networks, groups = {"image_unet": self.unet}, parameter_groups([self.unet], config.weight_decay)
        self.listeners = None
        if self.encoder is not None and config.listening:
            self.listeners = Listeners(self.unet, self.encoder.dim).to(device)
            groups += [{"params": list(self.listeners.parameters()), "weight_decay": 0.0}]
            self.networks["listeners"] = self.listeners
        self.optimizers = {"image_unet": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))}
        # Enough pixels that the smallest crop still fills the network's picture.
        side = round(picture_size(self.unet) / config.smallest_crop)
        train, held = picture_sets(config, self.encoder, side)
        texts = list(dict.fromkeys(["", *train.captions, *held.captions]))
        self.captions: CaptionStore = encode_captions(*load_minilm(), texts)
        rows = {text: row for row, text in enumerate(texts)}
        self.train_set, self.train_captions = train, [rows[text] for text in train.captions]
        count = min(config.validation_pictures, len(held))
        chosen = [row * len(held) // count for row in range(count)]
        pixels = bytes_to_pixels(held.pictures[chosen])
        size = picture_size(self.unet)
        pixels = functional.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(-1.0, 1.0)
        self.held_pixels = fold_pixels(self.unet, pixels.to(device))
        self.held_captions = [rows[held.captions[row]] for row in chosen]
        self.held_told = None if self.encoder is None else held.told[chosen]

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw pictures and update."""
        batch, size = self.config.batch_size, picture_size(self.unet)
        pixels, rows = self.train_set.draw(batch, size, self.config.smallest_crop, generator)
        pixels = fold_pixels(self.unet, pixels)
        dropped = (torch.rand(batch, generator=generator) < self.config.caption_dropout).tolist()
        texts = [0 if drop else self.train_captions[row] for row, drop in zip(rows.tolist(), dropped, strict=True)]
        timesteps = stratified_timesteps(batch, self.scheduler.config.num_train_timesteps, generator)
        noise = torch.randn(pixels.shape, generator=generator)
        told = None if self.encoder is None else self._tell(rows, generator)
        with loop.autocast():
            loss, plain = self._loss(pixels.to(self.device), noise, timesteps, texts, told)
        terms = {"loss": loss.detach(), "plain": plain.detach()}
        if self.listeners is not None:
            unheard = self.listeners.unheard(told.to(self.device))
            terms |= {"mood": unheard[0].detach(), "meaning": unheard[1].detach()}
            loss = loss + self.config.listening * unheard.sum()
        return terms | {"norm": loop.update("image_unet", loss)}

    def validate(self) -> dict[str, float]:
        """Weighted loss on held-out pictures with and without captions and, where they are told, embeddings; noise and
        timesteps never change."""
        generator = torch.Generator().manual_seed(1)
        count = len(self.held_pixels)
        noise = torch.randn(self.held_pixels.shape, generator=generator)
        timesteps = stratified_timesteps(count, self.scheduler.config.num_train_timesteps, generator)
        told, nothing = self.held_told, [0] * count
        cases = {"loss": (self.held_captions, told), "loss_without_caption": (nothing, told)}
        if told is not None:
            cases["loss_without_embedding"] = (self.held_captions, torch.zeros_like(told))
        results = {}
        for name, (texts, embeddings) in cases.items():
            parts = []
            for start in range(0, count, 16):
                rows = slice(start, start + 16)
                known = None if embeddings is None else embeddings[rows]
                loss, _ = self._loss(self.held_pixels[rows], noise[rows], timesteps[rows], texts[rows], known)
                parts += [float(loss)] * len(texts[rows])
            results[name] = sum(parts) / count
        return results

    def sample(self, folder: Path) -> None:
        """Held-out pictures above pictures made from their captions alone."""
        count = min(8, len(self.held_pixels))
        made = self._generate(self.held_captions[:count])
        rows = (self.held_pixels[:count], made)
        save_pictures(folder / "pictures.png", [unfold_pixels(self.unet, row) for row in rows])

    def export(self, folder: Path) -> None:
        """Save the averaged network, and in folders inside the scheduler and the picture encoder, if it has one."""
        self.unet.save_pretrained(folder)
        self.scheduler.save_pretrained(folder / "scheduler")
        if self.encoder is not None:
            self.encoder.save_pretrained(folder / ENCODER_FOLDER)

    def _tell(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mood and meaning of each picture, its own or another's, or nothing."""
        count, moods = len(rows), len(MOOD_AXES)
        parts = []
        for part in (self.train_set.moods, self.train_set.meanings):
            other = torch.rand(count, generator=generator) < self.config.redrawn
            drawn = torch.randint(len(part), (count,), generator=generator)
            parts.append(part[torch.where(other, drawn, rows)])
        even = torch.randn(count, moods, generator=generator)  # moods that few pictures have
        drawn_evenly = torch.rand(count, 1, generator=generator) < self.config.redrawn / 2
        parts[0] = torch.where(drawn_evenly, even, parts[0])
        heard = torch.rand(count, 1, generator=generator) >= self.config.embedding_dropout
        return torch.cat(parts, dim=1) * heard

    def _loss(
        self,
        pixels: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        texts: list[int],
        told: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        noise, timesteps = noise.to(self.device), timesteps.to(self.device)
        text = self.captions.get(texts, self.device)
        noisy = self.scheduler.add_noise(pixels, noise, timesteps)
        target = training_target(self.scheduler, pixels, noise, timesteps)
        prediction = self.unet(
            noisy,
            timesteps,
            encoder_hidden_states=text.states,
            encoder_attention_mask=text.mask,
            class_labels=None if told is None else told.to(self.device),
        ).sample
        error = (prediction.float() - target).square().mean(dim=(1, 2, 3))
        weight = loss_weights(self.scheduler, timesteps, self.config.min_snr_gamma)
        return (weight * error).mean(), error.mean()

    def _generate(self, texts: list[int]) -> torch.Tensor:
        count, size = len(texts), self.unet.config.sample_size
        scheduler = image_scheduler()
        scheduler.set_timesteps(self.config.sample_steps)
        text = self.captions.get(texts + [0] * count, self.device)
        told = None if self.encoder is None else torch.zeros(2 * count, self.encoder.dim, device=self.device)
        pixels = torch.randn(
            count, self.unet.config.in_channels, size, size, generator=torch.Generator().manual_seed(2)
        ).to(self.device)
        for timestep in scheduler.timesteps:
            both = self.unet(
                pixels.repeat(2, 1, 1, 1),
                timestep,
                encoder_hidden_states=text.states,
                encoder_attention_mask=text.mask,
                class_labels=told,
            ).sample
            with_text, without = both.chunk(2)
            guided = without + self.config.sample_guidance * (with_text - without)
            pixels = scheduler.step(guided, timestep, pixels).prev_sample
        return pixels


class Listeners(nn.Module):
    """Linear readers of what an image UNet was told, one for the mean key and one for the mean value of each layer.

    Args:
        unet: The UNet; its decoder's self-attention is watched.
        dim: How many numbers it is told.
    """

    def __init__(self, unet: UNet2DConditionModel, dim: int) -> None:
        super().__init__()
        names = decoder_attention_names(unet, "attn1")
        layers = [unet.get_submodule(name.removesuffix(".processor")) for name in names]
        watched = [part for layer in layers for part in (layer.to_k, layer.to_v)]
        self.readers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(part.out_features, elementwise_affine=False), nn.Linear(part.out_features, dim))
            for part in watched
        )
        self._means: dict[int, torch.Tensor] = {}
        for place, part in enumerate(watched):
            part.register_forward_hook(lambda _, __, output, place=place: self._keep(place, output))

    def _keep(self, place: int, output: torch.Tensor) -> None:
        self._means[place] = output.mean(dim=1).float()

    def unheard(self, told: torch.Tensor) -> torch.Tensor:
        """What the readers miss of what was told in the last pass.

        Args:
            told: Of shape ``(batch, dim)``.

        Returns:
            Mean squared errors of mood and of meaning over all readers, of shape ``(2,)``; 1 is as bad as a guess.
        """
        errors = torch.stack([reader(self._means[place]) - told for place, reader in enumerate(self.readers)]).square()
        return torch.stack([errors[..., : len(MOOD_AXES)].mean(), errors[..., len(MOOD_AXES) :].mean()])


def picture_sets(config: ImageConfig, encoder: PictureEncoder | None, side: int) -> tuple[PictureBank, PictureBank]:
    """Pictures to train and to validate on.

    Args:
        config: Where they are.
        encoder: Reads a corpus' pictures, where the network is told what they show.
        side: Side in pixels that a corpus' pictures are brought to.

    Returns:
        Those of the train and of the validation split.

    Raises:
        ValueError: When a bank was read by an encoder that tells more or less.
    """
    if not is_picture_bank(config.data):
        clips = read_corpus(config.data)
        train, held = (
            corpus_pictures(select(clips, split, config.limit), side, encoder) for split in ("train", "validation")
        )
        return train, held
    bank = PictureBank.load(config.data)
    if encoder is not None and bank.told.shape[1] != encoder.dim:
        raise ValueError(f"the bank tells {bank.told.shape[1]} numbers, and the encoder {encoder.dim}")
    return bank.part("train"), bank.part("validation")


def image_networks(size: str, init: str, encoder: str) -> tuple[UNet2DConditionModel, PictureEncoder | None]:
    """Make or load the image UNet and the encoder that tells it what pictures show.

    Args:
        size: ``mini`` or ``tiny``, for a new network.
        init: Folder of a network to start from; empty for a new one.
        encoder: Folder of a picture encoder; empty for the one that ``init`` has, if any.

    Returns:
        The network and the encoder; the latter is frozen, or None.

    Raises:
        ValueError: When the encoder tells more or less than the network listens to.
    """
    found = None
    if encoder:
        found = PictureEncoder.from_pretrained(encoder, torch_dtype=torch.float32).eval().requires_grad_(False)
    unet = UNet2DConditionModel.from_pretrained(init, torch_dtype=torch.float32) if init else build_image_unet(size)
    if unet.class_embedding is None:
        return (unet if found is None else told_unet(unet, found.dim)), found
    found = found or load_picture_encoder(init, unet)
    wanted = unet.config.projection_class_embeddings_input_dim
    if found.dim != wanted:
        raise ValueError(f"the image model in {init} is told {wanted} numbers, and the encoder tells {found.dim}")
    return unet, found


def train(config: ImageConfig) -> TrainResult:
    """Train the image UNet.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged network is in ``out/export``.
    """
    loop = TrainLoop(config)
    return loop.run(ImageTask(config, loop.device))
