"""DDIM inversion: from a clean sample up the noise levels, deterministically."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from diffusers import SchedulerMixin


def inversion_timesteps(key_timesteps: Sequence[int], num_steps: int) -> list[int]:
    """Timesteps of an inversion: even from 0 to the last key timestep, with every key timestep among them.

    Args:
        key_timesteps: Where features are wanted.
        num_steps: Number of even steps.

    Returns:
        Increasing timesteps, at least one.

    Raises:
        ValueError: When there is no key timestep, one is negative, or num_steps is not positive.
    """
    if not key_timesteps or min(key_timesteps) < 0:
        raise ValueError(f"key timesteps must be given and not negative, got {tuple(key_timesteps)}")
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    last = max(key_timesteps)
    return sorted({round(step * last / num_steps) for step in range(num_steps)} | set(key_timesteps))


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
        scheduler: Any diffusers scheduler with ``alphas_cumprod`` and an epsilon or v prediction type.
        timesteps: Increasing timesteps; ``predict`` is called once at each.

    Returns:
        The sample at the last timestep.

    Raises:
        ValueError: When the prediction type is neither ``epsilon`` nor ``v_prediction``, or a timestep is outside the
            schedule.
    """
    prediction_type = scheduler.config.prediction_type
    if prediction_type not in ("epsilon", "v_prediction"):
        raise ValueError(f"cannot invert a model with prediction type {prediction_type!r}")
    if timesteps[-1] >= len(scheduler.alphas_cumprod):
        raise ValueError(f"timestep {timesteps[-1]} is outside the schedule of {len(scheduler.alphas_cumprod)} steps")
    for timestep, next_timestep in zip(timesteps, [*timesteps[1:], None], strict=True):
        output = predict(sample, timestep)
        if next_timestep is None:
            break
        alpha = float(scheduler.alphas_cumprod[timestep])
        signal, noise = alpha**0.5, (1.0 - alpha) ** 0.5
        if prediction_type == "epsilon":
            epsilon, clean = output, (sample - noise * output) / signal
        else:
            epsilon, clean = signal * output + noise * sample, signal * sample - noise * output
        next_alpha = float(scheduler.alphas_cumprod[next_timestep])
        sample = next_alpha**0.5 * clean + (1.0 - next_alpha) ** 0.5 * epsilon
    return sample
