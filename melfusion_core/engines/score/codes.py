"""Numbers for names: codes of +1 and -1 that lie far apart, and angles for what has an order or a circle.

A denoiser that hesitates between two names gives something between their codes; the nearest code wins ("analog bits",
Chen et al. 2022).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

CODE_BITS = 12
_PARITY_BITS = 5


@functools.cache
def code_table() -> np.ndarray:
    """The shortened extended Hamming code of length 12: any two words differ in at least 4 places.

    Returns:
        Of shape ``(128, 12)``, +1 and -1, float32.
    """
    columns = [c for c in range(1, 2 ** (_PARITY_BITS - 1)) if bin(c).count("1") > 1][: CODE_BITS - _PARITY_BITS]
    words = []
    for bits in itertools.product((0, 1), repeat=CODE_BITS - _PARITY_BITS):
        checks = 0
        for bit, column in zip(bits, columns, strict=True):
            checks ^= column if bit else 0
        word = [*bits, *((checks >> place) & 1 for place in range(_PARITY_BITS - 1))]
        words.append([*word, sum(word) % 2])
    return 1.0 - 2.0 * np.array(words, dtype=np.float32)


def nearest_code(values: np.ndarray, count: int) -> np.ndarray:
    """The code words nearest to some values.

    Args:
        values: Of shape ``(..., 12)``.
        count: How many of the table's words have a meaning.

    Returns:
        Their numbers, of shape ``(...)``.
    """
    return np.argmax(values @ code_table()[:count].T, axis=-1)


def circle(phase: np.ndarray, harmonics: tuple[int, ...]) -> np.ndarray:
    """A place on a circle as cosines and sines of unit variance.

    Args:
        phase: Share of the turn, any shape.
        harmonics: How often each pair goes round in a turn.

    Returns:
        Of shape ``(..., 2 * len(harmonics))``.
    """
    angles = 2 * np.pi * np.asarray(phase, dtype=np.float64)[..., None] * np.array(harmonics)
    pairs = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return (np.sqrt(2.0) * pairs.reshape(*pairs.shape[:-2], -1)).astype(np.float32)


def on_circle(values: np.ndarray, phases: np.ndarray, harmonics: tuple[int, ...]) -> np.ndarray:
    """Which of some places on a circle fit values best.

    Args:
        values: Of shape ``(..., 2 * len(harmonics))``.
        phases: The places, of shape ``(places,)``.
        harmonics: As for :func:`circle`.

    Returns:
        Their numbers, of shape ``(...)``.
    """
    return np.argmax(values @ circle(phases, harmonics).T, axis=-1)
