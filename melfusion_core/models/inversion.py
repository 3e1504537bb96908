"""DDIM inversion: from a clean sample up the noise levels, deterministically."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import DDIMScheduler, SchedulerMixin

LEAST_NOISE = 0.2
"""Noise level at which the inversion of a network that predicts the clean sample starts."""


def load_image_scheduler(folder: str | Path) -> DDIMScheduler:
    """Load the noise schedule of an image UNet.

    Args:
        folder: Folder of the UNet: a trainer's export, which holds ``scheduler``, or the folder ``image_unet`` of a
            model, which has ``image_scheduler`` beside it.

    Returns:
        The schedule.

    Raises:
        FileNotFoundError: When neither is there.
    """
    folder = Path(folder)
    places = (folder / "scheduler", folder.resolve().parent / "image_scheduler")
    for place in places:
        if (place / "scheduler_config.json").is_file():
            return DDIMScheduler.from_pretrained(place)
    raise FileNotFoundError(f"no noise schedule for {folder}: neither {places[0]} nor {places[1]} holds one")


def first_timestep(scheduler: SchedulerMixin) -> int:
    """Timestep that a clean sample is taken to be at.

    A network that predicts the clean sample gives the noise as a difference divided by the noise level: next to 0 that
    is all error.

    Args:
        scheduler: The image model's scheduler.

    Returns:
        0, or for the prediction type ``sample`` the first timestep with a noise level of at least 0.2.
    """
    if scheduler.config.prediction_type != "sample":
        return 0
    return int((scheduler.alphas_cumprod > 1.0 - LEAST_NOISE**2).sum())


def inversion_timesteps(key_timesteps: Sequence[int], num_steps: int, first: int = 0) -> list[int]:
    """Timesteps of an inversion: even from the first to the last key timestep, with every key timestep among them.

    Args:
        key_timesteps: Where features are wanted.
        num_steps: Number of even steps.
        first: Timestep that the clean sample is taken to be at.

    Returns:
        Increasing timesteps, at least one.

    Raises:
        ValueError: When there is no key timestep, one comes before the first, or num_steps is not positive.
    """
    if not key_timesteps or min(key_timesteps) < first:
        raise ValueError(f"key timesteps must be given and not below {first}, got {tuple(key_timesteps)}")
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    span = max(key_timesteps) - first
    return sorted({first + round(step * span / num_steps) for step in range(num_steps)} | set(key_timesteps))


def predict_clean(
    sample: torch.Tensor, output: torch.Tensor, alpha_cumprod: float, prediction_type: str
) -> torch.Tensor:
    """Estimate the clean sample from one prediction.

    Args:
        sample: Noisy sample, any shape.
        output: The model's prediction, same shape.
        alpha_cumprod: Signal power at the sample's timestep.
        prediction_type: ``"epsilon"``, ``"v_prediction"`` or ``"sample"``.

    Returns:
        The clean estimate, same shape.

    Raises:
        ValueError: When the prediction type is unknown.
    """
    signal, noise = alpha_cumprod**0.5, (1.0 - alpha_cumprod) ** 0.5
    if prediction_type == "v_prediction":
        return signal * sample - noise * output
    if prediction_type == "epsilon":
        return (sample - noise * output) / signal
    if prediction_type == "sample":
        return output
    raise ValueError(f"unknown prediction type {prediction_type!r}")


def clean_and_noise(
    sample: torch.Tensor, output: torch.Tensor, alpha_cumprod: float, prediction_type: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a prediction says of the clean sample and of the noise.

    Args:
        sample: Noisy sample, any shape.
        output: The network's prediction, same shape.
        alpha_cumprod: Signal power at the sample's timestep, above 0 and below 1.
        prediction_type: ``"epsilon"``, ``"v_prediction"`` or ``"sample"``.

    Returns:
        The clean sample and the noise, same shape.

    Raises:
        ValueError: When the prediction type is unknown.
    """
    clean = predict_clean(sample, output, alpha_cumprod, prediction_type)
    if prediction_type == "epsilon":
        return clean, output
    return clean, (sample - alpha_cumprod**0.5 * clean) / (1.0 - alpha_cumprod) ** 0.5


def ddim_invert(
    predict: Callable[[torch.Tensor, int], torch.Tensor],
    sample: torch.Tensor,
    scheduler: SchedulerMixin,
    timesteps: Sequence[int],
) -> torch.Tensor:
    """Carry a clean sample up the noise levels, deterministically (DDIM, Song et al. 2021, run backwards).

    At each timestep the network sees the sample at that very noise level, so that what it computes on the way are the
    features of this trajectory. (diffusers' ``DDIMInverseScheduler`` shows it the sample of one step earlier.)

    Args:
        predict: The network, called with ``(sample, timestep)``.
        sample: Clean sample, any shape; it is taken to be at the first timestep.
        scheduler: Any diffusers scheduler with ``alphas_cumprod`` and an epsilon, v or sample prediction type.
        timesteps: Increasing timesteps; ``predict`` is called once at each.

    Returns:
        The sample at the last timestep.

    Raises:
        ValueError: When the prediction type is unknown, or a timestep is outside the schedule.
    """
    prediction_type = scheduler.config.prediction_type
    if timesteps[-1] >= len(scheduler.alphas_cumprod):
        raise ValueError(f"timestep {timesteps[-1]} is outside the schedule of {len(scheduler.alphas_cumprod)} steps")
    for timestep, next_timestep in zip(timesteps, [*timesteps[1:], None], strict=True):
        output = predict(sample, timestep)
        if next_timestep is None:
            break
        clean, epsilon = clean_and_noise(sample, output, float(scheduler.alphas_cumprod[timestep]), prediction_type)
        next_alpha = float(scheduler.alphas_cumprod[next_timestep])
        sample = next_alpha**0.5 * clean + (1.0 - next_alpha) ** 0.5 * epsilon
    return sample
