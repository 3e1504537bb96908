"""Make a picture encoder of classifiers: ``melfusion train encoder --pictures FOLDER --out RUN``. Takes minutes.

The classifiers stay as they are. What they see of photographs with human ratings, and of procedural scenes, whose mood
and caption are known, teaches two regressions with one kernel: moods (support vectors) and what the classifiers' words
lack of the meaning (kernel ridge). Folds over themes of photographs choose how closely moods are fitted, and measure;
everything is then fitted again to all pictures.

Shape legend: ``n`` pictures, ``rated`` photographs, ``text`` features of the caption encoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melfusion_core.data.scenes import SCENE_KINDS
from melfusion_core.evaluation.metrics import spearman_interval
from melfusion_core.models.picture_encoder import MOOD_AXES, PictureEncoder
from melfusion_core.training.config import use_threads
from melfusion_core.training.encoder_examples import Examples, collect
from melfusion_core.training.encoder_fit import calibrate, fit_meaning, fit_moods, kernel, text_embedder
from melfusion_core.training.eyes import eye_settings, fill_eye, imagenet_words
from melfusion_core.training.spoken_words import GROUPS, candidates, fit_confidence

CLOSENESS = (0.5, 2.0, 5.0, 15.0)  # C of the support vectors
WIDTHS = (0.1, 0.2, 0.4)  # gamma, times the number of features


@dataclass(frozen=True)
class EncoderConfig:
    """Make a picture encoder of classifiers, photographs with ratings and procedural scenes.

    Args:
        pictures: Folder with ``pictures.csv``: photographs with human ratings.
        out: Run folder; the encoder is written to ``out/export``.
        eyes: Classifiers, each ``timm:ARCHITECTURE`` or ``open_clip:ARCHITECTURE``.
        weights: A file of weights for each of them; none for the libraries' own, which need the Hub.
        words: File with the words that the classifiers know, one a line; none for the classes of ImageNet.
        scenes: Procedural scenes of each kind.
        scene_weight: What all scenes count together, relative to all photographs.
        codes: Numbers of a meaning.
        temperature: Divisor of log probabilities: above 1, words share a meaning more evenly.
        folds: Folds over the themes of photographs.
        seeds: How often folds are drawn.
        seed: Seed of scenes and folds.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    pictures: str = ""
    out: str = ""
    eyes: tuple[str, ...] = ("timm:tf_efficientnet_lite0", "timm:tf_efficientnet_lite2")
    weights: tuple[str, ...] = ()
    words: str = ""
    scenes: int = 16
    scene_weight: float = 0.3
    codes: int = 48
    temperature: float = 1.5
    folds: int = 10
    seeds: int = 3
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.pictures or not self.out:
            raise ValueError("pictures and out must name folders")
        if not self.eyes or self.weights and len(self.weights) != len(self.eyes):
            raise ValueError("there must be at least one eye, and a file of weights for each eye or none at all")
        if min(self.codes, self.seeds) < 1 or self.folds < 2 or self.scenes < 0 or self.threads < 0:
            raise ValueError("codes and seeds must be positive, folds at least 2, scenes and threads not negative")
        if self.temperature <= 0 or self.scene_weight <= 0:
            raise ValueError("temperature and scene_weight must be positive")


def theme_folds(groups: np.ndarray, folds: int, seeds: int, seed: int) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Folds that keep themes together, drawn several times.

    Args:
        groups: Theme of each picture, of shape ``(n,)``.
        folds: Number of folds; fewer where there are fewer themes.
        seeds: How often they are drawn.
        seed: The first seed.

    Returns:
        For each draw the rows to learn from and to test on, fold by fold.
    """
    from sklearn.model_selection import GroupKFold

    count = min(folds, len(set(groups.tolist())))
    draws = [GroupKFold(count, shuffle=True, random_state=seed + number) for number in range(seeds)]
    return [list(draw.split(groups, groups=groups)) for draw in draws]


def predict_by_folds(
    examples: Examples, config: EncoderConfig, predict: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Moods of photographs, each said by regressions that saw no picture of its theme.

    Args:
        examples: The pictures.
        config: How often and in how many folds.
        predict: From the rows to learn from, scenes among them, and those to test on to moods of the latter.

    Returns:
        Means over the draws, of shape ``(rated, 2)``.
    """
    rated, scenes = examples.rated, np.flatnonzero(examples.scenes)
    draws = theme_folds(examples.groups[rated], config.folds, config.seeds, config.seed)
    said = np.zeros((len(draws), len(rated), len(MOOD_AXES)))
    for number, draw in enumerate(draws):
        for known, asked in draw:
            said[number, asked] = predict(np.concatenate([rated[known], scenes]), rated[asked])
    return said.mean(axis=0)


