"""Drawing pictures for pieces of music while training, by the rule that paired them in the corpus.

A corpus pairs every clip with one picture of about the same mood. A model that sees that one picture again and again
learns the pair by heart instead of the mood: it hears nothing in a picture it has never seen. Any other picture of
that mood is as true a partner, so each step draws one anew.
"""

from __future__ import annotations

import numpy as np


class PicturePairing:
    """Pictures in the plane of valence and arousal.

    Args:
        moods: Valence and arousal of each picture, rank-normalised to [0, 1], of shape ``(pictures, 2)``.
        width: Standard deviation of the distance on each axis at which pictures are drawn.

    Raises:
        ValueError: When there is no picture, a mood is not finite or width is not positive.
    """

    def __init__(self, moods: np.ndarray, width: float) -> None:
        if moods.ndim != 2 or moods.shape[1] != 2 or not len(moods):
            raise ValueError(f"expected moods of shape (pictures, 2), got {moods.shape}")
        if not np.isfinite(moods).all() or not width > 0:
            raise ValueError("moods must be finite and the width positive")
        self.moods = moods
        self.width = width

    def draw(self, mood: tuple[float, float], place: float) -> int:
        """Draw a picture near a mood.

        Args:
            mood: Valence and arousal of the music, in [0, 1].
            place: Uniform random number in [0, 1).

        Returns:
            Row of the picture.
        """
        squares = np.square(self.moods - np.asarray(mood)).sum(axis=1)
        chances = np.exp((squares.min() - squares) / (2.0 * self.width**2)).cumsum()
        return int(np.searchsorted(chances, place * chances[-1], side="right"))
