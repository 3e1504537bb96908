"""The eye: how a picture feels and what it shows, as networks that learned to name things see it.

A small image model that has seen few pictures knows colours and shapes, not what a coffin or a wedding is, and what
people feel about a photograph is mostly about that. Frozen classifiers know. The image model is told two things, in
unCLIP's way (Ramesh et al. 2022, arXiv 2204.06125: added to the timestep's embedding), and so they reach the
self-attention keys and values that the visual synapse listens to:

- **mood**, valence and arousal, by kernel regression on what the networks' last two stages hold on average and how
  much it varies over the picture;
- **meaning**, the words that the networks know, weighted by their probabilities, in the caption encoder's own space
  and reduced to some tens of numbers. So meaning goes beyond pictures: any words have one. A kernel regression adds
  what the words lack (there is none for a galaxy or a party).

What is told is standardised: 0 is what pictures are on average, 1 how much they differ.

Shape legend: ``batch`` pictures, ``words`` that the networks know, ``features`` of all networks together, ``codes``
numbers of a meaning, ``supports`` pictures that the regressions remember, ``text`` features of the caption encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import nn

from melfusion_core.image import image_to_tensor

ENCODER_FOLDER = "image_encoder"
MOOD_AXES = ("valence", "arousal")
STAGES = 2
LIBRARIES = ("timm", "open_clip")
NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}
"""The smallest text half that CLIP can have: only its other half is wanted."""


@dataclass(frozen=True)
class PictureReading:
    """What an encoder reads off pictures; any part may be replaced by what is known better.

    Args:
        moods: Valence and arousal, of shape ``(batch, 2)``; 0 is the mean of what is read of photographs, 1 its
            deviation.
        words: Probabilities of the encoder's words, of shape ``(batch, words)``.
        meanings: What is shown, standardised, of shape ``(batch, codes)``.
    """

    moods: torch.Tensor
    words: torch.Tensor
    meanings: torch.Tensor

    def __len__(self) -> int:
        return len(self.moods)


class Eye(nn.Module):
    """One frozen classifier.

    Args:
        library: ``timm``, or ``open_clip`` for the picture's half of a CLIP model with one direction per word.
        architecture: Name of the network there.
        size: Side in pixels of the square that it sees.
        mean: Mean that each colour channel is normalised by, of values in [0, 1].
        std: Their deviation.
        words: Number of words that it knows.

    Raises:
        ValueError: When the library is another one, or the network does not give its stages away.
    """

    network: Any  # of timm or open_clip, whose classes do not say what they have

    def __init__(
        self, library: str, architecture: str, size: int, mean: Sequence[float], std: Sequence[float], words: int
    ) -> None:
        super().__init__()
        if library not in LIBRARIES:
            raise ValueError(f"library must be one of {LIBRARIES}, got {library!r}")
        self.library, self.size, self.channels = library, size, (tuple(mean), tuple(std))
        if library == "timm":
            import timm  # takes a second, and most pipelines have no encoder

            self.network = timm.create_model(architecture, pretrained=False, num_classes=words)
        else:
            import open_clip

            known = open_clip.get_model_config(architecture)
            if known is None:
                raise ValueError(f"open_clip does not know {architecture}")
            half = {"embed_dim": known["embed_dim"], "vision_cfg": known["vision_cfg"], "text_cfg": NO_TEXT}
            self.network = open_clip.CLIP(**half, quick_gelu=known.get("quick_gelu", False)).visual
            self.head = nn.Linear(known["embed_dim"], words, bias=False)
        if not hasattr(self.network, "forward_intermediates"):
            raise ValueError(f"{architecture} does not give its stages away; choose another network")

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See pictures.

        Args:
            pixels: Of shape ``(batch, 3, size, size)`` in [-1, 1].

        Returns:
            Mean and deviation over the picture of each channel of the last two stages, of shape ``(batch, features)``,
            and logits of shape ``(batch, words)``.
        """
        mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in self.channels)
        pixels = ((pixels + 1.0) / 2.0 - mean) / std
        pixels = pixels.to(next(self.network.parameters()).dtype).contiguous(memory_format=torch.channels_last)
        if self.library == "timm":
            last, stages = self.network.forward_intermediates(pixels, indices=STAGES)
            logits = self.network.forward_head(last)
        else:
            found = self.network.forward_intermediates(pixels, indices=STAGES)
            stages = found["image_intermediates"]
            logits = self.head(F.normalize(found["image_features"], dim=-1))
        parts = [part for stage in stages for part in (stage.mean((2, 3)), stage.std((2, 3), unbiased=False))]
        return torch.cat(parts, dim=1).float(), logits.float()


