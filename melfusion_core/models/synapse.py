"""The visual synapse: it mixes what a picture says into the decoder cross-attention of a music UNet.

Shape legend: ``batch`` samples, ``queries`` positions of the music latent, ``text`` caption tokens, ``tokens`` picture
positions, ``heads`` attention heads, ``head_dim`` width of one head, ``dim`` = heads x head_dim.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention_processor import Attention
from torch import nn

from melfusion_core.models.features import (
    ImageFeatures,
    KeyValue,
    capture_image_features,
    decoder_attention_names,
    merge_heads,
    split_heads,
)
from melfusion_core.models.fusion import attend, concatenate_attention, interpolate_attention, resample_tokens

__all__ = ["ImageFeatures", "SynapseHandle", "VisualSynapse", "capture_image_features", "install_synapse"]

FUSIONS = ("decoupled", "interpolate", "concatenate")


class VisualSynapse(ModelMixin, ConfigMixin):
    """Gates and projections between the decoder layers of an image UNet and of a music UNet, one to one.

    Args:
        num_layers: Number of connected layer pairs.
        music_dims: Width of each music cross-attention layer.
        image_dims: Width of each image self-attention layer.
        heads: Number of attention heads of each music layer.
        fusion: ``"decoupled"``: ``O = (1 - a) Attn(Q, K_M, V_M) + a Attn(Q, K_I, V_I)``; ``"interpolate"``: the
            paper's mixture of keys and values; ``"concatenate"``: one softmax over the tokens of both. See
            :mod:`melfusion_core.models.fusion`.
        gate_init: Initial gate ``a`` of every layer, in (0, 1).
        project: Whether picture keys and values are normalised and projected to the music layer's width; without it
            they are used as they are and the widths must be equal.
        key_timesteps: Image-model timesteps whose features are used; between them the nearest counts.
        num_inversion_steps: Steps of the picture's inversion that the features are taken along; features are only
            comparable at the number used in training.
    """

    @register_to_config
    def __init__(
        self,
        num_layers: int = 4,
        music_dims: Sequence[int] = (256, 256, 128, 128),
        image_dims: Sequence[int] = (256, 256, 128, 128),
        heads: Sequence[int] = (8, 8, 4, 4),
        fusion: Literal["decoupled", "interpolate", "concatenate"] = "decoupled",
        gate_init: float = 0.5,
        project: bool = True,
        key_timesteps: Sequence[int] = (100, 500),
        num_inversion_steps: int = 5,
    ) -> None:
        super().__init__()
        if not num_layers == len(music_dims) == len(image_dims) == len(heads):
            raise ValueError(
                f"num_layers is {num_layers}, but there are {len(music_dims)} music_dims, {len(image_dims)} "
                f"image_dims and {len(heads)} heads"
            )
        if fusion not in FUSIONS:
            raise ValueError(f"fusion must be one of {FUSIONS}, got {fusion!r}")
        if not 0.0 < gate_init < 1.0:
            raise ValueError(f"gate_init must lie between 0 and 1, got {gate_init}")
        if not project and tuple(music_dims) != tuple(image_dims):
            raise ValueError(f"without projection music_dims {music_dims} must equal image_dims {image_dims}")
        if not key_timesteps or min(key_timesteps) < 0:
            raise ValueError(f"key_timesteps must be given and not negative, got {key_timesteps}")
        if num_inversion_steps < 1:
            raise ValueError(f"num_inversion_steps must be at least 1, got {num_inversion_steps}")
        self.gate_logits = nn.Parameter(torch.full((num_layers,), math.log(gate_init / (1.0 - gate_init))))
        if project:
            self.key_norms = nn.ModuleList(nn.LayerNorm(dim) for dim in image_dims)
            self.value_norms = nn.ModuleList(nn.LayerNorm(dim) for dim in image_dims)
            pairs = list(zip(image_dims, music_dims, strict=True))
            self.key_projections = nn.ModuleList(nn.Linear(image_dim, music_dim) for image_dim, music_dim in pairs)
            self.value_projections = nn.ModuleList(nn.Linear(image_dim, music_dim) for image_dim, music_dim in pairs)

    def gates(self) -> torch.Tensor:
        """The trained gates.

        Returns:
            Gates ``a`` in (0, 1), of shape ``(num_layers,)``.
        """
        return torch.sigmoid(self.gate_logits)

    def project(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> KeyValue:
        """Bring picture keys and values into a music layer's space.

        Args:
            layer: Index of the layer pair.
            key: Of shape ``(batch, tokens, image_dim)``.
            value: Of shape ``(batch, tokens, image_dim)``.

        Returns:
            Key and value, each of shape ``(batch, tokens, music_dim)``.
        """
        dtype = self.gate_logits.dtype
        key, value = key.to(dtype), value.to(dtype)
        if not self.config.project:
            return key, value
        return (
            self.key_projections[layer](self.key_norms[layer](key)),
            self.value_projections[layer](self.value_norms[layer](value)),
        )

    def forward(
        self,
        layer: int,
        query: torch.Tensor,
        text_key: torch.Tensor,
        text_value: torch.Tensor,
        mask_bias: torch.Tensor | None,
        image_key: torch.Tensor,
        image_value: torch.Tensor,
        scale: torch.Tensor,
    ) -> torch.Tensor:
        """Attend to caption and picture together.

        A row whose scale is 0 gives exactly the output of plain attention to the caption.

        Args:
            layer: Index of the layer pair.
            query: Of shape ``(batch, heads, queries, head_dim)``.
            text_key: Of shape ``(batch, text, music_dim)``.
            text_value: Of shape ``(batch, text, music_dim)``.
            mask_bias: Additive caption mask of shape ``(batch, 1, 1, text)``, or None.
            image_key: Of shape ``(batch or 1, tokens, image_dim)``.
            image_value: Of shape ``(batch or 1, tokens, image_dim)``.
            scale: Synapse strength of each sample, of shape ``(batch,)`` or ``(1,)``; the gate is
                ``clip(a * scale, 0, 1)``.

        Returns:
            Attended values of shape ``(batch, heads, queries, head_dim)``.
        """
        heads = query.shape[1]
        gate = (torch.sigmoid(self.gate_logits[layer]) * scale).clamp(0.0, 1.0).to(query.dtype).view(-1, 1, 1, 1)
        key, value = self.project(layer, image_key, image_value)
        key, value = key.to(query.dtype), value.to(query.dtype)
        from_text = attend(query, text_key, text_value, mask_bias)
        if self.config.fusion == "interpolate":
            length = text_key.shape[1]
            mixed = interpolate_attention(
                query,
                split_heads(text_key, heads),
                split_heads(text_value, heads),
                split_heads(resample_tokens(key, length), heads),
                split_heads(resample_tokens(value, length), heads),
                gate,
                mask_bias,
            )
            # Equal in exact arithmetic at gate 0; the very same bits only when they come from the same computation.
            return torch.where(gate > 0, mixed, from_text)
        batch = query.shape[0]
        key, value = key.expand(batch, -1, -1), value.expand(batch, -1, -1)
        if self.config.fusion == "concatenate":
            text = split_heads(text_key, heads), split_heads(text_value, heads)
            picture = split_heads(key, heads), split_heads(value, heads)
            return torch.where(gate > 0, concatenate_attention(query, *text, *picture, gate, mask_bias), from_text)
        from_image = attend(query, key, value)
        return (1.0 - gate) * from_text + gate * from_image


class SynapseHandle:
    """What the installed attention processors see: the picture features and strengths of the next UNet call.

    Made by :func:`install_synapse`. After :meth:`clear`, and before the first :meth:`set`, the UNet is text-only. With
    gradient checkpointing the features must stay set until backward is done.

    Args:
        unet: The music UNet.
        synapse: The synapse.
        original: The UNet's attention processors before installing.
    """

    def __init__(self, unet: UNet2DConditionModel, synapse: VisualSynapse, original: dict[str, Any]) -> None:
        self.synapse = synapse
        self.features: list[KeyValue] | None = None
        self.scale: torch.Tensor | None = None
        self._unet = unet
        self._original = original

    def set(self, features: Sequence[KeyValue], scale: torch.Tensor | float) -> None:
        """Give the next UNet calls a picture.

        Args:
            features: For each layer ``(key, value)`` of shape ``(batch, tokens, image_dim)``, as from
                :meth:`ImageFeatures.at`; batch 1 is shared by all samples.
            scale: Synapse strength, 0 = off, 1 = as trained; one number, or one per sample of shape ``(batch,)``.

        Raises:
            ValueError: When the number of layers does not fit, or scale has the wrong shape.
        """
        if len(features) != self.synapse.config.num_layers:
            raise ValueError(f"expected {self.synapse.config.num_layers} layers of features, got {len(features)}")
        batch = features[0][0].shape[0]
        scale = torch.as_tensor(scale, dtype=torch.float32, device=self.synapse.device).reshape(-1)
        if batch != 1 and scale.shape[0] not in (1, batch):
            raise ValueError(f"expected one strength or {batch}, got {scale.shape[0]}")
        if not torch.is_grad_enabled() and not bool(scale.any()):
            self.clear()  # exactly the same output, without the work
            return
        self.features = list(features)
        self.scale = scale

    def clear(self) -> None:
        """Make the next UNet calls text-only."""
        self.features = None
        self.scale = None

    @contextmanager
    def using(self, features: Sequence[KeyValue], scale: torch.Tensor | float) -> Iterator[None]:
        """:meth:`set` for the length of a ``with`` block.

        Args:
            features: See :meth:`set`.
            scale: See :meth:`set`.

        Yields:
            Nothing.
        """
        self.set(features, scale)
        try:
            yield
        finally:
            self.clear()

    def remove(self) -> None:
        """Put the UNet's original attention processors back."""
        self.clear()
        self._unet.set_attn_processor(dict(self._original))


