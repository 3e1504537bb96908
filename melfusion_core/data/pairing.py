"""Which picture goes with which piece of music: near in mood, and likely by what is shown and what plays.

A corpus of sound pairs every clip with a picture of its own (`triplets.pair_by_affect`). Here pictures are drawn, as
often as they fit: a model that sees a piece with one picture again and again learns the pair by heart, and any other
picture that fits is as true a partner.

Shape legend: ``music`` pieces, ``pictures``, ``styles`` of `associations.STYLE_WORDS`, ``leads`` of
`LEAD_INSTRUMENTS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melfusion_core.data.associations import STYLE_WORDS
from melfusion_core.score.instruments import LEAD_INSTRUMENTS

UNKNOWN = -1
"""Style or lead of a piece of which it is not known: it goes with every picture."""
CHUNK = 256
"""Pieces that are paired at a time: 256 x 6,000 numbers are 6 MB."""


@dataclass(frozen=True)
class PictureChances:
    """What is known of pictures.

    Args:
        moods: Valence and arousal as ranks among pictures, 0 to 1, of shape ``(pictures, 2)``.
        styles: Chances of styles, of shape ``(pictures, styles)``; rows sum to 1.
        leads: Chances of lead instruments, of shape ``(pictures, leads)``.
    """

    moods: np.ndarray
    styles: np.ndarray
    leads: np.ndarray

    def __post_init__(self) -> None:
        shapes = tuple(values.shape for values in (self.moods, self.styles, self.leads))
        count = len(self.moods)
        if not count or shapes != ((count, 2), (count, len(STYLE_WORDS)), (count, len(LEAD_INSTRUMENTS))):
            raise ValueError(f"moods, styles and leads of pictures do not fit together: {shapes}")
        if not all(np.isfinite(values).all() for values in (self.moods, self.styles, self.leads)):
            raise ValueError("moods and chances of pictures must be finite")


@dataclass(frozen=True)
class MusicFacts:
    """What is known of pieces of music.

    Args:
        moods: Valence and arousal as ranks among pieces, 0 to 1, of shape ``(music, 2)``.
        styles: Places in `STYLE_WORDS`, of shape ``(music,)``; `UNKNOWN` where it is none of them.
        leads: Places in `LEAD_INSTRUMENTS`, of shape ``(music,)``; `UNKNOWN` where it is none of them.
    """

    moods: np.ndarray
    styles: np.ndarray
    leads: np.ndarray

    @classmethod
    def from_names(cls, moods: np.ndarray, styles: Sequence[str], leads: Sequence[str]) -> MusicFacts:
        """Look names up.

        Args:
            moods: Of shape ``(music, 2)``.
            styles: Style of each piece.
            leads: Instrument of each piece's tune.

        Returns:
            The facts.

        Raises:
            ValueError: When they are not as many.
        """
        if not len(moods) == len(styles) == len(leads):
            raise ValueError(f"{len(moods)} moods, {len(styles)} styles and {len(leads)} leads do not fit together")
        places = [{name: place for place, name in enumerate(names)} for names in (STYLE_WORDS, LEAD_INSTRUMENTS)]
        found = [[place.get(n, UNKNOWN) for n in names] for place, names in zip(places, (styles, leads), strict=True)]
        return cls(np.asarray(moods, dtype=np.float64), *(np.array(rows, dtype=np.int64) for rows in found))

    def __len__(self) -> int:
        return len(self.moods)


class PicturePairing:
    """Draws pictures for pieces of music.

    Args:
        pictures: What is known of the pictures.
        width: Deviation of the distance on each axis of mood at which pictures are drawn.
        meaning: Weight of what is shown: 0 pairs by mood alone, 1 draws a picture as often as its style and lead are
            likelier with it than by chance.

    Raises:
        ValueError: When width is not positive or meaning negative.
    """

    def __init__(self, pictures: PictureChances, width: float = 0.12, meaning: float = 1.0) -> None:
        if not width > 0 or not meaning >= 0:
            raise ValueError(f"width must be positive and meaning not negative, got {width} and {meaning}")
        self.width, self.meaning = width, meaning
        self._moods = pictures.moods.astype(np.float32)
        self._styles, self._leads = (_gains(chances, meaning) for chances in (pictures.styles, pictures.leads))

    def scores(self, music: MusicFacts, rows: slice | np.ndarray) -> np.ndarray:
        """How well pictures go with pieces.

        Args:
            music: The pieces.
            rows: Which of them.

        Returns:
            Logarithms of unnormalised chances, of shape ``(rows, pictures)``, float32.
        """
        moods = music.moods[rows].astype(np.float32)
        squares = np.square(moods[:, :1] - self._moods[:, 0]) + np.square(moods[:, 1:] - self._moods[:, 1])
        return self._styles[music.styles[rows]] + self._leads[music.leads[rows]] - squares / (2.0 * self.width**2)

    def draw(self, music: MusicFacts, rows: np.ndarray, random: np.ndarray) -> np.ndarray:
        """Draw a picture for each of some pieces.

        Args:
            music: The pieces.
            rows: Which of them, of shape ``(n,)``.
            random: Uniform random numbers in [0, 1), of shape ``(n,)``.

        Returns:
            Rows of the pictures, of shape ``(n,)``.
        """
        chosen = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            scores = self.scores(music, rows[part]).astype(np.float64)
            chances = np.exp(scores - scores.max(axis=1, keepdims=True)).cumsum(axis=1)
            aims = random[part] * chances[:, -1]
            found = (chances <= aims[:, None]).sum(axis=1)
            chosen[part] = np.minimum(found, chances.shape[1] - 1)
        return chosen


def _gains(chances: np.ndarray, weight: float) -> np.ndarray:
    """How much likelier than by chance, in logarithms, one row each; the last row, of what is unknown, is 0."""
    likelier = weight * np.log(np.maximum(chances.T * chances.shape[1], 1e-6))
    return np.concatenate([likelier, np.zeros((1, len(chances)))]).astype(np.float32)
