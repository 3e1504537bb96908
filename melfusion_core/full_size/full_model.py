"""The frozen networks of a full-size pipeline, and the loss of its synapse.

Shape legend: ``batch`` rows, ``samples`` of a waveform, ``channels``/``time``/``frequency`` of a latent.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from melfusion_core.engines.spectrogram.latents import add_coordinates, compression, latents_from_mel
from melfusion_core.full_size.components import load_components
from melfusion_core.full_size.rows import Row
from melfusion_core.full_size.trainable import choose_weights
from melfusion_core.image import image_to_tensor
from melfusion_core.mel import MelSpectrogram
from melfusion_core.models.features import ImageFeatures, capture_image_features, picture_size
from melfusion_core.models.image_latents import encode_pixels
from melfusion_core.models.picture_encoder import embed_pictures
from melfusion_core.models.synapse import install_synapse
from melfusion_core.models.text import MAX_CAPTION_TOKENS, TextCondition, encode_captions, unet_text_arguments
from melfusion_core.training.losses import training_target

NAMES = ("vae", "unet", "image_unet", "synapse", "vocoder", "scheduler", "image_scheduler")
NAMES += ("tokenizer", "text_encoder", "image_vae", "image_null", "image_encoder")
PRECISIONS = {"no": torch.float32, "bf16": torch.bfloat16}


class FullModel:
    """A full-size pipeline's components, arranged for training.

    Args:
        folder: The pipeline's folder.
        device: Where to train.
        mode: What is trained, see :func:`~melfusion_core.full_size.trainable.choose_weights`.
        precision: ``no`` or ``bf16``: dtype of the frozen networks; trained weights are float32.
        duration_s: Length of a clip in seconds.
        peak: Peak that waveforms are scaled to, as the public music models expect; 0 leaves them as they are.
        lora_rank: Rank of low-rank changes.
        lora_alpha: Their scale is this over the rank.
        checkpointing: Whether the UNet recomputes activations to save memory.
        cache_rows: How many rows' latents, captions and picture features are kept in main memory.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        mode: str = "gates",
        precision: str = "no",
        duration_s: float = 10.24,
        peak: float = 0.5,
        lora_rank: int = 16,
        lora_alpha: float = 16.0,
        checkpointing: bool = False,
        cache_rows: int = 0,
    ) -> None:
        parts = load_components(folder, NAMES)
        dtype = PRECISIONS[precision]
        self.device, self.duration_s, self.peak = device, duration_s, peak
        self.index = _settings(folder)
        self.vae, self.vocoder = parts["vae"].to(device), parts["vocoder"]
        frozen = {"device": device} if dtype == torch.float32 else {"device": device, "dtype": dtype}
        to = torch.nn.Module.to  # diffusers' own warns of what is not the case here
        self.image_unet = to(parts["image_unet"], **frozen)
        self.image_vae = None if parts["image_vae"] is None else to(parts["image_vae"], **frozen)
        self.image_null = None if parts["image_null"] is None else parts["image_null"].to(device)
        self.image_encoder = None if parts["image_encoder"] is None else to(parts["image_encoder"], **frozen)
        self.text_encoder, self.tokenizer = parts["text_encoder"].to(device), parts["tokenizer"]
        self.scheduler, self.image_scheduler = parts["scheduler"], parts["image_scheduler"]
        self.unet, self.synapse = parts["unet"].to(device), parts["synapse"].to(device)
        self.trained = choose_weights(self.unet, self.synapse, mode, lora_rank, lora_alpha)
        if checkpointing:
            self.unet.enable_gradient_checkpointing()
        self.handle = install_synapse(self.unet, self.synapse)
        self.spectrogram = MelSpectrogram(self.vocoder.mel_config).to(device)
        self._cache_rows = cache_rows
        self._lengths: dict[int, int] = {}  # of rows' waveforms in samples
        self._caches: dict[str, OrderedDict[Any, Any]] = {
            name: OrderedDict() for name in ("latents", "text", "features")
        }

    @property
    def num_samples(self) -> int:
        """Samples of a clip: as many as whole latent positions that the UNet halves evenly."""
        config = self.spectrogram.config
        unit = 2 ** (len(self.unet.config.block_out_channels) - 1) * compression(self.vae)[0] * config.hop_length
        return -(-round(self.duration_s * config.sample_rate) // unit) * unit

    @property
    def image_size(self) -> int:
        """Side of the square that the image model sees, in pixels."""
        if self.index.get("image_resolution"):
            return int(self.index["image_resolution"])
        if self.image_vae is None:
            return picture_size(self.image_unet)
        return int(self.image_unet.config.sample_size) * 2 ** (len(self.image_vae.config.block_out_channels) - 1)

    @torch.no_grad()
    def latents(self, index: int, row: Row, place: float) -> torch.Tensor:
        """Latents of a row's music: a piece of a longer clip, a shorter one followed by silence.

        Args:
            index: The row's number.
            row: The row.
            place: Which piece, from 0 (the first) to 1.

        Returns:
            Normalised latents of shape ``(1, channels, time, frequency)``, on the CPU.
        """

        waveform = None
        if index not in self._lengths:
            waveform = row.read_audio(self.spectrogram.config.sample_rate)
            self._lengths[index] = len(waveform)
        start = int(place * max(0, self._lengths[index] - self.num_samples))

        def make() -> torch.Tensor:
            whole = row.read_audio(self.spectrogram.config.sample_rate) if waveform is None else waveform
            piece = whole[start : start + self.num_samples]
            piece = piece - piece.mean()
            if self.peak:
                piece = piece * (self.peak / piece.abs().max().clamp_min(1e-8))
            piece = torch.nn.functional.pad(piece, (0, self.num_samples - len(piece)))
            mel = self.spectrogram(piece.unsqueeze(0).to(self.device))
            return latents_from_mel(self.vae, mel.to(self.vae.dtype)).float().cpu()

        return self._kept("latents", (index, start), make)

    @torch.no_grad()
    def text(self, caption: str) -> TextCondition:
        """A caption's condition.

        Args:
            caption: The caption; ``""`` for none.

        Returns:
            The condition, batch 1, on the CPU.
        """
        length = int(self.index.get("max_caption_tokens") or MAX_CAPTION_TOKENS)

        def make() -> TextCondition:
            return encode_captions(self.tokenizer, self.text_encoder, [caption], length).to("cpu")

        return self._kept("text", caption, make)

    @torch.no_grad()
    def features(self, rows: Sequence[tuple[int, Row]]) -> list[ImageFeatures]:
        """Rows' pictures as the synapse sees them: without a cache all at once, with one each by itself.

        Args:
            rows: Numbers and rows.

        Returns:
            Features of each, batch 1, on the CPU.
        """
        if self._cache_rows:
            return [self._kept("features", index, lambda row=row: self._look([row])) for index, row in rows]
        if not rows:
            return []
        found = self._look([row for _, row in rows])
        return [found.index([place]) for place in range(len(rows))]

    def _look(self, rows: Sequence[Row]) -> ImageFeatures:
        images = [row.read_image() for row in rows]
        pixels = torch.stack([image_to_tensor(image, self.image_size) for image in images]).to(self.device)
        null = self.text("") if self.image_null is None else self.image_null.condition()
        config = self.synapse.config
        latents = encode_pixels(self.image_vae, pixels)
        found = capture_image_features(
            self.image_unet, self.image_scheduler, latents, null, config.key_timesteps, config.num_inversion_steps,
            embedding=embed_pictures(self.image_encoder, images),
        )  # fmt: skip
        return found.to("cpu")

    def _kept(self, kind: str, key: Any, make: Callable[[], Any]) -> Any:
        cache = self._caches[kind]
        if key not in cache:
            value = make()
            if not self._cache_rows:
                return value
            cache[key] = value
            while len(cache) > self._cache_rows:
                cache.popitem(last=False)
        cache.move_to_end(key)
        return cache[key]

    def errors(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        texts: Sequence[TextCondition],
        features: Sequence[ImageFeatures | None],
    ) -> torch.Tensor:
        """Squared error of the UNet's prediction of noise, of v, or of the clean latents, as its schedule says.

        Args:
            latents: Clean latents of shape ``(batch, channels, time, frequency)``.
            noise: Same shape.
            timesteps: Of shape ``(batch,)``.
            texts: One condition per row.
            features: One picture per row; None for a row without.

        Returns:
            Mean over each row, of shape ``(batch,)``, float32.
        """
        latents, noise, timesteps = (tensor.to(self.device) for tensor in (latents, noise, timesteps))
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        target = training_target(self.scheduler, latents, noise, timesteps)
        text = TextCondition.concat(texts).to(self.device)
        seen = [picture for picture in features if picture is not None]
        if seen:  # a row without a picture has strength 0, at which the features that stand there do not matter
            moved = [(seen[0] if one is None else one).to(self.device, torch.float32) for one in features]
            picture = ImageFeatures.concat(moved)  # as float32: autocast on a CPU joins no float16
            strengths = [float(one is not None) for one in features]
            self.handle.set(picture.at(timesteps), torch.tensor(strengths, device=self.device))
        else:
            self.handle.clear()
        sample = add_coordinates(noisy, self.unet.config.in_channels)
        prediction = self.unet(sample, timesteps, **unet_text_arguments(self.unet, text), return_dict=False)[0]
        return (prediction.float() - target.float()).square().mean(dim=(1, 2, 3))


def _settings(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
