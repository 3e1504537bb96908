"""What the image model is told of a corpus' pictures: as its encoder reads them, at the encoder's own size."""

from __future__ import annotations

import torch
from tqdm.auto import tqdm

from melfusion_core.data.corpus import SCENE, Triplet
from melfusion_core.models.picture_encoder import MOOD_AXES, PictureEncoder
from melfusion_core.training.data import bytes_to_pixels, load_pictures
from melfusion_core.training.picture_bank import PictureBank

BATCH = 8


def tell_clips(encoder: PictureEncoder | None, clips: list[Triplet]) -> torch.Tensor | None:
    """Read the pictures of clips.

    Args:
        encoder: The encoder; ``None`` for an image model that is told nothing.
        clips: The clips; a picture that several share is read once.

    Returns:
        Of shape ``(pictures, dim)``, in the order of :func:`~melfusion_core.training.data.load_pictures`, on the CPU;
        or ``None``.
    """
    if encoder is None:
        return None
    pictures, _ = load_pictures(clips, encoder.size)
    batches = tqdm(pictures.split(BATCH), desc="reading pictures", mininterval=5.0)
    return torch.cat([encoder(bytes_to_pixels(batch)).cpu() for batch in batches])


def corpus_pictures(clips: list[Triplet], side: int, encoder: PictureEncoder | None) -> PictureBank:
    """A corpus' pictures as a bank.

    Args:
        clips: The clips.
        side: Side in pixels that pictures are brought to.
        encoder: Reads them; ``None`` for an image model that is told nothing.

    Returns:
        The bank; nothing is told where there is no encoder.
    """
    pictures, rows = load_pictures(clips, side)
    told = tell_clips(encoder, clips)
    clip_of = {rows[clip.image]: clip for clip in clips}
    clips = [clip_of[row] for row in range(len(rows))]
    return PictureBank(
        pictures,
        torch.zeros(len(rows), len(MOOD_AXES)) if told is None else told,
        torch.tensor([clip.mood("image") or (float("nan"),) * len(MOOD_AXES) for clip in clips]),
        tuple(clip.image_caption for clip in clips),
        tuple(clip.theme or clip.id for clip in clips),
        tuple(clip.split for clip in clips),
        torch.tensor([clip.kind not in ("", SCENE) for clip in clips]),
    )
