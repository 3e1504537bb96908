"""What a picture says: self-attention keys and values taken along its DDIM inversion.

Shape legend: ``batch`` pictures, ``tokens`` positions of one attention layer, ``dim`` its width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin, UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from melfusion_core.models.devices import execution_device
from melfusion_core.models.inversion import ddim_invert, first_timestep, inversion_timesteps
from melfusion_core.models.text import TextCondition

KeyValue = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class ImageFeatures:
    """Keys and values of every decoder self-attention layer, at a few key timesteps.

    Args:
        timesteps: The key timesteps, increasing.
        layers: ``layers[i][l]`` is the pair ``(key, value)`` of layer ``l`` at ``timesteps[i]``, each of shape
            ``(batch, tokens, dim)``; tokens and dim depend on the layer only.
    """

    timesteps: tuple[int, ...]
    layers: tuple[tuple[KeyValue, ...], ...]

    def __post_init__(self) -> None:
        if not self.timesteps or len(self.timesteps) != len(self.layers) or not self.layers[0]:
            raise ValueError(f"{len(self.timesteps)} timesteps do not fit {len(self.layers)} lists of layers")

    def __len__(self) -> int:
        return self.layers[0][0][0].shape[0]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """``(tokens, dim)`` of each layer."""
        return tuple((key.shape[1], key.shape[2]) for key, _ in self.layers[0])

    def at(self, timestep: int | torch.Tensor) -> list[KeyValue]:
        """The features of the nearest key timestep.

        Args:
            timestep: One timestep for all pictures, or one each, of shape ``(batch,)``.

        Returns:
            For each layer the pair ``(key, value)``, each of shape ``(batch, tokens, dim)``. With one timestep for
            all, these are the stored tensors themselves, not copies.

        Raises:
            ValueError: When there is neither one timestep nor one for each picture.
        """
        if isinstance(timestep, torch.Tensor) and timestep.ndim:
            return self._at_each(timestep)
        distances = [abs(int(timestep) - key_timestep) for key_timestep in self.timesteps]
        return list(self.layers[distances.index(min(distances))])

    def _at_each(self, timestep: torch.Tensor) -> list[KeyValue]:
        if timestep.shape != (len(self),):
            raise ValueError(f"expected {len(self)} timesteps, got shape {tuple(timestep.shape)}")
        keys = torch.tensor(self.timesteps, device=timestep.device)
        nearest = (timestep[:, None] - keys).abs().argmin(dim=1).to(self.layers[0][0][0].device)
        chosen = list(self.layers[0])
        for step in range(1, len(self.timesteps)):
            pick = (nearest == step)[:, None, None]
            chosen = [
                (torch.where(pick, new_key, key), torch.where(pick, new_value, value))
                for (key, value), (new_key, new_value) in zip(chosen, self.layers[step], strict=True)
            ]
        return chosen

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ImageFeatures:
        """Move to a device or dtype.

        Args:
            device: Target device; ``None`` keeps it.
            dtype: Target floating-point dtype; ``None`` keeps it.

        Returns:
            The moved features.
        """
        return self._map(lambda tensor: tensor.to(device=device, dtype=dtype))

    def index(self, rows: torch.Tensor | Sequence[int] | slice) -> ImageFeatures:
        """Pick, repeat or reorder pictures.

        Args:
            rows: Indices along the batch axis.

        Returns:
            The features of those pictures.
        """
        if not isinstance(rows, slice):
            rows = torch.as_tensor(rows, device=self.layers[0][0][0].device)
        return self._map(lambda tensor: tensor[rows])

    def _map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> ImageFeatures:
        layers = tuple(tuple((function(key), function(value)) for key, value in step) for step in self.layers)
        return ImageFeatures(self.timesteps, layers)

    @staticmethod
    def concat(features: Sequence[ImageFeatures]) -> ImageFeatures:
        """Join features along the batch axis.

        Args:
            features: Features with equal key timesteps and layer shapes.

        Returns:
            One container.

        Raises:
            ValueError: When there are none, or their timesteps or shapes differ.
        """
        if not features:
            raise ValueError("there are no features to join")
        first = features[0]
        if any(other.timesteps != first.timesteps or other.shapes != first.shapes for other in features):
            raise ValueError("features of different timesteps or layer shapes cannot be joined")
        if len(features) == 1:
            return first
        layers = tuple(
            tuple(
                (
                    torch.cat([other.layers[step][layer][0] for other in features]),
                    torch.cat([other.layers[step][layer][1] for other in features]),
                )
                for layer in range(len(first.layers[step]))
            )
            for step in range(len(first.timesteps))
        )
        return ImageFeatures(first.timesteps, layers)

    def pack(self) -> torch.Tensor:
        """All features of each picture in one row, for storage.

        Returns:
            Tensor of shape ``(batch, values)``: timesteps, then layers, then key before value.
        """
        return torch.cat([part.flatten(1) for step in self.layers for pair in step for part in pair], dim=1)

    @classmethod
    def unpack(
        cls, packed: torch.Tensor, timesteps: Sequence[int], shapes: Sequence[tuple[int, int]]
    ) -> ImageFeatures:
        """Undo :meth:`pack`; the parts are views of the packed tensor.

        Args:
            packed: Tensor of shape ``(batch, values)``.
            timesteps: The key timesteps.
            shapes: ``(tokens, dim)`` of each layer.

        Returns:
            The features.

        Raises:
            ValueError: When the number of values does not fit.
        """
        sizes = [tokens * dim for _ in timesteps for tokens, dim in shapes for _ in range(2)]
        if packed.ndim != 2 or packed.shape[1] != sum(sizes):
            raise ValueError(f"expected shape (batch, {sum(sizes)}), got {tuple(packed.shape)}")
        parts = iter(packed.split(sizes, dim=1))
        layers = tuple(
            tuple((next(parts).unflatten(1, shape), next(parts).unflatten(1, shape)) for shape in map(tuple, shapes))
            for _ in timesteps
        )
        return cls(tuple(int(timestep) for timestep in timesteps), layers)


def decoder_attention_names(unet: UNet2DConditionModel, kind: str) -> list[str]:
    """Names of the attention processors in a UNet's decoder, in module order.

    Where each residual layer is followed by several transformers (AudioLDM2: one for itself and one for each of two
    text encoders), only the last one's cross-attention counts, so that there is one layer per residual layer in every
    UNet: Stable Diffusion, Tango, MusicLDM and AudioLDM2 all have nine, which pair with each other in order.

    Args:
        unet: The UNet.
        kind: ``"attn1"`` for self-attention, ``"attn2"`` for cross-attention.

    Returns:
        Keys of ``unet.attn_processors``.
    """
    names = [name for name in unet.attn_processors if name.startswith("up_blocks.") and name.split(".")[-2] == kind]
    if kind != "attn2":
        return names
    chosen = []
    for name in names:
        _, block_index, _, attention_index = name.split(".")[:4]
        block = unet.up_blocks[int(block_index)]
        group = len(block.attentions) // len(block.resnets)
        if int(attention_index) % group == group - 1:
            chosen.append(name)
    return chosen


class _CaptureProcessor:
    """Plain self-attention that keeps its keys and values when asked."""

    def __init__(self, store: list[KeyValue | None], layer: int) -> None:
        self.store = store
        self.layer = layer
        self.active = False

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        key = attn.to_k(hidden_states)
        value = attn.to_v(hidden_states)
        if self.active:
            self.store[self.layer] = (key, value)
        query = split_heads(attn.to_q(hidden_states), attn.heads)
        attended = F.scaled_dot_product_attention(query, split_heads(key, attn.heads), split_heads(value, attn.heads))
        return attn.to_out[1](attn.to_out[0](merge_heads(attended)))


def split_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Cut the last axis into attention heads.

    Args:
        states: Tensor of shape ``(batch, tokens, dim)``.
        heads: Number of heads; divides dim.

    Returns:
        Tensor of shape ``(batch, heads, tokens, dim // heads)``.
    """
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(states: torch.Tensor) -> torch.Tensor:
    """Undo :func:`split_heads`.

    Args:
        states: Tensor of shape ``(batch, heads, tokens, dim // heads)``.

    Returns:
        Tensor of shape ``(batch, tokens, dim)``.
    """
    return states.transpose(1, 2).flatten(2)


