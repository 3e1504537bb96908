"""Where on the way from noise to clean samples a model is trained and sampled."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

Places = TypeVar("Places", float, np.ndarray, torch.Tensor)


def shift_timesteps(places: Places, shift: float) -> Places:
    """Move places on the noise schedule towards the noise (Esser et al. 2024, arXiv 2403.03206, section 5.3.2).

    A large sample is still recognisable at noise levels that hide a small one, so what a caption or picture decides is
    decided late on an even schedule. Measured on melfusion-mini (``python -m melfusion_core.research.gain``): knowing
    caption and picture lowers the error by 13 % at timestep 999, 5 % at 900, 2 % at 780 and less than 1 % at 600.

    Args:
        places: Share of the way from clean (0) to noise (1), any shape.
        shift: At least 1; 1 changes nothing, 3 takes the middle to three quarters.

    Returns:
        ``shift * places / (1 + (shift - 1) * places)``, same type and shape.
    """
    return shift * places / (1 + (shift - 1) * places)


def shifted_timesteps(num_inference_steps: int, num_train_timesteps: int, shift: float) -> list[int]:
    """Timesteps of a sampler that takes smaller steps where there is more noise.

    Args:
        num_inference_steps: Number of steps, at most ``num_train_timesteps``.
        num_train_timesteps: Timesteps of the noise schedule.
        shift: See :func:`shift_timesteps`.

    Returns:
        Descending timesteps from the last one, all different.
    """
    places = 1 - np.arange(num_inference_steps) / num_inference_steps
    timesteps: list[int] = []
    for wanted in np.rint(shift_timesteps(places, shift) * num_train_timesteps).astype(int) - 1:
        timesteps.append(int(min(wanted, timesteps[-1] - 1 if timesteps else wanted)))
    return timesteps
