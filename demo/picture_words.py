"""What can be computed of a picture: its colours, its lightness and, weakly, its mood. Nothing here is made up."""

from __future__ import annotations

import html
from dataclasses import dataclass

from PIL import Image

from demo import words
from melfusion_core.data.caption_words import MOODS
from melfusion_core.data.picture_affect import picture_affect, picture_features

NUM_COLOURS = 5
THIRD = 0.43  # a third of a normal distribution lies above this many standard deviations
NUM_MOODS = 3


@dataclass(frozen=True)
class PictureFacts:
    """What was computed of a picture.

    Attributes:
        palette: Its commonest colours, as "#rrggbb".
        lightness: Mean CIELAB L*, from 0 (black) to 100 (white).
        valence: Estimate from the colours alone, as a z-score over photographs.
        arousal: Estimate from the colours alone, as a z-score over photographs.
        moods: Words of the training captions for that valence and arousal.
        scene: What the model's scene classifier takes it for, such as "a forest"; ``None`` where it says nothing.
    """

    palette: tuple[str, ...]
    lightness: float
    valence: float
    arousal: float
    moods: tuple[str, ...]
    scene: str | None = None


def picture_facts(image: Image.Image, scene: str | None = None) -> PictureFacts:
    """Compute the facts of a picture.

    Args:
        image: RGB picture.
        scene: What the model's scene classifier takes it for, or ``None``.

    Returns:
        The facts.
    """
    small = image.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    reduced = small.quantize(NUM_COLOURS, kmeans=2)
    colours = reduced.getpalette() or []
    counts = sorted(reduced.getcolors() or [], reverse=True)
    palette = tuple("#{:02x}{:02x}{:02x}".format(*colours[3 * index : 3 * index + 3]) for _, index in counts)
    valence, arousal = picture_affect(image)
    thirds = (_third(valence), _third(arousal))
    return PictureFacts(palette, picture_features(image).lightness, valence, arousal, MOODS[thirds][:NUM_MOODS], scene)


def facts_html(facts: PictureFacts) -> str:
    """Show the facts of a picture.

    Args:
        facts: To show.

    Returns:
        HTML.
    """
    swatches = "".join(f'<i style="background:{colour}"></i>' for colour in facts.palette)
    said = words.FACTS.format(
        lightness=round(facts.lightness),
        valence=words.VALENCES[_third(facts.valence)],
        arousal=words.AROUSALS[_third(facts.arousal)],
    )
    scene = f"<b>{html.escape(words.SCENE.format(scene=facts.scene))}</b> " if facts.scene else ""
    return (
        f'<div class="facts"><span class="palette" role="img" aria-label="{words.PALETTE}">{swatches}</span>'
        f"<p>{scene}{html.escape(said)} <small>{words.FACTS_NOTE}</small></p></div>"
    )


def suggestion(facts: PictureFacts, caption: str) -> str:
    """Put mood words for a picture, and the scene where it is known, into a caption, for the person to edit.

    Args:
        facts: Of the picture.
        caption: What is written so far.

    Returns:
        The caption with those words that it does not hold yet.
    """
    caption = " ".join(caption.split())
    like = words.LIKE.format(scene=facts.scene) if facts.scene else None
    if not caption:
        return ", ".join(filter(None, [f"{', '.join(facts.moods[:2])} music", like]))
    return ", ".join([caption, *(word for word in _offered(facts) if word not in caption.lower())])


def offer(facts: PictureFacts) -> str:
    """Name what :func:`suggestion` would add, on its button.

    Args:
        facts: Of the picture.

    Returns:
        The button's label.
    """
    text = words.SUGGEST_SCENE if facts.scene else words.SUGGEST
    return text.format(words=", ".join(_offered(facts)))


def _third(value: float) -> int:
    return 0 if value < -THIRD else 2 if value > THIRD else 1


def _offered(facts: PictureFacts) -> list[str]:
    return [*facts.moods[:2], *([words.LIKE.format(scene=facts.scene)] if facts.scene else [])]