def choose_fit(examples: Examples, config: EncoderConfig) -> tuple[float, tuple[float, ...], np.ndarray]:
    """Choose the kernel's width and how closely moods are fitted, by folds over themes.

    Args:
        examples: The pictures.
        config: The folds.

    Returns:
        The width, the closeness of each axis, and what folds say of the photographs with these, of shape
        ``(rated, 2)``. The choice among so few leaves what folds say about as honest as it was.
    """
    truth, found = examples.moods[examples.rated], []
    for width in WIDTHS:
        gamma = width / examples.features.shape[1]
        gram = kernel(examples.features, examples.features, gamma)
        for c in CLOSENESS:

            def predict(known: np.ndarray, asked: np.ndarray, gram=gram, c=c) -> np.ndarray:
                weights = examples.weights(known, config.scene_weight)
                dual = fit_moods(gram[np.ix_(known, known)], examples.moods[known], weights, (c, c))
                return gram[np.ix_(asked, known)] @ dual[:-1] + dual[-1]

            said = predict_by_folds(examples, config, predict)
            error = np.abs(said - truth).mean(axis=0)
            found.append((gamma, c, said, error))
    by_gamma = {gamma: [each for each in found if each[0] == gamma] for gamma, *_ in found}
    best = min(by_gamma.values(), key=lambda each: sum(min(e[3][axis] for e in each) for axis in range(2)))
    chosen = [min(best, key=lambda each, axis=axis: each[3][axis]) for axis in range(len(MOOD_AXES))]
    said = np.stack([each[2][:, axis] for axis, each in enumerate(chosen)], axis=1)
    return chosen[0][0], tuple(each[1] for each in chosen), said


