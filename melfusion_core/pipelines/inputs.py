"""Checks of what callers ask for; every message says what is accepted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from melfusion_core import defaults

ImageInput = Image.Image | str | Path | list[Image.Image | str | Path]

OUTPUT_TYPES = ("np", "pt", "latent", "mel")
MAX_WAVEFORMS_PER_PROMPT = 64
MAX_TIMESTEP_SHIFT = 100.0


@dataclass(frozen=True)
class GenerationRequest:
    """What a caller asks for; the arguments of ``MelFusionPipeline.__call__``, which explains them.

    Args:
        prompt: Captions.
        image: Pictures.
        duration_s: Length in seconds, 1 to 30.72.
        num_inference_steps: Denoising steps, 1 to 1000.
        guidance_scale: Weight of the caption, 0 to 50.
        image_guidance_scale: Weight of the picture, 0 to 50.
        guidance_rescale: Share of rescaling, 0 to 1.
        guidance_stop: Share of the way after which guidance stops, 0 to 1.
        synapse_strength: Strength of the picture, 0 to 2.
        negative_prompt: What to steer away from.
        num_waveforms_per_prompt: Takes per caption, 1 to 64.
        generator: Random generators.
        latents: Initial noise.
        output_type: One of ``np``, ``pt``, ``mel``, ``latent``.
        sampler: ``dpm++`` or ``ddim``.
        timestep_shift: How much the steps crowd towards the noise, 1 to 100; None for the model's own.
    """

    prompt: str | list[str] | None = None
    image: ImageInput | None = None
    duration_s: float = defaults.DURATION_S
    num_inference_steps: int = defaults.NUM_INFERENCE_STEPS
    guidance_scale: float = defaults.GUIDANCE_SCALE
    image_guidance_scale: float = defaults.IMAGE_GUIDANCE_SCALE
    guidance_rescale: float = defaults.GUIDANCE_RESCALE
    guidance_stop: float = defaults.GUIDANCE_STOP
    synapse_strength: float = defaults.SYNAPSE_STRENGTH
    negative_prompt: str | list[str] | None = None
    num_waveforms_per_prompt: int = 1
    generator: torch.Generator | list[torch.Generator] | None = None
    latents: torch.Tensor | None = None
    output_type: str = "np"
    sampler: str = defaults.SAMPLERS[0]
    timestep_shift: float | None = None

    def check(self) -> int:
        """Check everything that needs no model.

        Returns:
            Number of samples.

        Raises:
            TypeError: When a field has the wrong type.
            ValueError: When a field is out of range, sizes do not fit, or neither caption nor picture is given.
        """
        captions = as_captions("prompt", self.prompt)
        negatives = as_captions("negative_prompt", self.negative_prompt)
        images = None if self.image is None else as_images(self.image)
        if images is None and not any(captions or []):
            raise ValueError("Give a caption, a picture, or both.")
        check_number("duration_s", self.duration_s, defaults.MIN_DURATION_S, defaults.MAX_DURATION_S)
        check_integer("num_inference_steps", self.num_inference_steps, 1, defaults.MAX_INFERENCE_STEPS)
        check_number("guidance_scale", self.guidance_scale, 0.0, defaults.MAX_GUIDANCE_SCALE)
        check_number("image_guidance_scale", self.image_guidance_scale, 0.0, defaults.MAX_GUIDANCE_SCALE)
        check_number("guidance_rescale", self.guidance_rescale, 0.0, 1.0)
        check_number("guidance_stop", self.guidance_stop, 0.0, 1.0)
        check_number("synapse_strength", self.synapse_strength, 0.0, defaults.MAX_SYNAPSE_STRENGTH)
        check_integer("num_waveforms_per_prompt", self.num_waveforms_per_prompt, 1, MAX_WAVEFORMS_PER_PROMPT)
        if self.output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type must be one of {OUTPUT_TYPES}, got {self.output_type!r}")
        if self.sampler not in defaults.SAMPLERS:
            raise ValueError(f"sampler must be one of {defaults.SAMPLERS}, got {self.sampler!r}")
        if self.timestep_shift is not None:
            check_number("timestep_shift", self.timestep_shift, 1.0, MAX_TIMESTEP_SHIFT)
        lengths = [None if items is None else len(items) for items in (captions, images, negatives)]
        batch = common_length(prompt=lengths[0], image=lengths[1], negative_prompt=lengths[2])
        batch *= self.num_waveforms_per_prompt
        check_generator(self.generator, batch)
        return batch


def check_number(name: str, value: Any, minimum: float, maximum: float) -> None:
    """Check that a value is a finite number in a closed range.

    Args:
        name: What to call it in the message.
        value: The value.
        minimum: Smallest accepted value.
        maximum: Largest accepted value.

    Raises:
        TypeError: When it is not a number.
        ValueError: When it is NaN, infinite or outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not math.isfinite(value) or not minimum <= value <= maximum:
        raise ValueError(f"{name} must lie between {minimum:g} and {maximum:g}, got {value}")


def check_integer(name: str, value: Any, minimum: int, maximum: int) -> None:
    """Check that a value is a whole number in a closed range.

    Args:
        name: What to call it in the message.
        value: The value.
        minimum: Smallest accepted value.
        maximum: Largest accepted value.

    Raises:
        TypeError: When it is not a whole number.
        ValueError: When it is outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {type(value).__name__}")
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must lie between {minimum} and {maximum}, got {value}")


def as_captions(name: str, prompt: str | Sequence[str] | None) -> list[str] | None:
    """A prompt argument as a list of captions.

    Args:
        name: What to call it in the message.
        prompt: One caption, several, or None.

    Returns:
        The captions without surrounding white space; None stays None.

    Raises:
        TypeError: When it is something else.
        ValueError: When the list is empty.
    """
    if prompt is None:
        return None
    if isinstance(prompt, str):
        return [prompt.strip()]
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
