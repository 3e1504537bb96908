"""Learning rate schedule and parameter groups."""

from __future__ import annotations

import math

import torch


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Linear warm-up, then a cosine that ends at zero.

    Args:
        progress: Fraction of the run that is done, in [0, 1].
        warmup: Fraction of the run that the warm-up takes.

    Returns:
        Factor in [0, 1] on the peak learning rate.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - warmup) / (1.0 - warmup))))


def parameter_groups(
    modules: list[torch.nn.Module],
    weight_decay: float,
    gates: torch.nn.Parameter | None = None,
    gate_rate: float = 0.0,
) -> list[dict[str, object]]:
    """Split parameters for AdamW: matrices and kernels decay; biases, norms and gates do not.

    Args:
        modules: Modules whose trainable parameters to take.
        weight_decay: Weight decay of matrices and kernels.
        gates: Gates of a synapse, which learn at a rate of their own; None where there are none.
        gate_rate: Learning rate of the gates.

    Returns:
        Parameter groups, none of them empty.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad and p is not gates]
    groups: list[dict[str, object]] = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if gates is not None:
        groups.append({"params": [gates], "weight_decay": 0.0, "lr": gate_rate})
    return [group for group in groups if group["params"]]
