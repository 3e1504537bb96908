"""What kind of scene a picture shows, read off what the image model computes for the music anyway.

A linear classifier on the mean and the standard deviation over tokens of the decoder's self-attention keys and values.
It says nothing where it is not sure, and nothing of what it takes for a photograph: see
:mod:`melfusion_core.training.scenes` for what it was fitted to and how often it is right.

Shape legend: ``batch`` pictures, ``features`` statistics of a picture, ``labels`` kinds of scene.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin, SchedulerMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import nn

from melfusion_core.image import image_to_tensor
from melfusion_core.models.features import (
    ImageFeatures,
    KeyValue,
    capture_image_features,
    decoder_attention_names,
    picture_size,
)
from melfusion_core.models.picture_encoder import PictureEncoder, embed_pictures
from melfusion_core.models.text import TextCondition

SCENE_FOLDER = "scene_classifier"
NORM_TOLERANCE = 1e-2  # relative; half precision changes a norm by less than a thousandth


@dataclass(frozen=True)
class SceneReading:
    """What a picture was taken for.

    Args:
        label: The likeliest kind of scene.
        probability: Its probability, from 0 to 1.
        word: The label, where it may be said; ``None`` where the classifier abstains.
    """

    label: str
    probability: float
    word: str | None


class SceneClassifier(ModelMixin, ConfigMixin):
    """Standardisation and one linear layer on token statistics.

    Args:
        labels: Kinds of scene, as words that can stand in a sentence.
        silent: Those of them that are never said.
        features: Number of statistics of a picture.
        key_timestep: Timestep of the image model whose keys and values are read.
        num_inversion_steps: Steps of the inversion up to there.
        threshold: Probability from which on a label is said.
        image_norms: :func:`attention_norms` of the image model that it was fitted to.
    """

    @register_to_config
    def __init__(
        self,
        labels: Sequence[str] = ("scene",),
        silent: Sequence[str] = (),
        features: int = 1,
        key_timestep: int = 100,
        num_inversion_steps: int = 1,
        threshold: float = 1.0,
        image_norms: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.linear = nn.Linear(features, len(labels))

    def forward(self, statistics: torch.Tensor) -> torch.Tensor:
        """Probabilities of the kinds of scene.

        Args:
            statistics: As :func:`token_statistics` gives them, of shape ``(batch, features)``.

        Returns:
            Probabilities of shape ``(batch, labels)``.
        """
        return self.linear((statistics - self.mean) / self.std).softmax(dim=1)

    @torch.no_grad()
    def read(self, features: ImageFeatures) -> list[SceneReading]:
        """Say what pictures show, or nothing.

        Args:
            features: Features of the pictures at the classifier's key timestep, among others.

        Returns:
            One reading per picture.

        Raises:
            ValueError: When the features lack the key timestep.
        """
        statistics = token_statistics(features, self.config.key_timestep)
        probabilities, best = self(statistics.to(self.mean)).max(dim=1)
        labels = [self.config.labels[index] for index in best.tolist()]
        return [
            SceneReading(label, share, label if self.says(label, share) else None)
            for label, share in zip(labels, probabilities.tolist(), strict=True)
        ]

    def says(self, label: str, probability: float) -> bool:
        """Whether a label is said.

        Args:
            label: The likeliest label.
            probability: Its probability.

        Returns:
            Whether it is sure enough, and none of the silent ones.
        """
        return label not in self.config.silent and probability >= self.config.threshold


class SceneReader:
    """A classifier with a copy of the image model of its own, on the CPU, so that it may read while music is made.

    Args:
        classifier: The classifier.
        image_unet: The image model that it was fitted to.
        image_scheduler: Its scheduler.
        null_text: The empty caption for the image model, batch 1.
        encoder: Tells the image model what a picture shows, where it takes an embedding.

    Raises:
        ValueError: When the classifier was fitted to another image model.
    """

    def __init__(
        self,
        classifier: SceneClassifier,
        image_unet: UNet2DConditionModel,
        image_scheduler: SchedulerMixin,
        null_text: TextCondition,
        encoder: PictureEncoder | None = None,
    ) -> None:
        wanted, found = list(classifier.config.image_norms), attention_norms(image_unet)
        fits = len(wanted) == len(found)
        if not fits or any(abs(a - b) > NORM_TOLERANCE * a for a, b in zip(wanted, found, strict=True)):
            raise ValueError("the scene classifier was fitted to another image model: fit it again to this one")
        self.classifier = classifier.float().eval()
        self._unet = copy.deepcopy(image_unet).to("cpu", torch.float32).eval()
        self._scheduler = image_scheduler
        self._null_text = null_text.to("cpu", torch.float32)
        self._encoder = None if encoder is None else copy.deepcopy(encoder).to("cpu", torch.float32).eval()
        self._lock = threading.Lock()  # the features are taken by exchanging the UNet's attention processors

    def read(self, image: Image.Image) -> SceneReading:
        """Say what a picture shows, or nothing.

        Args:
            image: RGB picture.

        Returns:
            The reading.
        """
        pixels, told = image_to_tensor(image, picture_size(self._unet))[None], embed_pictures(self._encoder, [image])
        with self._lock:
            return self.classifier.read(
                picture_features(self.classifier, self._unet, self._scheduler, pixels, self._null_text, told)
            )[0]


def picture_features(
    classifier: SceneClassifier,
    image_unet: UNet2DConditionModel,
    image_scheduler: SchedulerMixin,
    pixels: torch.Tensor,
    null_text: TextCondition,
    embedding: torch.Tensor | None = None,
) -> ImageFeatures:
    """Take the features that a classifier reads.

    Args:
        classifier: Whose key timestep and inversion steps count.
        image_unet: The image model, on pixels.
        image_scheduler: Its scheduler.
        pixels: Pictures of shape ``(batch, 3, size, size)`` in [-1, 1].
        null_text: The empty caption for the image model, batch 1.
        embedding: What the image model is told of them, of shape ``(batch, dim)``, where it is told anything.

    Returns:
        The features, float32.
    """
    timesteps, steps = (classifier.config.key_timestep,), classifier.config.num_inversion_steps
    return capture_image_features(
        image_unet, image_scheduler, pixels, null_text, timesteps, steps, torch.float32, embedding
    )


def token_statistics(features: ImageFeatures, timestep: int) -> torch.Tensor:
    """Mean and standard deviation over tokens of the keys and values of every layer.

    Args:
        features: Features of a batch of pictures.
        timestep: One of their key timesteps.

    Returns:
        Of shape ``(batch, features)``: layer by layer the means and deviations of the keys, then of the values.

    Raises:
        ValueError: When the features lack the timestep.
    """
    if timestep not in features.timesteps:
        raise ValueError(f"features of timestep {timestep} are needed, and there are those of {features.timesteps}")
    pairs = features.layers[features.timesteps.index(timestep)]
    return torch.cat([layer_statistics(pair) for pair in pairs], dim=1)


def layer_statistics(pair: KeyValue) -> torch.Tensor:
    """Mean and standard deviation over tokens of the keys and values of one layer.

    Args:
        pair: Keys and values, each of shape ``(batch, tokens, dim)``.

    Returns:
        Of shape ``(batch, 4 * dim)``, float32: mean and deviation of the keys, then of the values.
    """
    states = [state.float() for state in pair]
    return torch.cat([part for state in states for part in (state.mean(1), state.std(1, unbiased=False))], dim=1)


def attention_norms(image_unet: UNet2DConditionModel) -> list[float]:
    """Norms of the weights whose outputs are read: they tell one image model from another.

    Args:
        image_unet: The image model.

    Returns:
        Norm of the key and of the value projection of every self-attention layer of the decoder.
    """
    layers = [
        image_unet.get_submodule(name.removesuffix(".processor"))
        for name in decoder_attention_names(image_unet, "attn1")
    ]
    return [
        round(float(part.weight.detach().float().norm()), 4) for layer in layers for part in (layer.to_k, layer.to_v)
    ]


def load_scene_classifier(folder: str | Path) -> SceneClassifier | None:
    """Load the classifier of a model, which is no part of the pipeline.

    Args:
        folder: Folder of the model.

    Returns:
        The classifier; ``None`` where the model has no folder ``scene_classifier``.

    Raises:
        ValueError: When its file lacks weights or has others.
    """
    folder = Path(folder) / SCENE_FOLDER
    if not (folder / "config.json").is_file():
        return None
    classifier, info = SceneClassifier.from_pretrained(folder, output_loading_info=True)
    wrong = [*info["missing_keys"], *info["unexpected_keys"]]
    if wrong:
        raise ValueError(f"{folder} has missing or unexpected weights: {', '.join(wrong)}")
    return classifier.float().eval()
