"""What a take looks like, whichever engine made it: each kind of view is drawn by a module of its own.

A face is one way to look at all takes of a result: notes, where there are notes, and the spectrogram of the sound.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from demo import words
from demo.mel_view import sound_view, spectrogram_face, spectrogram_source
from demo.roll_view import roll_face, roll_source
from demo.takes import COMPARE, LETTERS, Result, Take
from melfusion_core.engines.base import View
from melfusion_core.engines.score.view import ScoreView


def faces(result: Result) -> list[dict[str, Any]]:
    """Draw the takes of a result side by side, in every way that there is to look at them.

    Args:
        result: From the service, or read back from files.

    Returns:
        The faces, the most telling first, each as :func:`demo.mel_view.spectrogram_face` gives it.
    """
    takes, seconds = result.takes, duration_s(result)
    little = words.LITTLE_CHANGED if result.mode == COMPARE else words.LITTLE_DIFFERENT
    found, views = [], [take.view for take in takes]
    if all(isinstance(view, ScoreView) for view in views):
        found.append(roll_face(views, _alts(words.ALT_NOTES, takes), seconds, little))
    sounds = [_sound(take) if isinstance(take.view, ScoreView) else take.view for take in takes]
    return [*found, spectrogram_face(sounds, _alts(words.ALT_TAKE, takes), little)]


def duration_s(result: Result) -> float:
    """Length of the longest take of a result.

    Args:
        result: From the service.

    Returns:
        Seconds.
    """
    return max(take.samples.shape[-1] / take.recipe.sample_rate for take in result.takes)


def live_html(view: View, alt_text: str) -> str:
    """Draw one take while it forms.

    Args:
        view: What it looks like so far.
        alt_text: What the picture shows, for those who do not see it.

    Returns:
        HTML with the picture and its seconds.
    """
    source = roll_source([view]) if isinstance(view, ScoreView) else spectrogram_source(view)
    return (
        f'<div class="live"><img src="{source}" alt="{html.escape(alt_text, quote=True)}">'
        f'<div class="live-s" aria-hidden="true"><span>0</span><span>{view.duration_s:.1f} s</span></div></div>'
    )


def _sound(take: Take) -> View:
    return sound_view(take.samples, take.recipe.sample_rate)


def _alts(text: str, takes: Sequence[Take]) -> list[str]:
    return [text.format(letter=letter, title=take.title) for letter, take in zip(LETTERS, takes, strict=False)]
