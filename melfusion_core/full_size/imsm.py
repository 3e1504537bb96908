"""IMSM, the image-music similarity of the MeLFusion paper: do picture and music fit the same captions?

CLIP compares pictures with captions and CLAP music with captions; both rows of probabilities are compared.

**As released** (`imsm_calculator.py`): with `P` the softmax over captions of CLIP's image-to-text logits and `Q`
that of CLAP's audio-to-text logits, the script prints `softmax(P Q^T)`, a matrix of all pictures against all music.
The number of a set is here the mean of its diagonal. It depends on the batch: with `n` triplets it cannot exceed
`e / (e + n - 1)`, 0.73 for two. The paper's 0.83 is above that, so it must have been made in another way; most
likely without the last softmax, the line that the script keeps as a comment. That value is given too, as `before`.

**Per pair**: the geometric mean of the two cosines, picture to caption and music to caption, each at least 0. It needs
no other triplets, so that results of different sets compare.

Shape legend: `n` triplets, `dim` of an embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax


@dataclass(frozen=True)
class ImsmScores:
    """IMSM of a set.

    Args:
        released: Mean diagonal of `softmax(P Q^T)`.
        before: Mean diagonal of `P Q^T`.
        per_pair: Mean over triplets of the score per pair.
        n: Number of triplets.
        batch: Triplets compared with each other at a time.
    """

    released: float
    before: float
    per_pair: float
    n: int
    batch: int

    @property
    def ceiling(self) -> float:
        """Largest value that `released` can have."""
        return math.e / (math.e + self.batch - 1)


def released_matrix(image_logits: np.ndarray, audio_logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The released script's matrix.

    Args:
        image_logits: Image-to-text logits of CLIP, of shape `(n, n)`: pictures by captions.
        audio_logits: Audio-to-text logits of CLAP, of shape `(n, n)`: music by captions.

    Returns:
        `softmax(P Q^T)` and `P Q^T`, each of shape `(n, n)`: pictures by music.

    Raises:
        ValueError: When the shapes differ or are not square.
    """
    if image_logits.shape != audio_logits.shape or image_logits.ndim != 2 or len(set(image_logits.shape)) != 1:
        raise ValueError(f"expected two square arrays of one shape, got {image_logits.shape} and {audio_logits.shape}")
    product = softmax(image_logits, axis=1) @ softmax(audio_logits, axis=1).T
    return softmax(product, axis=1), product


def imsm(
    images: np.ndarray,
    clip_captions: np.ndarray,
    audios: np.ndarray,
    clap_captions: np.ndarray,
    clip_scale: float,
    clap_scale: float,
    batch: int = 0,
) -> ImsmScores:
    """Compute every form of IMSM.

    Args:
        images: CLIP's unit vectors of the pictures, of shape `(n, dim)`.
        clip_captions: CLIP's of the captions, same shape.
        audios: CLAP's unit vectors of the music, of shape `(n, dim)`.
        clap_captions: CLAP's of the captions, same shape.
        clip_scale: Factor of CLIP's logits.
        clap_scale: Factor of CLAP's logits.
        batch: Triplets that are compared with each other at a time, in order; 0 for all. A last smaller batch of one
            is joined to the one before.

    Returns:
        The scores.

    Raises:
        ValueError: When there are fewer than two triplets, or the numbers of rows differ.
    """
    n = len(images)
    if n < 2 or {len(clip_captions), len(audios), len(clap_captions)} != {n}:
        raise ValueError("IMSM needs at least two triplets, and as many pictures as captions and clips")
    size = batch or n
    starts = list(range(0, n, size))
    if n - starts[-1] == 1:
        starts.pop()
    released, before = np.empty(n), np.empty(n)
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        part = slice(start, end)
        matrix, product = released_matrix(
            clip_scale * images[part] @ clip_captions[part].T, clap_scale * audios[part] @ clap_captions[part].T
        )
        released[part], before[part] = np.diagonal(matrix), np.diagonal(product)
    cosines = [
        (one * other).sum(axis=1).clip(0.0, 1.0) for one, other in ((images, clip_captions), (audios, clap_captions))
    ]
    per_pair = np.sqrt(cosines[0] * cosines[1])
    return ImsmScores(float(released.mean()), float(before.mean()), float(per_pair.mean()), n, size)
