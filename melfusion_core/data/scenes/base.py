"""What every scene painter returns, and small helpers the painters share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Scene:
    """A procedural picture with what it shows.

    Attributes:
        image: Square RGB picture.
        kind: Name of the painter.
        caption: What the picture shows, in words.
        theme: Coarse subject, such as "sea".
        semantics_valence: How pleasant the subject is, about [-1, 1].
        semantics_arousal: How exciting the subject is, about [-1, 1].
    """

    image: Image.Image
    kind: str
    caption: str
    theme: str
    semantics_valence: float
    semantics_arousal: float


@dataclass(frozen=True)
class Painted:
    """A painter's result before grading and resizing.

    Attributes:
        rgb: Picture of shape `(S, S, 3)` in [0, 1].
        caption: What the picture shows, in words.
        valence: How pleasant the subject is, about [-1, 1].
        arousal: How exciting the subject is, about [-1, 1].
    """

    rgb: np.ndarray
    caption: str
    valence: float
    arousal: float


Painter = Callable[[np.random.Generator, int], Painted]
"""Paints from a random generator, its only source of chance, a square of so many pixels a side."""


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """Draw one text.

    Args:
        rng: Random generator.
        options: Texts to draw from.

    Returns:
        One of the texts.
    """
    return options[int(rng.integers(len(options)))]


def by_degree(degree: float, options: Sequence[str]) -> str:
    """Choose a text by a degree.

    Args:
        degree: Number in [0, 1].
        options: Texts in ascending order of degree.

    Returns:
        The text whose equal share of [0, 1] holds the degree.
    """
    return options[min(int(degree * len(options)), len(options) - 1)]
