"""What classifiers see of rated photographs and procedural scenes: what a picture encoder is fitted to.

Shape legend: ``n`` pictures, ``features`` of all classifiers, ``words`` that they know.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.data.picture_affect import picture_affect, picture_features
from melfusion_core.data.pictures import RATING_MEAN, RATING_STD, load_rated_pictures
from melfusion_core.data.scenes import SCENE_KINDS, render_scene
from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.models.picture_encoder import PictureEncoder

SCENE_SIZE = 256  # pixels, as large as the eyes see
LEAST_STD = 1e-4


@dataclass(frozen=True)
class Examples:
    """What the classifiers see of pictures, and what is known of them.

    Args:
        features: Of shape ``(n, features)``, standardised over photographs.
        logs: Log probabilities of shape ``(n, words)``.
        moods: Valence and arousal as z-scores, of shape ``(n, 2)``; not a number where unknown.
        colours: Colour and texture of shape ``(n, colours)``, for comparison.
        groups: What folds keep together: the theme of a photograph, the kind of a scene.
        texts: What they show, in words.
        scenes: Which are scenes, of shape ``(n,)``.
    """

    features: np.ndarray
    logs: np.ndarray
    moods: np.ndarray
    colours: np.ndarray
    groups: np.ndarray
    texts: tuple[str, ...]
    scenes: np.ndarray

    @property
    def rated(self) -> np.ndarray:
        """Rows of photographs with ratings."""
        return np.flatnonzero(~self.scenes & np.isfinite(self.moods).all(axis=1))

    def weights(self, rows: np.ndarray, scene_weight: float) -> np.ndarray:
        """What each of some pictures counts: a theme by the root of its number, all scenes together as told.

        Args:
            rows: The pictures.
            scene_weight: What scenes count together, relative to photographs.

        Returns:
            Of shape ``(rows,)``; photographs count 1 on average.
        """
        weights, scenes = np.zeros(len(rows)), self.scenes[rows]
        _, theme, count = np.unique(self.groups[rows], return_inverse=True, return_counts=True)
        weights[~scenes] = (1.0 / np.sqrt(count[theme]))[~scenes]
        photographs = int((~scenes).sum())
        weights[~scenes] *= photographs / max(weights.sum(), 1e-9)
        weights[scenes] = scene_weight * max(photographs, 1) / max(int(scenes.sum()), 1)
        return weights


def collect(encoder: PictureEncoder, pictures: str | Path, scenes: int, seed: int) -> Examples:
    """Show an encoder's classifiers all pictures; its features are standardised over the photographs from then on.

    Args:
        encoder: The encoder, with its classifiers' weights.
        pictures: Folder with ``pictures.csv``.
        scenes: Procedural scenes of each kind.
        seed: Their seed.

    Returns:
        What they see.
    """
    photographs = load_rated_pictures(pictures)
    parts: list[tuple[torch.Tensor, torch.Tensor]] = []
    moods, colours, groups, texts = [], [], [], []
    for photograph in tqdm(photographs, desc="photographs", mininterval=5.0):
        image = load_image(photograph.path)
        parts.append(encoder.see(image_to_tensor(image, encoder.size)[None]))
        ratings = (photograph.valence, photograph.arousal)
        moods.append(
            [
                np.nan if rating is None else (rating - mean) / std
                for rating, mean, std in zip(ratings, RATING_MEAN, RATING_STD, strict=True)
            ]
        )
        colours.append(list(vars(picture_features(image)).values()))
        groups.append(f"theme {photograph.theme}")
        texts.append(photograph.theme)
    for number in tqdm(range(scenes), desc="scenes of each kind", mininterval=5.0):
        for kind_number, kind in enumerate(SCENE_KINDS):
            scene = render_scene(np.random.default_rng([seed, number, kind_number]), SCENE_SIZE, kind)
            parts.append(encoder.see(image_to_tensor(scene.image, encoder.size)[None]))
            moods.append(list(picture_affect(scene.image, (scene.semantics_valence, scene.semantics_arousal))))
            colours.append(list(vars(picture_features(scene.image)).values()))
            groups.append(f"scene {kind}")
            texts.append(scene.caption)
    features, logs = (torch.cat(values) for values in zip(*parts, strict=True))
    painted = np.arange(len(groups)) >= len(photographs)
    shot = features[torch.from_numpy(~painted)]
    mean, std = shot.mean(0), shot.std(0).clamp_min(LEAST_STD)
    encoder.feature_mean = encoder.feature_mean + mean * encoder.feature_std
    encoder.feature_std = encoder.feature_std * std
    encoder.register_to_config(features=features.shape[1])
    return Examples(
        features=((features - mean) / std).double().numpy(),
        logs=logs.double().numpy(),
        moods=torch.tensor(moods).double().numpy(),
        colours=torch.tensor(colours).double().numpy(),
        groups=np.array(groups),
        texts=tuple(texts),
        scenes=painted,
    )
