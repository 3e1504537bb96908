"""Trainer of the image UNet: ``melfusion train image --data CORPUS --out RUN --max-minutes 20``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional

from melfusion_core.models.features import fold_pixels, picture_size, unfold_pixels
from melfusion_core.models.picture_encoder import ENCODER_FOLDER, PictureEncoder, load_picture_encoder
from melfusion_core.models.text import load_minilm
from melfusion_core.training.captions import CaptionStore, encode_captions
from melfusion_core.training.config import TrainConfig
from melfusion_core.training.data import Clip, bytes_to_pixels, load_pictures, read_corpus, select
from melfusion_core.training.figures import save_pictures
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.losses import min_snr_weight, snr_of, stratified_timesteps, training_target
from melfusion_core.training.optim import parameter_groups
from melfusion_core.training.picture_encoder import embed_all
from melfusion_core.training.presets import build_image_unet, image_scheduler, told_unet


@dataclass(frozen=True)
class ImageConfig(TrainConfig):
    """Train the image UNet on the corpus' pictures and their captions.

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
        embedding_dropout: Fraction of pictures that are shown without their embedding.
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
    embedding_dropout: float = 0.1
    min_snr_gamma: float = 5.0
    validation_pictures: int = 64
    sample_steps: int = 20
    sample_guidance: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.caption_dropout <= 1, "caption_dropout must be in [0, 1]")
        self.require(0 <= self.embedding_dropout <= 1, "embedding_dropout must be in [0, 1]")
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
        self.networks = {"image_unet": self.unet}
        groups = parameter_groups([self.unet], config.weight_decay)
        self.optimizers = {"image_unet": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))}
        clips = read_corpus(config.data)
        train, held_out = select(clips, "train", config.limit), select(clips, "validation", config.limit)
        texts = list(dict.fromkeys(["", *(clip.image_caption for clip in train + held_out)]))
        self.captions: CaptionStore = encode_captions(*load_minilm(), texts)
        self.text_rows = {text: row for row, text in enumerate(texts)}
        # Enough pixels that the smallest crop still fills the network's picture.
        self.pictures, self.picture_captions = self._load(train, round(picture_size(self.unet) / config.smallest_crop))
        held_pictures, self.held_captions = self._load(held_out, picture_size(self.unet))
        count = min(config.validation_pictures, len(held_pictures))
        self.held_pixels = fold_pixels(self.unet, bytes_to_pixels(held_pictures[:count]).to(device))
        self.held_captions = self.held_captions[:count]
        self.embeddings = self._embed(self.pictures, "train")
        self.held_embeddings = self._embed(held_pictures[:count], "validation")

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw pictures and update; see :class:`~melfusion_core.training.loop.Task`.

        Args:
            loop: The training loop.
            generator: CPU generator for every draw.

        Returns:
            Loss terms.
        """
        batch = self.config.batch_size
        rows = torch.randint(len(self.pictures), (batch,), generator=generator)
        pixels = bytes_to_pixels(self.pictures[rows])
        pixels = random_views(pixels, picture_size(self.unet), self.config.smallest_crop, generator)
        pixels = fold_pixels(self.unet, pixels)
        dropped = (torch.rand(batch, generator=generator) < self.config.caption_dropout).tolist()
        texts = [0 if drop else self.picture_captions[row] for row, drop in zip(rows.tolist(), dropped, strict=True)]
        timesteps = stratified_timesteps(batch, self.scheduler.config.num_train_timesteps, generator)
        noise = torch.randn(pixels.shape, generator=generator)
        embeddings = None
        if self.embeddings is not None:
            kept = torch.rand(batch, 1, generator=generator) >= self.config.embedding_dropout
            embeddings = self.embeddings[rows] * kept
        with loop.autocast():
            loss, plain = self._loss(pixels.to(self.device), noise, timesteps, texts, embeddings)
        norm = loop.update("image_unet", loss)
        return {"loss": loss.detach(), "plain": plain.detach(), "norm": norm}

    def validate(self) -> dict[str, float]:
        """Weighted loss on held-out pictures with and without captions and, where they are told, embeddings; noise and
        timesteps never change."""
        generator = torch.Generator().manual_seed(1)
        count = len(self.held_pixels)
        noise = torch.randn(self.held_pixels.shape, generator=generator)
        timesteps = stratified_timesteps(count, self.scheduler.config.num_train_timesteps, generator)
        told, nothing = self.held_embeddings, [0] * count
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
        """Held-out pictures above pictures made from their captions alone.

        Args:
            folder: Where to write.
        """
        count = min(8, len(self.held_pixels))
        made = self._generate(self.held_captions[:count])
        rows = (self.held_pixels[:count], made)
        save_pictures(folder / "pictures.png", [unfold_pixels(self.unet, row) for row in rows])

    def export(self, folder: Path) -> None:
        """Save the averaged network, and in folders inside the scheduler and the picture encoder, if it has one.

        Args:
            folder: Where to write.
        """
        self.unet.save_pretrained(folder)
        self.scheduler.save_pretrained(folder / "scheduler")
        if self.encoder is not None:
            self.encoder.save_pretrained(folder / ENCODER_FOLDER)

    def _load(self, clips: list[Clip], size: int) -> tuple[torch.Tensor, list[int]]:
        pictures, rows = load_pictures(clips, size)
        captions = {clip.image: clip.image_caption for clip in clips}
        return pictures, [self.text_rows[captions[path]] for path in rows]

    def _embed(self, pictures: torch.Tensor, name: str) -> torch.Tensor | None:
        """Embeddings of whole pictures, kept in the run folder: they take minutes."""
        if self.encoder is None:
            return None
        path = self.config.out_folder / f"embeddings_{name}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npy")
            np.save(part, embed_all(self.encoder.to(self.device), pictures, picture_size(self.unet)).numpy())
            part.replace(path)
        return self.encoder.cpu().tell(torch.from_numpy(np.load(path, allow_pickle=False)))

    def _loss(
        self,
        pixels: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        texts: list[int],
        embeddings: torch.Tensor | None,
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
            class_labels=None if embeddings is None else embeddings.to(self.device),
        ).sample
        error = (prediction.float() - target).square().mean(dim=(1, 2, 3))
        snr = snr_of(self.scheduler.alphas_cumprod, timesteps.cpu()).to(self.device)
        weight = min_snr_weight(snr, self.config.min_snr_gamma, self.scheduler.config.prediction_type)
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


def random_views(pixels: torch.Tensor, size: int, smallest: float, generator: torch.Generator) -> torch.Tensor:
    """Random square crops, half of them mirrored, resized to one size.

    Args:
        pixels: Pictures of shape ``(batch, 3, height, width)``.
        size: Side of the result in pixels.
        smallest: Side of the smallest crop relative to the picture's, in (0, 1].
        generator: CPU generator.

    Returns:
        Pictures of shape ``(batch, 3, size, size)``.
    """
    count = len(pixels)
    scale = smallest + (1 - smallest) * torch.rand(count, generator=generator)
    shift = (1 - scale).unsqueeze(1) * (2 * torch.rand(count, 2, generator=generator) - 1)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0], transform[:, 1, 1], transform[:, :, 2] = scale * mirror, scale, shift
    grid = functional.affine_grid(transform, [count, 3, size, size], align_corners=False)
    return functional.grid_sample(pixels, grid.to(pixels), mode="bilinear", padding_mode="border", align_corners=False)


def train(config: ImageConfig) -> TrainResult:
    """Train the image UNet.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged network is in ``out/export``.
    """
    loop = TrainLoop(config)
    return loop.run(ImageTask(config, loop.device))
