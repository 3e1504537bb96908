"""The empty caption as an image model's own text encoder sees it, kept in place of that encoder.

The image model is only ever asked without a caption, so its text encoder (246 MB for Stable Diffusion 1.5 in half
precision) runs once, when a checkpoint is assembled, and is not needed again.

Shape legend: ``tokens`` positions, ``dim`` features per token.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.models.text import TextCondition


class NullCaption(ModelMixin, ConfigMixin):
    """States of the empty caption.

    Args:
        tokens: Number of positions, 77 for CLIP.
        dim: Features per token, the image UNet's ``cross_attention_dim``.
    """

    @register_to_config
    def __init__(self, tokens: int = 77, dim: int = 768) -> None:
        super().__init__()
        self.states = nn.Parameter(torch.zeros(1, tokens, dim), requires_grad=False)

    def condition(self) -> TextCondition:
        """The condition, batch 1.

        Returns:
            All positions count, padding too: CLIP in Stable Diffusion has no mask.
        """
        mask = torch.ones(self.states.shape[:2], dtype=torch.bool, device=self.states.device)
        return TextCondition(self.states, mask, self.states.mean(dim=1))

    @classmethod
    @torch.no_grad()
    def from_encoder(cls, tokenizer: PreTrainedTokenizerBase, text_encoder: PreTrainedModel) -> NullCaption:
        """Encode the empty caption as Stable Diffusion does: padded to the full length, last hidden states, no mask.

        Args:
            tokenizer: The image model's tokenizer.
            text_encoder: Its CLIP text encoder.

        Returns:
            The component.
        """
        length = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        tokens = tokenizer([""], padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        states = text_encoder(tokens.input_ids.to(text_encoder.device)).last_hidden_state
        null = cls(tokens=states.shape[1], dim=states.shape[2])
        null.states.data = states.clone()
        return null
