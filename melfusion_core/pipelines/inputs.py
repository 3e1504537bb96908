"""Checks of what callers ask for; every message says what is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from melfusion_core.engines.base import Known
from melfusion_core.engines.score.direction import Direction
from melfusion_core.take import MAX_TAKES, Knob, TakeSettings

ImageInput = Image.Image | str | Path | list[Image.Image | str | Path]

OUTPUT_TYPES = ("np", "pt", "latent")
TAKES = Knob(int, "takes of each caption and picture", (), 1, MAX_TAKES)


@dataclass(frozen=True)
class GenerationRequest:
    """What a caller asks for; the arguments of ``MelFusionPipeline.__call__``, which explains them.

    Args:
        prompt: Captions.
        image: Pictures.
        settings: How the takes are made.
        negative_prompt: What to steer away from; None for that of the settings.
        num_waveforms_per_prompt: Takes per caption, 1 to 64.
        generator: Random generators.
        latents: Initial noise.
        known: The settled part of the latents.
        directions: What the takes are told beside caption and settings, where the engine takes it; one for all, or
            as many as captions.
        output_type: One of ``np``, ``pt``, ``latent``.
    """

    prompt: str | list[str] | None = None
    image: ImageInput | None = None
    settings: TakeSettings = TakeSettings()
    negative_prompt: str | list[str] | None = None
    num_waveforms_per_prompt: int = 1
    generator: torch.Generator | list[torch.Generator] | None = None
    latents: torch.Tensor | None = None
    known: Known | None = None
    directions: Sequence[Direction] | None = None
    output_type: str = "np"

    @classmethod
    def of(
        cls,
        prompt: str | list[str] | None = None,
        image: ImageInput | None = None,
        settings: TakeSettings | None = None,
        **options: Any,
    ) -> GenerationRequest:
        """A request from loose arguments.

        Args:
            prompt: Captions.
            image: Pictures.
            settings: How the takes are made; None for the defaults.
            options: More fields of a request, and fields of :class:`TakeSettings` to change.

        Returns:
            The request.

        Raises:
            SettingError: When a setting is out of range.
            TypeError: When a setting has the wrong type, or there is no such option.
        """
        own = {name: options.pop(name) for name in cls.__dataclass_fields__ if name in options}
        return cls(prompt, image, (settings or TakeSettings()).changed(**options), **own)

    def each(self, rows: Sequence[int]) -> GenerationRequest:
        """A request that names the caption and direction of some samples one by one.

        Args:
            rows: The samples.

        Returns:
            The request; what else it holds is as before.
        """
        batch = max(rows) + 1
        captions = as_captions("prompt", self.prompt)
        spread = spread_rows(len(captions), batch)
        told = self.directions
        if told is not None:
            own = spread_rows(len(told), batch)
            told = [told[own[row]] for row in rows]
        return replace(self, prompt=[captions[spread[row]] for row in rows], directions=told)

    @property
    def negatives(self) -> list[str]:
        """What to steer away from."""
        given = self.settings.negative_prompt if self.negative_prompt is None else self.negative_prompt
        return as_captions("negative_prompt", given)

    def check(self) -> int:
        """Check everything that needs no model.

        Returns:
            Number of samples.

        Raises:
            TypeError: When a field has the wrong type.
            ValueError: When a field is out of range, sizes do not fit, or neither caption nor picture is given.
        """
        captions = None if self.prompt is None else as_captions("prompt", self.prompt)
        images = None if self.image is None else as_images(self.image)
        if images is None and not any(captions or []):
            raise ValueError("Give a caption, a picture, or both.")
        TAKES.check("num_waveforms_per_prompt", self.num_waveforms_per_prompt)
        if self.output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type must be one of {OUTPUT_TYPES}, got {self.output_type!r}")
        lists = (captions, images, self.negatives, self.directions)
        lengths = [None if items is None else len(items) for items in lists]
        batch = common_length(prompt=lengths[0], image=lengths[1], negative_prompt=lengths[2], directions=lengths[3])
        batch *= self.num_waveforms_per_prompt
        check_generator(self.generator, batch)
        if self.generator is not None and self.settings.seed is not None:
            raise ValueError("Give a seed or a generator, not both.")
        return batch

    @property
    def noise_source(self) -> torch.Generator | list[torch.Generator] | None:
        """Where the initial noise comes from: the generator, or one of the seed's; None for torch's own."""
        if self.settings.seed is None:
            return self.generator
        return torch.Generator().manual_seed(self.settings.seed)


def spread_rows(length: int, batch: int) -> list[int]:
    """Which of some items each of a batch's samples takes: takes of one item are neighbours.

    Args:
        length: Number of items, 1 or a divisor of the batch.
        batch: Number of samples.

    Returns:
        The item's number of each sample.
    """
    return [0] * batch if length == 1 else [sample * length // batch for sample in range(batch)]


def as_captions(name: str, prompt: str | Sequence[str] | None) -> list[str]:
    """A prompt argument as a list of captions.

    Args:
        name: What to call it in the message.
        prompt: One caption, several, or None.

    Returns:
        The captions without surrounding white space; the empty one for None.

    Raises:
        TypeError: When it is something else.
        ValueError: When the list is empty.
    """
    if prompt is None or isinstance(prompt, str):
        return [(prompt or "").strip()]
    if not isinstance(prompt, Sequence) or not all(isinstance(caption, str) for caption in prompt):
        raise TypeError(f"{name} must be a string or a list of strings, got {type(prompt).__name__}")
    if not prompt:
        raise ValueError(f"{name} is an empty list")
    return [caption.strip() for caption in prompt]


def as_images(image: ImageInput) -> list[Image.Image | str | Path]:
    """An image argument as a list of pictures.

    Args:
        image: One picture or several, as PIL images or paths.

    Returns:
        The pictures.

    Raises:
        TypeError: When it is something else.
        ValueError: When the list is empty.
    """
    items = image if isinstance(image, list) else [image]
    if not items:
        raise ValueError("image is an empty list")
    for item in items:
        if not isinstance(item, (Image.Image, str, Path)):
            raise TypeError(f"image must be PIL images or paths, got {type(item).__name__}")
    return items


def common_length(**lengths: int | None) -> int:
    """The batch size on which all batched arguments agree; those of length 1 are shared by all samples.

    Args:
        lengths: Length of each argument by its name; None for absent ones.

    Returns:
        The batch size, at least 1.

    Raises:
        ValueError: When two lengths differ and neither is 1.
    """
    present = {name: length for name, length in lengths.items() if length is not None}
    batch = max(present.values(), default=1)
    if any(length not in (1, batch) for length in present.values()):
        listed = ", ".join(f"{name} has {length}" for name, length in present.items())
        raise ValueError(f"batch sizes do not fit together: {listed}")
    return batch


def check_generator(generator: torch.Generator | list[torch.Generator] | None, batch: int) -> None:
    """Check the random generators.

    Args:
        generator: One for all samples, one each, or None.
        batch: Number of samples.

    Raises:
        TypeError: When it is something else.
        ValueError: When the list's length is not the batch size.
    """
    generators = generator if isinstance(generator, list) else [generator]
    if not all(item is None or isinstance(item, torch.Generator) for item in generators):
        raise TypeError("generator must be a torch.Generator or a list of them")
    if isinstance(generator, list) and len(generator) != batch:
        raise ValueError(f"there are {len(generator)} generators for {batch} samples")
