"""What a picture shows and how it feels, as a network that learned to name things sees it; the image model is told.

A small image model that has seen few pictures knows colours and shapes, not what a coffin or a wedding is, and what
people feel about a photograph is mostly about that. A frozen classifier knows. Telling an image diffusion model the
embedding of a picture is unCLIP's way (Ramesh et al. 2022, arXiv 2204.06125): it is added to the timestep's, and so
reaches the self-attention keys and values that the visual synapse listens to. Where music is to follow a picture's
mood alone, two numbers read off the embedding are enough, and leave little to be learned by heart.

Shape legend: ``batch`` pictures, ``features`` of the classifier, ``dim`` numbers that the image model is told.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from torch import nn

ENCODER_FOLDER = "image_encoder"
TELLS = ("mood", "embedding")
MOOD_AXES = ("valence", "arousal")


class PictureEncoder(ModelMixin, ConfigMixin):
    """A classifier's network without its last layer, and a linear reading of the mood off its features.

    Args:
        architecture: Name of the network in timm.
        size: Side in pixels of the square that it sees; pictures are resized to it.
        pixel_mean: Mean that each colour channel is normalised by, of values in [0, 1].
        pixel_std: Their deviation.
        tells: What the image model is told: ``mood`` or the whole ``embedding``.

    Raises:
        ValueError: When ``tells`` is another word.
    """

    @register_to_config
    def __init__(
        self,
        architecture: str = "tf_efficientnet_lite0",
        size: int = 224,
        pixel_mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        pixel_std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        tells: str = "mood",
    ) -> None:
        super().__init__()
        import timm  # takes a second, and most pipelines have no encoder

        if tells not in TELLS:
            raise ValueError(f"tells must be one of {TELLS}, got {tells!r}")
        self.network = timm.create_model(architecture, pretrained=False, num_classes=0)
        self.register_buffer("mean", torch.zeros(self.network.num_features))
        self.register_buffer("std", torch.ones(self.network.num_features))
        self.mood = nn.Linear(self.network.num_features, len(MOOD_AXES))

    @property
    def dim(self) -> int:
        """How many numbers the image model is told."""
        return len(MOOD_AXES) if self.config.tells == "mood" else len(self.mean)

    @torch.no_grad()
    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pictures.

        Args:
            pixels: Of shape ``(batch, 3, height, width)`` in [-1, 1].

        Returns:
            Standardised features of shape ``(batch, features)``; 0 is what pictures are on average.
        """
        side = (self.config.size, self.config.size)
        pixels = F.interpolate(pixels.float(), side, mode="bicubic", antialias=True).clamp(-1.0, 1.0)
        mean, std = (
            torch.tensor(values, device=pixels.device).view(1, 3, 1, 1)
            for values in (self.config.pixel_mean, self.config.pixel_std)
        )
        pixels = ((pixels + 1.0) / 2.0 - mean) / std
        features = self.network(pixels.to(self.mean).contiguous(memory_format=torch.channels_last))
        return (features - self.mean) / self.std

    @torch.no_grad()
    def read_mood(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Read the mood off embeddings.

        Args:
            embeddings: As :meth:`embed` gives them, of shape ``(batch, features)``.

        Returns:
            Valence and arousal of shape ``(batch, 2)``, as ranks from 0 (least) to 1.
        """
        return self.mood(embeddings).clamp(0.0, 1.0)

    @torch.no_grad()
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the image model is told of pictures.

        Args:
            pixels: Of shape ``(batch, 3, height, width)`` in [-1, 1].

        Returns:
            Of shape ``(batch, dim)``: their moods, of unit variance over ranks, or their embeddings. 0 is nothing in
            particular.
        """
        return self.tell(self.embed(pixels))

    @torch.no_grad()
    def tell(self, embeddings: torch.Tensor) -> torch.Tensor:
        """What the image model is told of pictures whose embeddings are known.

        Args:
            embeddings: As :meth:`embed` gives them, of shape ``(batch, features)``.

        Returns:
            As :meth:`forward` gives it.
        """
        return embeddings if self.config.tells == "embedding" else self.tell_mood(self.read_mood(embeddings))

    @staticmethod
    def tell_mood(moods: torch.Tensor) -> torch.Tensor:
        """What the image model is told of pictures of given moods, where it is told moods.

        Args:
            moods: Valence and arousal of shape ``(batch, 2)``, as ranks from 0 to 1.

        Returns:
            Same shape, with mean 0 and variance 1 over ranks.
        """
        return (moods - 0.5) * math.sqrt(12.0)


def embed_pictures(encoder: PictureEncoder | None, pixels: torch.Tensor) -> torch.Tensor | None:
    """What the image model is told of pictures, if anything.

    Args:
        encoder: The encoder; ``None`` for an image model that is told nothing.
        pixels: Of shape ``(batch, 3, height, width)`` in [-1, 1].

    Returns:
        Of shape ``(batch, dim)``, or ``None``.
    """
    return None if encoder is None else encoder(pixels.to(encoder.device))


def load_picture_encoder(folder: str | Path, image_unet: UNet2DConditionModel) -> PictureEncoder | None:
    """Load the encoder that belongs to an image UNet.

    Args:
        folder: Folder of the UNet: a trainer's export, which holds ``image_encoder``, or the folder ``image_unet``
            of a model, which has ``image_encoder`` beside it.
        image_unet: The UNet.

    Returns:
        The encoder in float32, frozen, on the UNet's device; ``None`` where the UNet is told nothing.

    Raises:
        FileNotFoundError: When the UNet needs one and neither place holds it.
    """
    if image_unet.class_embedding is None:
        return None
    folder = Path(folder)
    places = (folder / ENCODER_FOLDER, folder.resolve().parent / ENCODER_FOLDER)
    for place in places:
        if (place / "config.json").is_file():
            encoder = PictureEncoder.from_pretrained(place, torch_dtype=torch.float32)
            return encoder.eval().requires_grad_(False).to(image_unet.device)
    raise FileNotFoundError(f"no picture encoder for {folder}: neither {places[0]} nor {places[1]} holds one")
