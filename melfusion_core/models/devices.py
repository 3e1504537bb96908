"""Where modules compute."""

from __future__ import annotations

import torch


def execution_device(module: torch.nn.Module) -> torch.device:
    """Where a module computes: with CPU offload that is another device than where its weights lie.

    Args:
        module: A module with parameters.

    Returns:
        The device.
    """
    device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
    return next(module.parameters()).device if device is None else torch.device(device)
