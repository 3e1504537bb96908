"""Text encoders made of several networks, as one component that gives a `TextCondition`.

FLAN-T5 and MiniLM need none of this: they are one tokenizer and one network (`encode_text`). AudioLDM2 listens
to CLAP, FLAN-T5 and a small language model; MusicLDM to CLAP alone.

Shape legend: `batch` captions, `tokens` positions (padded), `dim` features per token.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from diffusers.pipelines.audioldm2 import AudioLDM2Pipeline, AudioLDM2ProjectionModel
from transformers import (
    AutoTokenizer,
    ClapModel,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5EncoderModel,
)

from melfusion_core.models.text import CaptionEncoder, TextCondition


class AudioLDM2TextEncoder(CaptionEncoder):
    """AudioLDM2's: CLAP and FLAN-T5 states feed GPT-2, whose eight vectors and the FLAN-T5 states go to the UNet.

    Every caption is encoded by itself, so that padding of a batch never reaches the language model's positions.

    Args:
        clap_tokenizer: CLAP's tokenizer.
        clap: The CLAP model; only its text half is used.
        t5_tokenizer: FLAN-T5's tokenizer.
        t5: FLAN-T5's encoder.
        projection: AudioLDM2's projection of both into the language model's space.
        language_model: GPT-2.
    """

    part_classes = {
        "clap_tokenizer": AutoTokenizer,
        "clap": ClapModel,
        "t5_tokenizer": AutoTokenizer,
        "t5": T5EncoderModel,
        "projection": AudioLDM2ProjectionModel,
        "language_model": GPT2LMHeadModel,
    }

    def __init__(
        self,
        clap_tokenizer: PreTrainedTokenizerBase | None = None,
        clap: PreTrainedModel | None = None,
        t5_tokenizer: PreTrainedTokenizerBase | None = None,
        t5: PreTrainedModel | None = None,
        projection: ModelMixin | None = None,
        language_model: PreTrainedModel | None = None,
    ) -> None:
        super().__init__()
        self.clap_tokenizer, self.clap = clap_tokenizer, clap
        self.t5_tokenizer, self.t5 = t5_tokenizer, t5
        self.projection, self.language_model = projection, language_model

    @torch.no_grad()
    def encode(self, captions: list[str], max_length: int) -> TextCondition:
        """The language model's vectors are `states`, FLAN-T5's `states_1`, CLAP's embedding `pooled`."""
        make: Any = AudioLDM2Pipeline  # its annotations ask for what `encode_prompt` does not use
        pipe = make(
            vae=None,
            text_encoder=self.clap,
            text_encoder_2=self.t5,
            projection_model=self.projection,
            language_model=self.language_model,
            tokenizer=self.clap_tokenizer,
            tokenizer_2=self.t5_tokenizer,
            feature_extractor=None,
            unet=None,
            scheduler=None,
            vocoder=None,
        )
        rows = []
        for caption in captions:
            states, mask, generated = pipe.encode_prompt([caption], pipe.text_encoder_2.device, 1, False)
            states, mask = states[:, :max_length], mask[:, :max_length].bool()
            missing = max_length - states.shape[1]
            rows.append((generated, F.pad(states, (0, 0, 0, missing)), F.pad(mask, (0, missing))))
        generated, states, mask = (torch.cat(parts) for parts in zip(*rows, strict=True))
        everywhere = torch.ones(generated.shape[:2], dtype=torch.bool, device=generated.device)
        pooled = _clap_embedding(self.clap_tokenizer, self.clap, captions)
        return TextCondition(generated, everywhere, pooled, states * mask.unsqueeze(-1), mask)


class MusicLDMTextEncoder(CaptionEncoder):
    """MusicLDM's and AudioLDM's: CLAP's text embedding, which reaches the UNet with the timestep.

    Args:
        clap_tokenizer: CLAP's tokenizer.
        clap: The CLAP model; only its text half is used.
    """

    part_classes = {"clap_tokenizer": AutoTokenizer, "clap": ClapModel}

    def __init__(
        self, clap_tokenizer: PreTrainedTokenizerBase | None = None, clap: PreTrainedModel | None = None
    ) -> None:
        super().__init__()
        self.clap_tokenizer, self.clap = clap_tokenizer, clap

    @torch.no_grad()
    def encode(self, captions: list[str], max_length: int) -> TextCondition:
        """CLAP's embedding is `pooled` and the only token of `states`; CLAP cuts captions at its own length."""
        pooled = _clap_embedding(self.clap_tokenizer, self.clap, captions)
        mask = torch.ones(len(captions), 1, dtype=torch.bool, device=pooled.device)
        return TextCondition(pooled.unsqueeze(1), mask, pooled)


@torch.no_grad()
def _clap_embedding(tokenizer: PreTrainedTokenizerBase, clap: PreTrainedModel, captions: list[str]) -> torch.Tensor:
    """Text embeddings of CLAP."""
    length = min(tokenizer.model_max_length, clap.config.text_config.max_position_embeddings - 2)
    tokens = tokenizer(captions, padding=True, truncation=True, max_length=length, return_tensors="pt").to(clap.device)
    features = clap.get_text_features(tokens.input_ids, attention_mask=tokens.attention_mask)
    return F.normalize(getattr(features, "pooler_output", features), dim=-1)