class PictureEncoder(ModelMixin, ConfigMixin):
    """Frozen classifiers, and what they say of mood and meaning; `melfusion train encoder` fits it.

    Args:
        eyes: Arguments of each :class:`Eye` but its number of words.
        words: What the eyes' classes are called.
        spoken: What may be said of pictures, in plain words, each with the places of the words that it stands for;
            see :func:`~melfusion_core.models.picture_words.describe`.
        features: Number of features of all eyes together.
        supports: Pictures that the regressions remember.
        codes: Numbers of a meaning.
        text_dim: Width of the caption encoder.
        gamma: Width of the regressions' kernel: weight of the squared distance of standardised features.
        temperature: Divisor of the log probabilities.
    """

    @register_to_config
    def __init__(
        self,
        eyes: Sequence[Mapping[str, Any]] = (
            {"library": "timm", "architecture": "tf_efficientnet_lite0", "size": 224, "mean": [0.5] * 3,
             "std": [0.5] * 3},
        ),
        words: Sequence[str] = ("thing", "other thing"),
        spoken: Mapping[str, Sequence[int]] = {},  # noqa: B006 - read only
        features: int = 1,
        supports: int = 1,
        codes: int = 2,
        text_dim: int = 384,
        gamma: float = 1.0,
        temperature: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.networks = nn.ModuleList(Eye(**eye, words=len(words)) for eye in eyes)
        for name, shape in {
            "support": (supports, features),
            "mood_dual": (supports, len(MOOD_AXES)),
            "meaning_dual": (supports, codes),
            "word_codes": (len(words), codes),
            "basis": (text_dim, codes),
            "text_mean": (text_dim,),
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        for name, width in {"feature": features, "mood": len(MOOD_AXES), "meaning": codes}.items():
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_std", torch.ones(width))
        # How far a guessed mood tends to be from the rating, and how words' probabilities hold.
        self.register_buffer("mood_slope", torch.ones(len(MOOD_AXES)))
        self.register_buffer("mood_error", torch.ones(len(MOOD_AXES)))
        self.register_buffer("word_truth", torch.tensor([1.0, 0.0]))
        self.register_buffer("text_gain", torch.ones(()))

    @property
    def dim(self) -> int:
        """How many numbers the image model is told."""
        return len(MOOD_AXES) + self.config.codes

    @property
    def size(self) -> int:
        """Side in pixels that pictures should have to lose nothing."""
        return max(eye.size for eye in self.eyes)

    @property
    def eyes(self) -> list[Eye]:
        """The classifiers."""
        return [eye for eye in self.networks if isinstance(eye, Eye)]

    @torch.no_grad()
    def see(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and probabilities, both means over pictures and their mirror images.

        Args:
            pixels: Of shape ``(batch, 3, height, width)`` in [-1, 1]; at least :attr:`size` high and wide, they lose
                nothing.

        Returns:
            Standardised features of shape ``(batch, features)`` and log probabilities of shape ``(batch, words)``.
        """
        pixels = pixels.to(self.support.device, torch.float32)
        both, features, logs = torch.cat([pixels, pixels.flip(-1)]), [], []
        for eye in self.eyes:
            seen = both
            if both.shape[-2:] != (eye.size, eye.size):
                seen = F.interpolate(both, (eye.size, eye.size), mode="bicubic", antialias=True).clamp(-1.0, 1.0)
            feature, logits = eye(seen)
            features.append(feature.unflatten(0, (2, -1)).mean(0))
            logs.append(logits.log_softmax(1).unflatten(0, (2, -1)).mean(0))
        logs = (torch.stack(logs).mean(0) / self.config.temperature).log_softmax(1)
        return (torch.cat(features, dim=1) - self.feature_mean) / self.feature_std, logs

    @torch.no_grad()
    def interpret(self, features: torch.Tensor, logs: torch.Tensor) -> PictureReading:
        """Read mood and meaning off what was seen.

        Args:
            features: As :meth:`see` gives them, of shape ``(batch, features)``.
            logs: As :meth:`see` gives them, of shape ``(batch, words)``.

        Returns:
            The reading.
        """
        kernel = torch.exp(-self.config.gamma * torch.cdist(features, self.support).square())
        moods = (kernel @ self.mood_dual - self.mood_mean) / self.mood_std
        words = logs.exp()
        codes = words @ self.word_codes + kernel @ self.meaning_dual
        return PictureReading(moods, words, (codes - self.meaning_mean) / self.meaning_std)

    def read(self, pictures: Sequence[Image.Image] | torch.Tensor) -> PictureReading:
        """Read pictures.

        Args:
            pictures: RGB pictures, or pixels of shape ``(batch, 3, height, width)`` in [-1, 1].

        Returns:
            The reading.
        """
        if not isinstance(pictures, torch.Tensor):
            pictures = torch.stack([image_to_tensor(picture, self.size) for picture in pictures])
        return self.interpret(*self.see(pictures))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the image model is told of pictures.

        Args:
            pixels: Of shape ``(batch, 3, height, width)`` in [-1, 1].

        Returns:
            Of shape ``(batch, dim)``.
        """
        reading = self.read(pixels)
        return self.tell(reading.moods, reading.meanings)

    @staticmethod
    def tell(moods: torch.Tensor, meanings: torch.Tensor) -> torch.Tensor:
        """Put together what the image model is told.

        Args:
            moods: Of shape ``(batch, 2)``, as in a reading.
            meanings: Of shape ``(batch, codes)``, as in a reading.

        Returns:
            Of shape ``(batch, dim)``.
        """
        return torch.cat([moods, meanings.to(moods)], dim=1)

    @torch.no_grad()
    def meaning_of(self, pooled: torch.Tensor) -> torch.Tensor:
        """The meaning of words, as loud as that of a picture that is clear.

        Args:
            pooled: Embeddings of the words by the caption encoder, of shape ``(batch, text)``, normalised.

        Returns:
            Of shape ``(batch, codes)``, as in a reading.
        """
        return self.text_gain * ((pooled.to(self.basis) - self.text_mean) @ self.basis) / self.meaning_std

    @torch.no_grad()
    def locate(self, meanings: torch.Tensor) -> torch.Tensor:
        """Where meanings lie in the space of words, in which the product with a word's direction is likeness.

        Args:
            meanings: Of shape ``(batch, codes)``, as in a reading.

        Returns:
            Same shape. Words lie where their embeddings do; pictures nearer to 0 the less clear they are.
        """
        return meanings * self.meaning_std / self.text_gain


def embed_pictures(
    encoder: PictureEncoder | None, pictures: Sequence[Image.Image] | torch.Tensor
) -> torch.Tensor | None:
    """What the image model is told of pictures, if anything.

    Args:
        encoder: The encoder; ``None`` for an image model that is told nothing.
        pictures: RGB pictures, or pixels of shape ``(batch, 3, height, width)`` in [-1, 1]. The encoder sees more than
            the image model does: give it the pictures as they are.

    Returns:
        Of shape ``(batch, dim)``, or ``None``.
    """
    if encoder is None:
        return None
    reading = encoder.read(pictures)
    return encoder.tell(reading.moods, reading.meanings)


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
