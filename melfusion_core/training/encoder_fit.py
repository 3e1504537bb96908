"""The regressions of a picture encoder: moods by support vectors, what words lack of a meaning by kernel ridge.

Shape legend: ``n`` pictures, ``features`` of all classifiers, ``codes`` numbers of a meaning, ``text`` features of the
caption encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from melfusion_core.models.picture_encoder import MOOD_AXES, PictureEncoder
from melfusion_core.models.text import encode_text, load_minilm
from melfusion_core.training.encoder_examples import LEAST_STD, Examples

TOLERANCE = 0.1  # epsilon of the support vectors: errors of the mood that do not count
RIDGE = 1.0  # penalty of what is learned of meanings
CLEAR = 0.75  # typed words are as loud as a picture at this quantile
LONGEST_WORDS = 24  # tokens of what a picture shows
SCENE_COUNT = 0.3  # what all scenes count together in what is learned of meanings, relative to photographs


def kernel(first: np.ndarray, second: np.ndarray, gamma: float) -> np.ndarray:
    """The regressions' kernel.

    Args:
        first: Features of shape ``(n, features)``.
        second: Features of shape ``(m, features)``.
        gamma: Weight of the squared distance.

    Returns:
        Of shape ``(n, m)``, in (0, 1].
    """
    from sklearn.metrics.pairwise import rbf_kernel

    return rbf_kernel(first, second, gamma)


def fit_moods(gram: np.ndarray, moods: np.ndarray, weights: np.ndarray, closeness: Sequence[float]) -> np.ndarray:
    """Support vector regression of valence and arousal.

    Args:
        gram: Kernel among the pictures, of shape ``(n, n)``.
        moods: Of shape ``(n, 2)``.
        weights: What each picture counts, of shape ``(n,)``.
        closeness: For each axis how much errors count relative to smoothness.

    Returns:
        Of shape ``(n + 1, 2)``: weights of the kernel's columns, and a constant.
    """
    from sklearn.svm import SVR

    dual = np.zeros((len(moods) + 1, len(MOOD_AXES)))
    for axis, c in enumerate(closeness):
        machine = SVR(kernel="precomputed", C=c, epsilon=TOLERANCE).fit(gram, moods[:, axis], sample_weight=weights)
        dual[machine.support_, axis] = machine.dual_coef_[0]
        dual[-1, axis] = machine.intercept_[0]
    return dual


@torch.no_grad()
def fit_meaning(
    encoder: PictureEncoder, examples: Examples, gram: np.ndarray, embed: Callable[[Sequence[str]], np.ndarray]
) -> None:
    """Give an encoder its words' meanings, and teach it what they lack.

    The space is the principal axes of all words. A picture's words say what it shows as loudly as they are sure; the
    themes and captions of pictures are brought to that loudness, and what remains of them is learned by kernel ridge.

    Args:
        encoder: The encoder.
        examples: The pictures.
        gram: Kernel among them, of shape ``(n, n)``.
        embed: Embeds texts by the caption encoder, to an array of shape ``(n, text)``.
    """
    words, texts = embed(list(encoder.config.words)), embed(list(examples.texts))
    unique = np.unique(texts.round(6), axis=0)
    centre = np.concatenate([words, unique]).mean(axis=0)
    _, _, axes = np.linalg.svd(np.concatenate([words, unique]) - centre, full_matrices=False)
    if len(axes) < encoder.config.codes:
        raise ValueError(f"{encoder.config.codes} codes are more than {len(axes)} words and texts give")
    basis = axes[: encoder.config.codes].T
    by_words = np.exp(examples.logs) @ ((words - centre) @ basis)
    photographs = ~examples.scenes
    middle = by_words[photographs].mean(axis=0)
    places = (texts - centre) @ basis
    text_mean = centre + basis @ places[photographs].mean(axis=0)
    places = (texts - text_mean) @ basis
    loudness = np.sqrt(np.square(by_words[photographs] - middle).sum() / np.square(places[photographs]).sum())
    lacking = loudness * places + middle - by_words
    counts = np.ones(len(places))
    counts[~photographs] = SCENE_COUNT * photographs.sum() / max(int((~photographs).sum()), 1)
    dual = np.linalg.solve(gram + RIDGE * np.diag(1.0 / counts), lacking)
    codes = by_words + gram @ dual
    spread = np.sqrt(np.square(codes - codes.mean(axis=0)).sum(axis=1))
    lengths = np.sqrt(np.square(places).sum(axis=1))
    for name, value in {
        "basis": basis, "text_mean": text_mean, "word_codes": (words - centre) @ basis, "meaning_dual": dual,
        "meaning_mean": codes.mean(axis=0), "meaning_std": codes.std(axis=0).clip(LEAST_STD),
        "text_gain": np.quantile(spread, CLEAR) / lengths.mean(),
    }.items():  # fmt: skip
        setattr(encoder, name, torch.as_tensor(value, dtype=torch.float32))


@torch.no_grad()
def calibrate(encoder: PictureEncoder, said: np.ndarray, truth: np.ndarray) -> None:
    """Let an encoder know how its moods compare with ratings, from what folds said.

    Args:
        encoder: The encoder; its moods are standardised from then on.
        said: Moods that folds said, of shape ``(rated, 2)``.
        truth: Ratings as z-scores, of shape ``(rated, 2)``.
    """
    mean, std = said.mean(axis=0), said.std(axis=0).clip(LEAST_STD)
    standard = (said - mean) / std
    slope = (standard * truth).mean(axis=0)
    error = np.sqrt(np.square(truth - truth.mean(axis=0) - slope * standard).mean(axis=0))
    for name, value in {"mood_mean": mean, "mood_std": std, "mood_slope": slope, "mood_error": error}.items():
        setattr(encoder, name, torch.as_tensor(value, dtype=torch.float32))


def text_embedder() -> Callable[[Sequence[str]], np.ndarray]:
    """The caption encoder as a function.

    Returns:
        From texts to an array of shape ``(texts, text)``.
    """
    parts = load_minilm()

    def embed(texts: Sequence[str]) -> np.ndarray:
        batches = (list(texts[start : start + 64]) for start in range(0, len(texts), 64))
        return np.concatenate([encode_text(*parts, batch, LONGEST_WORDS).pooled.double().numpy() for batch in batches])

    return embed
