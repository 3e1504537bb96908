"""How a cross-attention layer listens to a caption and a picture at once: the fusions of the visual synapse.

Shape legend: ``batch`` samples, ``queries`` positions of the music latent, ``text`` caption tokens, ``tokens`` picture
positions, ``heads`` attention heads, ``head_dim`` width of one head, ``dim`` = heads x head_dim.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from melfusion_core.models.features import split_heads


def resample_tokens(tokens: torch.Tensor, length: int) -> torch.Tensor:
    """Bring picture tokens to the caption's number of tokens, for the paper's fusion.

    Fewer are made by averaging runs of neighbours (adaptive average pooling), more by linear interpolation.

    Args:
        tokens: Keys or values of shape ``(batch, tokens, dim)``.
        length: Wanted number of tokens.

    Returns:
        Tensor of shape ``(batch, length, dim)``; the input itself when it already has that length.
    """
    if tokens.shape[1] == length:
        return tokens
    channels_first = tokens.transpose(1, 2)
    if tokens.shape[1] > length:
        resampled = F.adaptive_avg_pool1d(channels_first, length)
    else:
        resampled = F.interpolate(channels_first, size=length, mode="linear", align_corners=True)
    return resampled.transpose(1, 2)


def interpolate_attention(
    query: torch.Tensor,
    text_key: torch.Tensor,
    text_value: torch.Tensor,
    image_key: torch.Tensor,
    image_value: torch.Tensor,
    gate: torch.Tensor,
    mask_bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """The paper's fusion: ``K = a K_I + (1 - a) K_M``, ``V = a V_I + (1 - a) V_M``, ``softmax(Q K^T / sqrt(d)) V``.

    A padded caption position has no text but does have a share of the picture, so it takes part with the prior weight
    ``a`` (its bias is ``ln a``): at gate 0 it is masked as in plain attention, at gate 1 it is a picture token like
    any other. Without padding this is the equation above to the letter.

    Args:
        query: Of shape ``(batch, heads, queries, head_dim)``.
        text_key: Of shape ``(batch, heads, text, head_dim)``.
        text_value: Of shape ``(batch, heads, text, head_dim)``.
        image_key: Of shape ``(batch, heads, text, head_dim)``, already resampled.
        image_value: Of shape ``(batch, heads, text, head_dim)``, already resampled.
        gate: The weight ``a`` in [0, 1], of shape ``(batch, 1, 1, 1)``.
        mask_bias: Additive mask over the caption, 0 at real tokens and very negative at padding, of shape
            ``(batch, 1, 1, text)``.

    Returns:
        Attended values of shape ``(batch, heads, queries, head_dim)``.
    """
    key = gate * image_key + (1.0 - gate) * text_key
    value = gate * image_value + (1.0 - gate) * text_value
    if mask_bias is not None:
        log_gate = gate.float().clamp_min(1e-30).log().to(mask_bias.dtype)
        mask_bias = torch.where((mask_bias < log_gate) & (gate > 0), log_gate, mask_bias)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask_bias)


def concatenate_attention(
    query: torch.Tensor,
    text_key: torch.Tensor,
    text_value: torch.Tensor,
    image_key: torch.Tensor,
    image_value: torch.Tensor,
    gate: torch.Tensor,
    mask_bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """One softmax over caption and picture tokens, where the picture's have the prior weight ``a``.

    ``softmax([Q K_M^T / sqrt(d), Q K_I^T / sqrt(d) + ln a]) [V_M; V_I]``: at gate 0 plain attention to the caption, at
    gate 1 plain attention to all tokens.

    Args:
        query: Of shape ``(batch, heads, queries, head_dim)``.
        text_key: Of shape ``(batch, heads, text, head_dim)``.
        text_value: Of shape ``(batch, heads, text, head_dim)``.
        image_key: Of shape ``(batch, heads, tokens, head_dim)``.
        image_value: Of shape ``(batch, heads, tokens, head_dim)``.
        gate: The weight ``a`` in [0, 1], of shape ``(batch, 1, 1, 1)``.
        mask_bias: Additive mask over the caption of shape ``(batch, 1, 1, text)``, or None.

    Returns:
        Attended values of shape ``(batch, heads, queries, head_dim)``.
    """
    batch, _, text, _ = text_key.shape
    text_bias = query.new_zeros(batch, 1, 1, text) if mask_bias is None else mask_bias.to(query.dtype)
    log_gate = gate.float().clamp_min(1e-30).log().to(query.dtype)
    bias = torch.cat([text_bias.expand(batch, -1, -1, -1), log_gate.expand(batch, -1, -1, image_key.shape[2])], dim=-1)
    key = torch.cat([text_key, image_key], dim=2)
    value = torch.cat([text_value, image_value], dim=2)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask_bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Plain scaled dot-product attention.

    Args:
        query: Of shape ``(batch, heads, queries, head_dim)``.
        key: Of shape ``(batch, tokens, dim)``.
        value: Of shape ``(batch, tokens, dim)``.
        mask_bias: Additive mask of shape ``(batch, 1, 1, tokens)``, or None.

    Returns:
        Attended values of shape ``(batch, heads, queries, head_dim)``.
    """
    heads = query.shape[1]
    return F.scaled_dot_product_attention(
        query, split_heads(key, heads), split_heads(value, heads), attn_mask=mask_bias
    )