class SynapseProcessor:
    """Cross-attention processor of one connected music layer; it holds no weights of its own.

    Args:
        handle: Where the picture's features are found.
        layer: Index of the layer pair.
    """

    def __init__(self, handle: SynapseHandle, layer: int) -> None:
        self.handle = handle
        self.layer = layer

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Attend to the caption and, when the handle has features, to the picture.

        Args:
            attn: The attention layer.
            hidden_states: Music states of shape ``(batch, queries, dim)``.
            encoder_hidden_states: Caption states of shape ``(batch, text, text_dim)``; None where the layer attends to
                the music itself, as in UNets that know the caption through its class embedding only (MusicLDM).
            attention_mask: Additive caption mask of shape ``(batch, 1, text)``.
            temb: Unused; transformer blocks pass none here.
            kwargs: Unused; diffusers passes none.

        Returns:
            New music states of shape ``(batch, queries, dim)``.
        """
        if encoder_hidden_states is None:
            encoder_hidden_states = hidden_states
        query = split_heads(attn.to_q(hidden_states), attn.heads)
        text_key = attn.to_k(encoder_hidden_states)
        text_value = attn.to_v(encoder_hidden_states)
        mask_bias = None if attention_mask is None else attention_mask.unsqueeze(1)
        features, scale = self.handle.features, self.handle.scale
        if features is None or scale is None:
            attended = attend(query, text_key, text_value, mask_bias)
        else:
            image_key, image_value = features[self.layer]
            attended = self.handle.synapse(
                self.layer, query, text_key, text_value, mask_bias, image_key, image_value, scale
            )
        return attn.to_out[1](attn.to_out[0](merge_heads(attended)))


def install_synapse(music_unet: UNet2DConditionModel, synapse: VisualSynapse) -> SynapseHandle:
    """Connect a synapse to the decoder cross-attention layers of a music UNet.

    Only attention processors change; undo it with :meth:`SynapseHandle.remove`. A deep copy of the UNet made
    afterwards copies the synapse with it, so copy first.

    Args:
        music_unet: The music UNet.
        synapse: The synapse; it keeps its own weights.

    Returns:
        The handle through which features and strengths are set.

    Raises:
        ValueError: When the UNet's decoder does not have the layers that the synapse's configuration describes.
    """
    names = decoder_attention_names(music_unet, "attn2")
    config = synapse.config
    layers = [music_unet.get_submodule(name.removesuffix(".processor")) for name in names]
    found = [(layer.inner_dim, layer.heads) for layer in layers]
    expected = list(zip(config.music_dims, config.heads, strict=True))
    if found != expected:
        raise ValueError(f"the synapse connects layers of (width, heads) {expected}, the music UNet has {found}")
    original = music_unet.attn_processors
    handle = SynapseHandle(music_unet, synapse, original)
    processors = {name: SynapseProcessor(handle, layer) for layer, name in enumerate(names)}
    music_unet.set_attn_processor({**original, **processors})
    return handle
