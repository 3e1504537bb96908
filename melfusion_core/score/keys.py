"""Keys: scales, key profiles, and finding the key of some notes."""

from __future__ import annotations

import numpy as np

PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Names of the pitch classes."""

MAJOR_PROFILE = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR_PROFILE = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
"""Key profiles of Krumhansl & Kessler (1982)."""

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones of the diatonic scales."""

FLAVOURS = {
    "ionian": SCALES["major"], "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "aeolian": SCALES["minor"], "dorian": (0, 2, 3, 5, 7, 9, 10), "phrygian": (0, 1, 3, 5, 7, 8, 10),
}  # fmt: skip
"""Church modes: the first three are kinds of major, the others kinds of minor."""

TONICS = {"major": (0, 7, 5, 2), "minor": (9, 4, 2, 0)}
"""The few keys of the core subset: C, G, F and D major; A, E, D and C minor."""


def key_correlations(histogram: np.ndarray) -> np.ndarray:
    """Correlations of a histogram of pitch classes with the Krumhansl-Kessler profiles of all keys.

    Args:
        histogram: (12,) weight of each pitch class.

    Returns:
        (2, 12) correlations, -1 to 1: major and minor, by tonic. Zeros for a flat histogram.
    """
    if histogram.max() <= histogram.min():
        return np.zeros((2, 12))
    profiles = (MAJOR_PROFILE - MAJOR_PROFILE.mean(), MINOR_PROFILE - MINOR_PROFILE.mean())
    shapes = np.array([[np.roll(profile, tonic) for tonic in range(12)] for profile in profiles])
    centred = histogram - histogram.mean()
    return shapes @ centred / np.linalg.norm(shapes, axis=2) / np.linalg.norm(centred)


def krumhansl_key(histogram: np.ndarray) -> tuple[int, str, float]:
    """Key by correlation with the Krumhansl-Kessler profiles.

    Args:
        histogram: (12,) weight of each pitch class.

    Returns:
        Tonic pitch class, "major" or "minor", and the best major minus the best minor correlation (-2 to 2).
    """
    major, minor = key_correlations(histogram)
    difference = float(major.max() - minor.max())
    if difference >= 0:
        return int(np.argmax(major)), "major", difference
    return int(np.argmax(minor)), "minor", difference


def key_of_chords(histogram: np.ndarray) -> tuple[int, str]:
    """Key whose scale holds most of some chords' tones; the profiles decide between those that hold as many.

    Args:
        histogram: (12,) weight of each pitch class; of a minor key's raised seventh half is counted.

    Returns:
        Tonic pitch class and "major" or "minor".
    """
    held = np.zeros((2, 12))
    for row, mode in enumerate(("major", "minor")):
        for tonic in range(12):
            held[row, tonic] = histogram[[(tonic + step) % 12 for step in SCALES[mode]]].sum()
            held[row, tonic] += 0.5 * histogram[(tonic + 11) % 12] if mode == "minor" else 0.0
    near = held / histogram.sum() + 0.1 * key_correlations(histogram)
    row, tonic = np.unravel_index(np.argmax(near), near.shape)
    return int(tonic), ("major", "minor")[row]
