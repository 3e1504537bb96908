"""What the page, the service and the engine say to each other."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from melfusion_core.mel import MelConfig
from melfusion_core.recipe import SAMPLERS, Recipe

WITH_IMAGE, TEXT_ONLY = "with_image", "text_only"


class StudioError(ValueError):
    """A wish that cannot be fulfilled; the message is meant for the person who made it."""


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        max_caption_characters: Longest caption.
        min_duration_s: Shortest take in seconds.
        max_duration_s: Longest take in seconds.
        max_steps: Most denoising steps.
        max_guidance_scale: Strongest guidance, of the text and of the picture.
        max_synapse_strength: Strongest synapse; 1 is as trained.
    """

    max_caption_characters: int = 400
    min_duration_s: float = 2.56
    max_duration_s: float = 20.48
    max_steps: int = 100
    max_guidance_scale: float = 12.0
    max_synapse_strength: float = 2.0


@dataclass(frozen=True)
class Request:
    """One wish, as it comes from the page.

    Attributes:
        image_path: File of the picture; ``None`` for words alone.
        caption: What the music should be; empty for the picture alone.
        seed: Seed of the noise; ``None`` draws one.
        duration_s: Length in seconds.
        num_inference_steps: Denoising steps.
        guidance_scale: Guidance by the text.
        image_guidance_scale: Guidance by the picture.
        synapse_strength: Multiplier of the synapse's gates, from 0 to 2.
        sampler: One of ``melfusion_core.recipe.SAMPLERS``.
    """

    image_path: str | None = None
    caption: str = ""
    seed: int | None = None
    duration_s: float = 10.24
    num_inference_steps: int = 25
    guidance_scale: float = 3.0
    image_guidance_scale: float = 4.0
    synapse_strength: float = 1.0
    sampler: str = SAMPLERS[0]


@dataclass(frozen=True)
class Settings:
    """A checked request, as the engine gets it; it can be pickled.

    Attributes:
        caption: What the music should be; may be empty when there is a picture.
        image: RGB picture, or ``None``.
        seed: Seed of the noise.
        duration_s: Length in seconds.
        num_inference_steps: Denoising steps.
        guidance_scale: Guidance by the text.
        image_guidance_scale: Guidance by the picture.
        synapse_strength: Multiplier of the synapse's gates.
        sampler: Name of the sampler.
    """

    caption: str
    image: Image.Image | None
    seed: int
    duration_s: float
    num_inference_steps: int
    guidance_scale: float
    image_guidance_scale: float
    synapse_strength: float
    sampler: str

    @property
    def compares(self) -> bool:
        """Whether there are a picture and words, so that a twin from the words alone can be made."""
        return self.image is not None and bool(self.caption)


@dataclass(frozen=True)
class Step:
    """One denoising step done.

    Attributes:
        step: Steps done so far, from 1.
        num_steps: Steps in all.
        mel_db: Estimate of the finished mel in dB, ``(frames, n_mels)``; ``None`` where no preview was made.
    """

    step: int
    num_steps: int
    mel_db: np.ndarray | None = None


@dataclass(frozen=True)
class Sound:
    """One finished piece of audio as the model made it.

    Attributes:
        waveform: Samples of shape ``(samples,)``, float32.
        mel_db: Its mel in dB, of shape ``(frames, n_mels)``.
    """

    waveform: np.ndarray
    mel_db: np.ndarray


class Engine(Protocol):
    """What makes the music. ``render`` yields each ``Step`` and last a dictionary of the sounds.

    The keys of that dictionary are ``with_image`` and ``text_only``: both where there are a picture and words, else
    the one that was possible. Closing the generator stops the work.
    """

    mel_config: MelConfig
    model_name: str
    model_sha256: str
    device: str

    def render(self, settings: Settings) -> Generator[Step | dict[str, Sound], None, None]:
        """Make the music step by step.

        Args:
            settings: What to make.
        """


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        step: Steps done; 0 while the picture and the words are being read.
        num_steps: Steps in all.
        seconds_left: Estimate of the time left in seconds; ``None`` before there is one.
        mel_db: Preview of the mel in dB, ``(frames, n_mels)``, or ``None``.
    """

    step: int
    num_steps: int
    seconds_left: float | None = None
    mel_db: np.ndarray | None = None


@dataclass(frozen=True)
class Take:
    """One finished file.

    Attributes:
        title: Heading for people.
        path: WAV file, with the recipe in its tags.
        mel_db: Mel in dB of shape ``(frames, n_mels)``, as the model made it.
        recipe: What made it.
    """

    title: str
    path: str
    mel_db: np.ndarray
    recipe: Recipe


@dataclass(frozen=True)
class Result:
    """Everything a request gave. Its files live until the generator that gave it is advanced or closed.

    Attributes:
        with_image: The take that heard the picture, or ``None``.
        text_only: The take from the words alone, or ``None``.
        seed: Seed of the noise.
        notes: What the listener should know, one sentence each.
        recipe_path: JSON file of the main take's recipe.
        figure_path: PNG of the spectrograms, with axes.
    """

    with_image: Take | None
    text_only: Take | None
    seed: int
    notes: tuple[str, ...]
    recipe_path: str
    figure_path: str

    @property
    def main(self) -> Take:
        """The take that a listener asked for: with the picture where there is one."""
        take = self.with_image or self.text_only
        assert take is not None
        return take
