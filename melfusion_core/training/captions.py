"""Encoded captions, kept without padding: many captions in little memory, or on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.models.text import MAX_CAPTION_TOKENS, TextCondition, encode_text


class CaptionStore:
    """Token states of many captions, one after the other.

    Args:
        states: Token states of all captions, of shape `(all tokens, dim)`, float16.
        offsets: First token of each caption and the end, of shape `(captions + 1,)`.
        pooled: Pooled states, of shape `(captions, dim)`, float32.
    """

    def __init__(self, states: np.ndarray, offsets: np.ndarray, pooled: np.ndarray) -> None:
        self.states, self.offsets, self.pooled = states, offsets, pooled

    def __len__(self) -> int:
        return len(self.pooled)

    def length(self, row: int) -> int:
        """Token states of one caption, special tokens included.

        Args:
            row: Which caption.
        """
        return int(self.offsets[row + 1] - self.offsets[row])

    def get(self, rows: list[int], device: torch.device | str = "cpu") -> TextCondition:
        """Captions as a padded batch.

        Args:
            rows: Which captions.
            device: Where to put them.

        Returns:
            The condition, float32, padded to the usual length.
        """
        states = np.zeros((len(rows), MAX_CAPTION_TOKENS, self.states.shape[1]), dtype=np.float32)
        mask = np.zeros((len(rows), MAX_CAPTION_TOKENS), dtype=bool)
        for place, row in enumerate(rows):
            first, end = self.offsets[row], self.offsets[row + 1]
            states[place, : end - first] = self.states[first:end]
            mask[place, : end - first] = True
        pooled = torch.from_numpy(np.ascontiguousarray(self.pooled[rows]))
        condition = TextCondition(torch.from_numpy(states), torch.from_numpy(mask), pooled)
        return condition.to(device)

    def save(self, folder: Path, name: str) -> None:
        """Write three NumPy files.

        Args:
            folder: Existing folder.
            name: Beginning of the file names.
        """
        for part in ("states", "offsets", "pooled"):
            np.save(folder / f"{name}_{part}.npy", getattr(self, part))

    @classmethod
    def load(cls, folder: Path, name: str) -> CaptionStore:
        """Open what `save` wrote; the states stay on disk.

        Args:
            folder: The folder.
            name: Beginning of the file names.

        Returns:
            The captions.
        """
        states = np.load(folder / f"{name}_states.npy", mmap_mode="r")
        return cls(states, np.load(folder / f"{name}_offsets.npy"), np.load(folder / f"{name}_pooled.npy"))


def encode_captions(
    tokenizer: PreTrainedTokenizerBase, text_encoder: PreTrainedModel, captions: list[str], batch_size: int = 64
) -> CaptionStore:
    """Encode captions in batches of similar length, so that little time goes into padding; padding is not kept.

    Args:
        tokenizer: The encoder's tokenizer.
        text_encoder: The text encoder.
        captions: The captions; what is longer than usual is cut.
        batch_size: Captions per batch.

    Returns:
        Their states, in the given order.
    """
    ids = tokenizer(captions, truncation=True, max_length=MAX_CAPTION_TOKENS, verbose=False)["input_ids"]
    lengths = [len(each) for each in ids]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    states = np.zeros((int(offsets[-1]), text_encoder.config.hidden_size), dtype=np.float16)
    pooled = np.zeros((len(lengths), text_encoder.config.hidden_size), dtype=np.float32)
    for start in tqdm(range(0, len(order), batch_size), desc="captions", mininterval=5.0):
        rows = order[start : start + batch_size]
        longest = max(lengths[row] for row in rows)
        condition = encode_text(tokenizer, text_encoder, [captions[row] for row in rows], max_length=longest)
        for place, row in enumerate(rows):
            states[offsets[row] : offsets[row + 1]] = condition.states[place, : lengths[row]].cpu().numpy()
            pooled[row] = condition.pooled[place].cpu().numpy()
    return CaptionStore(states, offsets, pooled)
