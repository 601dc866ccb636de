"""Rain and snow in front of the lens: streaks and flakes in columns that each fall at their own pace."""

# B clips, F frames, H W pixels

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .camera import View
from .dice import Dice

COLUMNS = 64
"""Columns in the fixed table of paces; each clip begins at another one and at another time."""

FLAKE_SPACING = 0.44
"""Frame heights from one flake of a column to the next."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What falls: its colour (sRGB), its opacity, and its coverage ``(view, dice, time_BF) -> [B, F, H, W]``.

    The view is that of a camera at rest, for what falls before the lens does not follow it.
    """

    colour: tuple[float, float, float]
    opacity: float
    cover: Callable[[View, Dice, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Things that fall at one distance, in frame heights and frame heights per second.

    width: of a column. size: length of a streak, radius of a flake. speed: mean. side: moves the columns.
    """

    width: float
    size: float
    speed: float
    side: float = 0.0


RAIN = (Layer(width=0.085, size=0.13, speed=2.3), Layer(width=0.049, size=0.08, speed=1.7, side=0.37))
SNOW = (Layer(width=0.13, size=0.014, speed=0.34), Layer(width=0.087, size=0.009, speed=0.24, side=0.37))
"""The near layer and the far one, which is fainter."""


@lru_cache(maxsize=4)
def _table(device: torch.device) -> Tensor:
    """Return three even random numbers per column ``[3, COLUMNS]``, the same always and everywhere."""
    return torch.rand(3, COLUMNS, generator=torch.Generator().manual_seed(11)).to(device)


def _column(x: Tensor, dice: Dice, width: float) -> tuple[Tensor, Tensor]:
    """Return how far each pixel is into its column, 0 to 1, and the column's three numbers ``[3, B, 1, H, W]``."""
    place = x / width
    column = place.floor()
    first = (dice("weather") * COLUMNS).long()[:, None, None, None]
    return place - column, _table(x.device)[:, (column.long() + first) % COLUMNS]


def _streaks(view: View, dice: Dice, time_BF: Tensor, layer: Layer) -> Tensor:
    within, (phase, pace, side) = _column(view.x + 0.12 * view.y + layer.side, dice, layer.width)
    aside = (within - 0.25 - 0.5 * side).abs() * layer.width
    thin = ((0.003 - aside) / view.pixel + 0.5).clamp(0.0, 1.0)
    clock = (time_BF + 4 * dice("shower")[:, None])[:, :, None, None]
    # One streak in each column per height of the frame, in the middle of its turn, so that no wrap is seen.
    along = (view.y - clock * layer.speed * (0.85 + 0.3 * pace) + phase) % 1.0
    return thin * ((0.5 * layer.size - (along - 0.5).abs()) / view.pixel + 0.5).clamp(0.0, 1.0)


def _flakes(view: View, dice: Dice, time_BF: Tensor, layer: Layer) -> Tensor:
    within, (phase, pace, side) = _column(view.x + layer.side, dice, layer.width)
    clock = (time_BF + 9 * dice("shower")[:, None])[:, :, None, None]
    sway = 0.22 * torch.sin(2.5 * clock + 6.28 * side)
    aside = (within - 0.5 - sway) * layer.width
    along = ((view.y - clock * layer.speed * (0.7 + 0.6 * pace)) / FLAKE_SPACING + phase) % 1.0
    return ((layer.size - torch.hypot(aside, (along - 0.5) * FLAKE_SPACING)) / view.pixel + 0.5).clamp(0.0, 1.0)


def _rain(view: View, dice: Dice, time_BF: Tensor) -> Tensor:
    near, far = (_streaks(view, dice, time_BF, layer) for layer in RAIN)
    return torch.maximum(near, 0.7 * far)


def _snow(view: View, dice: Dice, time_BF: Tensor) -> Tensor:
    near, far = (_flakes(view, dice, time_BF, layer) for layer in SNOW)
    return torch.maximum(near, 0.8 * far)


WEATHER: dict[str, Weather] = {
    "rain": Weather(colour=(0.80, 0.86, 0.95), opacity=0.6, cover=_rain),
    "snow": Weather(colour=(0.96, 0.97, 1.00), opacity=0.9, cover=_snow),
}
"""What falls in each of `spec.WEATHERS`, but the clear one."""