@contextmanager
def _capturing(image_unet: UNet2DConditionModel) -> Iterator[tuple[list[_CaptureProcessor], list[KeyValue | None]]]:
    original = image_unet.attn_processors
    names = decoder_attention_names(image_unet, "attn1")
    store: list[KeyValue | None] = [None] * len(names)
    captures = {name: _CaptureProcessor(store, layer) for layer, name in enumerate(names)}
    image_unet.set_attn_processor({**original, **captures})
    try:
        yield list(captures.values()), store
    finally:
        image_unet.set_attn_processor(dict(original))


def image_patch(image_unet: UNet2DConditionModel) -> int:
    """Side of the square pixel patches that the image UNet sees as channels.

    A pixel-space UNet of 48 channels at 16 x 16 positions (patches of 4 x 4) learns several times more per second
    on a CPU than one of 3 channels at 64 x 64.

    Args:
        image_unet: The image model.

    Returns:
        The side in pixels, 1 when the UNet sees pixels (or latents of its own VAE) as they are.
    """
    side = math.isqrt(image_unet.config.in_channels // 3)
    return side if side > 1 and 3 * side * side == image_unet.config.in_channels else 1


def picture_size(image_unet: UNet2DConditionModel) -> int:
    """Side of the square picture that a pixel-space image UNet sees.

    Args:
        image_unet: The image model.

    Returns:
        The side in pixels.
    """
    return int(image_unet.config.sample_size) * image_patch(image_unet)


def fold_pixels(image_unet: UNet2DConditionModel, pixels: torch.Tensor) -> torch.Tensor:
    """Turn pixel patches into channels, as the image UNet wants them.

    Args:
        image_unet: The image model.
        pixels: Of shape ``(batch, 3, height, width)``.

    Returns:
        Of shape ``(batch, 3 * patch ** 2, height / patch, width / patch)``.
    """
    return F.pixel_unshuffle(pixels, image_patch(image_unet))


def unfold_pixels(image_unet: UNet2DConditionModel, folded: torch.Tensor) -> torch.Tensor:
    """Undo :func:`fold_pixels`.

    Args:
        image_unet: The image model.
        folded: Of shape ``(batch, 3 * patch ** 2, height, width)``.

    Returns:
        Pixels of shape ``(batch, 3, height * patch, width * patch)``.
    """
    return F.pixel_shuffle(folded, image_patch(image_unet))


@torch.no_grad()
def capture_image_features(
    image_unet: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    pixels: torch.Tensor,
    null_text: TextCondition,
    key_timesteps: Sequence[int] = (100, 500),
    num_inversion_steps: int = 5,
    dtype: torch.dtype = torch.float16,
    embedding: torch.Tensor | None = None,
) -> ImageFeatures:
    """Invert pictures and keep the decoder's self-attention keys and values at the key timesteps.

    The features are taken along the inversion itself, so there is no second pass. They depend on the pictures alone.
    The UNet's attention processors are restored afterwards, also after an error.

    Args:
        image_unet: The frozen image model.
        scheduler: Its scheduler.
        pixels: Pictures (or their latents) of shape ``(batch, channels, height, width)``.
        null_text: The empty caption's condition, batch 1.
        key_timesteps: Where features are kept.
        num_inversion_steps: Number of even steps up to the last key timestep; the image model runs about that often.
        dtype: Storage dtype of the features.
        embedding: What the pictures show, of shape ``(batch, dim)``, where the image model is told so; see
            :class:`~melfusion_core.models.picture_encoder.PictureEncoder`.

    Returns:
        Features of all pictures, on the image model's device.

    Raises:
        ValueError: When pixels do not have four axes, null_text does not have batch 1, or there is an embedding for
            an image model that takes none, or none for one that needs it.
    """
    if pixels.ndim != 4:
        raise ValueError(f"expected pixels of shape (batch, channels, height, width), got {tuple(pixels.shape)}")
    if len(null_text) != 1:
        raise ValueError(f"expected one null caption, got {len(null_text)}")
    takes = image_unet.class_embedding is not None
    if takes != (embedding is not None):
        raise ValueError(f"the image model {'needs an' if takes else 'takes no'} embedding")
    wanted = tuple(sorted({int(timestep) for timestep in key_timesteps}))
    parameter = next(image_unet.parameters())
    device = execution_device(image_unet)
    pixels = fold_pixels(image_unet, pixels.to(device, parameter.dtype))
    null_text = null_text.to(device, parameter.dtype).index([0] * len(pixels))
    if embedding is not None:
        embedding = embedding.to(device, parameter.dtype)
    kept: list[tuple[KeyValue, ...]] = []
    with _capturing(image_unet) as (captures, store):

        def predict(sample: torch.Tensor, timestep: int) -> torch.Tensor:
            for capture in captures:
                capture.active = timestep in wanted
            output = image_unet(
                sample,
                timestep,
                encoder_hidden_states=null_text.states,
                encoder_attention_mask=null_text.mask,
                class_labels=embedding,
                return_dict=False,
            )[0]
            if timestep in wanted:
                kept.append(tuple((pair[0].to(dtype), pair[1].to(dtype)) for pair in store if pair is not None))
            return output

        timesteps = inversion_timesteps(wanted, num_inversion_steps, first_timestep(scheduler))
        ddim_invert(predict, pixels, scheduler, timesteps)
    return ImageFeatures(wanted, tuple(kept))
