"""What an image model is told of the pictures that a music model trains on: their own moods, or drawn ones.

A picture that always comes with its own mood can be learned by heart, as its mood. Where another mood was told, what
it shows says nothing of the music that it is paired with, and only listening to what was told helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from melfusion_core.models.picture_encoder import MOOD_AXES, PictureEncoder
from melfusion_core.training.data import Clip, CorpusError


def drawable(clips: list[Clip], pictures: list[Path], kinds: Sequence[str] = ()) -> list[bool]:
    """Which pictures are to be trained on and of a kind that moods are drawn for.

    Args:
        clips: The clips.
        pictures: Paths of their pictures.
        kinds: Kinds of pictures (`image_kind` in the corpus) to draw for; none for all.

    Returns:
        One entry per picture.

    Raises:
        CorpusError: When no training picture is of a kind that is named.
    """
    trained = {clip.image: clip.record.get("image_kind", "") for clip in clips if clip.split == "train"}
    unknown = set(kinds) - set(trained.values())
    if unknown:
        raise CorpusError(f"no training picture is of the kind {' or '.join(sorted(unknown))}")
    return [path in trained and (not kinds or trained[path] in kinds) for path in pictures]


def draw_moods(allowed: list[bool], share: float) -> torch.Tensor:
    """Draw the moods that the image model is told of some training pictures instead of their own.

    Args:
        allowed: Which pictures another mood may be told of.
        share: Share of those to draw for, in [0, 1].

    Returns:
        Valence and arousal of shape ``(pictures, 2)``, evenly over [0, 1]; not a number for pictures that keep theirs.
    """
    generator = torch.Generator().manual_seed(0)
    moods = torch.rand(len(allowed), len(MOOD_AXES), generator=generator)
    kept = torch.rand(len(allowed), generator=generator) >= share
    moods[kept | ~torch.tensor(allowed)] = torch.nan
    return moods


def tell(encoder: PictureEncoder | None, pixels: torch.Tensor, moods: torch.Tensor) -> torch.Tensor | None:
    """What the image model is told of pictures, if anything.

    Args:
        encoder: Its picture encoder, or ``None``.
        pixels: Pictures of shape ``(batch, 3, height, width)`` in [-1, 1].
        moods: What :func:`draw_moods` gives for them; where it is not a number, the pictures' own
            moods are filled in, in place.

    Returns:
        Of shape ``(batch, dim)``, or ``None``.
    """
    if encoder is None:
        return None
    if encoder.config.tells != "mood":
        return encoder(pixels)
    own = moods.isnan().any(dim=1)
    if own.any():
        moods[own] = encoder.read_mood(encoder.embed(pixels[own.to(pixels.device)])).cpu()
    return encoder.tell_mood(moods).to(pixels.device)
