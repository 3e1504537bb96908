"""Exponential moving average of a module's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class ModelAverage:
    """Float32 moving average of the parameters of a module; buffers are the module's own.

    The decay warms up as `min(decay, (1 + updates) / (10 + updates))`.

    Args:
        module: The module being trained.
        decay: Decay per update once warmed up.
    """

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.updates = 0
        self.parameters = list(module.parameters())
        self.average = [parameter.detach().float().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the module's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = [parameter.detach().float() for parameter in self.parameters]
        torch._foreach_lerp_(self.average, current, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[torch.nn.Module]:
        """Let the module have the averaged weights for the length of a `with` block.

        Yields:
            The module, in evaluation mode.
        """
        kept = [parameter.detach().clone() for parameter in self.parameters]
        training = self.module.training
        self._assign(self.average)
        self.module.eval()
        try:
            yield self.module
        finally:
            self._assign(kept)
            self.module.train(training)

    @torch.no_grad()
    def _assign(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, object]:
        """The average and its age, for a checkpoint."""
        return {"updates": self.updates, "average": self.average}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take over a saved average.

        Args:
            state: What `state_dict` gave.
        """
        self.updates = int(state["updates"])
        for mine, theirs in zip(self.average, state["average"], strict=True):
            mine.copy_(theirs)
