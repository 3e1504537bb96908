"""What the page, the service and the engine say to each other."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from melfusion_core.engines.base import View
from melfusion_core.pipelines.rendering import Finished, Step
from melfusion_core.recipe import Recipe
from melfusion_core.take import KNOBS, TakeSettings

COMPARE, TAKES, DOSE, SWAP = "compare", "takes", "dose", "swap"
MODES = (COMPARE, TAKES, DOSE, SWAP)
LETTERS = "ABCD"
MAX_SEED = 2**32 - 1
WHOLE_PICTURE = (1.0, 0.5, 0.5)


def new_name() -> str:
    """Name a result so that nobody but its visitor can know.

    Returns:
        32 hexadecimal digits.
    """
    return secrets.token_hex(16)


class StudioError(ValueError):
    """A wish that cannot be fulfilled; the message is meant for the person who made it.

    Args:
        message: What is wrong and what to do.
        field: Name on the page of the control where it can be put right, such as "seed"; ``None`` for none.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


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
        max_takes: Most takes of one request.
    """

    max_caption_characters: int = 400
    min_duration_s: float = 2.56
    max_duration_s: float = 20.48
    max_steps: int = 100
    max_guidance_scale: float = 12.0
    max_synapse_strength: float = 2.0
    max_takes: int = len(LETTERS)

    def bounds(self, name: str) -> tuple[float, float]:
        """Smallest and largest value of a number.

        Args:
            name: Field of :class:`~melfusion_core.take.TakeSettings`.

        Returns:
            Both.
        """
        narrowed = {
            "duration_s": (self.min_duration_s, self.max_duration_s),
            "num_inference_steps": (1, self.max_steps),
            "guidance_scale": (0, self.max_guidance_scale),
            "image_guidance_scale": (0, self.max_guidance_scale),
            "synapse_strength": (0, self.max_synapse_strength),
            "seed": (0, MAX_SEED),
        }
        return narrowed.get(name, (KNOBS[name].low, KNOBS[name].high))


@dataclass(frozen=True)
class Request:
    """One wish, as it comes from the page.

    Attributes:
        image_path: File of the picture; ``None`` for words alone.
        caption: What the music should be; empty for the picture alone.
        knobs: Fields of :class:`~melfusion_core.take.TakeSettings`, not checked yet; those that are not given have
            their defaults.
        region: Square of the picture that should sound: its side as a share of the shorter side, from 0.1 to 1, and
            its place from left (0) to right (1) and from top (0) to bottom (1).
        mode: One of ``MODES``: with and without the picture, several seeds, several strengths, or two pictures.
        num_takes: How many takes, in the mode of several seeds.
        other_image_path: The other picture, in the mode of two.
        fresh: Whether the seeds of the takes after the first are drawn anew, in the mode of several seeds; else they
            count on from the first.
    """

    image_path: str | None = None
    caption: str = ""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    region: tuple[float, float, float] = WHOLE_PICTURE
    mode: str = COMPARE
    num_takes: int = 3
    other_image_path: str | None = None
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings(TakeSettings):
    """A checked request, as the engine gets it; it can be pickled.

    Attributes:
        caption: What the music should be; may be empty when there is a picture.
        image: RGB picture, or ``None``.
        twin: Whether a twin from the words alone is wanted as well, where there are a picture and words.
    """

    caption: str
    image: Image.Image | None
    twin: bool = True

    @property
    def compares(self) -> bool:
        """Whether a twin from the words alone is made as well."""
        return self.twin and self.image is not None and bool(self.caption)


@dataclass(frozen=True)
class Reading:
    """How a model reads a caption.

    Attributes:
        cut: The end of it, which is more than the model takes in; empty where it reads all.
        strange: Words that it does not know as such.
    """

    cut: str = ""
    strange: tuple[str, ...] = ()


class Engine(Protocol):
    """What makes the music. Closing the generator that ``render`` gives stops the work."""

    sample_rate: int
    model_name: str
    model_sha256: str
    device: str
    sounds_sha256: str | None
    """Hash of the sampled instruments that play its notes; ``None`` where it makes sound itself."""

    def render(self, settings: Settings) -> Generator[Step | Finished, None, None]:
        """Make the music step by step.

        Args:
            settings: What to make.
        """

    def reads(self, caption: str) -> Reading:
        """Say how a caption is read.

        Args:
            caption: What was written.
        """

    def scene(self, image: Image.Image) -> str | None:
        """Say what kind of scene a picture shows.

        Args:
            image: RGB picture.

        Returns:
            A few words, such as "a forest"; ``None`` where the model has no classifier or it is not sure.
        """


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        step: Steps done of this take; 0 while the picture and the words are being read.
        num_steps: Steps of one take.
        seconds_left: Estimate of the time left in seconds, for all takes; ``None`` before there is one.
        view: What the take looks like so far, or ``None``.
        take: Which take is being made, from 1; a take with its twin counts as one.
        num_takes: How many takes are made.
    """

    step: int
    num_steps: int
    seconds_left: float | None = None
    view: View | None = None
    take: int = 1
    num_takes: int = 1


@dataclass(frozen=True)
class Take:
    """One finished take.

    Attributes:
        title: Heading for people.
        path: WAV file, with the recipe in its tags; see :class:`Result` for how long it lives.
        view: What it looks like, as the model made it.
        recipe: What made it.
        samples: What the file holds, of shape ``(channels, samples)``, float32; ``None`` where only the file was
            wanted.
        image: The picture it heard, or ``None``.
        cover: The picture of the request, whether or not this take heard it, or ``None``.
    """

    title: str
    path: str
    view: View
    recipe: Recipe
    samples: np.ndarray | None = None
    image: Image.Image | None = None
    cover: Image.Image | None = None


@dataclass(frozen=True)
class Result:
    """Everything a request gave. Its files live until the generator that gave it is advanced or closed.

    Attributes:
        takes: The takes in order, all at one loudness; where there are two, the first is the one that was asked for.
        mode: One of ``MODES``.
        seed: Seed of the noise, of the first take.
        notes: What the listener should know, one sentence each.
        recipe_path: JSON file of the main take's recipe; empty where there is none.
        picture_path: The picture's file as it was given; ``None`` where there is none.
        region: The part of it that was heard; see :class:`Request`.
    """

    takes: tuple[Take, ...]
    mode: str
    seed: int
    notes: tuple[str, ...]
    recipe_path: str = ""
    picture_path: str | None = None
    region: tuple[float, float, float] = WHOLE_PICTURE

    @property
    def main(self) -> Take:
        """The take that a listener asked for: with the picture where there is one."""
        return self.takes[0]

    @property
    def with_image(self) -> Take | None:
        """The take that heard the picture, where one was asked for."""
        return self.takes[0] if self.takes[0].image is not None else None

    @property
    def text_only(self) -> Take | None:
        """The take from the words alone, where there is one."""
        return next((take for take in self.takes if take.image is None), None)
