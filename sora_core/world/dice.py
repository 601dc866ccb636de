"""The random numbers of a clip, drawn on the CPU so that a seed means the same clip on every device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NAMES = (
    "radius",
    "x",
    "height",
    "delay",
    "travel",
    "duration",
    "drift",
    "light",
    "texture",
    "ripple",
    "other_x",
    "other_radius",
    "camera",
    "phase",
    "weather",
    "horizon",
    "facing",
    "sense",
    "other_speed",
    "shower",
    "sound",
)
"""Order is part of the meaning of a seed: append, never reorder."""


class Dice:
    """Uniform numbers in [0, 1), one row per clip, one named column per use.

    Args:
        seeds: one per clip.
        device: where the columns live after they were drawn on the CPU.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        rows = [torch.rand(32, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
        self.rolls = torch.stack(rows).to(device)

    def __call__(self, name: str) -> Tensor:
        """Return column ``name``, float32 ``[B]``."""
        return self.rolls[:, NAMES.index(name)]

    def between(self, name: str, low: float | Tensor, high: float | Tensor) -> Tensor:
        """Return column ``name`` stretched to ``[low, high)``, ``[B]``."""
        return low + (high - low) * self(name)

    def pick(self, index: Tensor) -> Dice:
        """Return the dice of the clips at ``index``."""
        picked = object.__new__(Dice)
        picked.rolls = self.rolls[index]
        return picked
