"""Exponential moving average of a model's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Keep a float32 average of every parameter and lend it to the model.

    The decay ramps as ``min(decay, (1 + n) / (10 + n))``, so that the first steps do not linger.

    Args:
        model: whose parameters are followed.
        decay: final decay per update, for example 0.999.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.updates = 0
        self._parameters = dict(model.named_parameters())
        self.average: dict[str, Tensor] = {
            name: p.detach().float().clone(memory_format=torch.preserve_format) for name, p in self._parameters.items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present parameters."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, average in self.average.items():
            average.lerp_(self._parameters[name].detach().float(), 1 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Run the body with the averaged parameters inside the model, then put the trained ones back."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def load(self, average: dict[str, Tensor], updates: int) -> None:
        """Continue from a saved average; every name must be there."""
        for name, tensor in self.average.items():
            tensor.copy_(average[name])
        self.updates = updates

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            trained = parameter.detach().clone(memory_format=torch.preserve_format)
            parameter.copy_(self.average[name])
            self.average[name].copy_(trained)