def baselines(examples: Examples, config: EncoderConfig) -> dict[str, np.ndarray]:
    """What simpler means say of the photographs, by the same folds.

    Args:
        examples: The pictures.
        config: The folds.

    Returns:
        By name, moods of shape ``(rated, 2)``: ridge regression on the same features, and on colour and texture.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = {}
    for name, values in (("ridge", examples.features), ("colour and texture", examples.colours)):

        def predict(known: np.ndarray, asked: np.ndarray, values=values) -> np.ndarray:
            known = known[~examples.scenes[known]]
            line = make_pipeline(StandardScaler(), RidgeCV(10.0 ** np.arange(-1.0, 5.1)))
            return line.fit(values[known], examples.moods[known]).predict(values[asked])

        said[name] = predict_by_folds(examples, config, predict)
    return said


def measure(examples: Examples, config: EncoderConfig, said: dict[str, np.ndarray]) -> dict[str, Any]:
    """Compare moods that were said by folds with the ratings.

    Args:
        examples: The pictures.
        config: The seed of the bootstrap.
        said: By name of the reading, moods of shape ``(rated, 2)``.

    Returns:
        By name and axis, Spearman's rank correlation with a 95 % interval, themes resampled.
    """
    rated = examples.rated
    return {
        name: {
            axis: spearman_interval(
                examples.moods[rated, column], moods[:, column], config.seed, groups=examples.groups[rated].tolist()
            ).to_dict()
            for column, axis in enumerate(MOOD_AXES)
        }
        for name, moods in said.items()
    }


def scene_check(examples: Examples, config: EncoderConfig, gram: np.ndarray, closeness: Sequence[float]) -> dict:
    """How well moods of procedural scenes are read that were not learned from: every fourth.

    Args:
        examples: The pictures.
        config: What scenes count.
        gram: Kernel among the pictures.
        closeness: For each axis how closely moods are fitted.

    Returns:
        Spearman's rank correlation by axis, and the number of scenes; empty where there are too few.
    """
    from scipy.stats import spearmanr

    scenes = np.flatnonzero(examples.scenes)
    asked = scenes[len(SCENE_KINDS) * (config.scenes - config.scenes // 4) :]
    if len(asked) < 3:
        return {}
    known = np.concatenate([examples.rated, np.setdiff1d(scenes, asked)])
    dual = fit_moods(
        gram[np.ix_(known, known)], examples.moods[known], examples.weights(known, config.scene_weight), closeness
    )
    said = gram[np.ix_(asked, known)] @ dual[:-1] + dual[-1]
    correlate: Any = spearmanr  # scipy does not say what its results have
    rhos = [float(correlate(said[:, axis], examples.moods[asked, axis]).statistic) for axis in range(2)]
    return {"n": len(asked), **{axis: round(rho, 3) for axis, rho in zip(MOOD_AXES, rhos, strict=True)}}


def build_encoder(config: EncoderConfig) -> PictureEncoder:
    """An encoder with its classifiers' weights, and regressions that say nothing yet.

    Args:
        config: Which classifiers.

    Returns:
        The encoder, frozen.

    Raises:
        ValueError: When a classifier is unknown or weights are another's.
    """
    words = Path(config.words).read_text(encoding="utf-8").split("\n") if config.words else imagenet_words()
    words = [word.strip() for word in words if word.strip()]
    spoken = {word: list(places) for word, places in candidates(words, {} if config.words else GROUPS)}
    settings = [eye_settings(name) for name in config.eyes]
    encoder = PictureEncoder(settings, words, spoken, codes=config.codes, temperature=config.temperature).eval()
    for place, (eye, name) in enumerate(zip(encoder.networks, config.eyes, strict=True)):
        fill_eye(eye, name, config.weights[place] if config.weights else "", words)
    return encoder.requires_grad_(False)


def train(config: EncoderConfig) -> dict[str, Any]:
    """Make, fit, measure and save an encoder.

    Args:
        config: What to make it of.

    Returns:
        What folds measured; also in ``summary.json``. The encoder is in ``out/export``.

    Raises:
        ValueError: When there are too few rated photographs, or a classifier does not fit.
    """
    use_threads(config.threads)
    encoder = build_encoder(config)
    examples = collect(encoder, config.pictures, config.scenes, config.seed)
    if len(examples.rated) < 2 * config.folds:
        raise ValueError(f"{len(examples.rated)} rated photographs are too few for {config.folds} folds")
    gamma, closeness, said = choose_fit(examples, config)
    encoder.register_to_config(supports=len(examples.groups), gamma=gamma)
    encoder.support = torch.from_numpy(examples.features).float()
    gram = kernel(examples.features, examples.features, gamma)
    known = np.concatenate([examples.rated, np.flatnonzero(examples.scenes)])
    weights = examples.weights(known, config.scene_weight)
    dual = fit_moods(gram[np.ix_(known, known)], examples.moods[known], weights, closeness)
    encoder.mood_dual = torch.zeros(len(examples.groups), len(MOOD_AXES))
    encoder.mood_dual[torch.from_numpy(known)] = torch.from_numpy(dual[:-1]).float()
    calibrate(encoder, said - dual[-1], examples.moods[examples.rated])
    fit_meaning(encoder, examples, gram, text_embedder())
    photographs = ~examples.scenes
    truth = fit_confidence(
        np.exp(examples.logs[photographs]), examples.texts[: photographs.sum()], list(encoder.config.spoken.items())
    )
    if truth is not None:
        encoder.word_truth = torch.tensor(truth)
    result = {
        "photographs": int((~examples.scenes).sum()), "scenes": int(examples.scenes.sum()),
        "gamma_times_features": gamma * examples.features.shape[1], "closeness": list(closeness),
        "folds over themes": measure(examples, config, {"kernel": said, **baselines(examples, config)}),
        "held-out scenes": scene_check(examples, config, gram, closeness),
    }  # fmt: skip
    folder = Path(config.out)
    encoder.half().save_pretrained(folder / "export", max_shard_size="8MB")
    (folder / "summary.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result
