"""Rain and snow before the lens, told by thin bright things that come and go."""

# F frames, H W pixels at the working height

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .segmentation import Segmentation

SPECK = 0.03
"""Brightness by which a pixel must stand out of its neighbours to be part of a streak or flake."""

RAINY, SNOWY = 0.0014, 0.012
"""Least share of the pixels beside the actor that streaks, or flakes, cover where it rains or snows."""

LONG = (0.15, 0.6)
"""Correlation over `APART` pixels down of streaks of rain: flakes have less, edges of the scene that tremble more."""

APART = 3
NEAR = 9
"""Side of the square around each pixel of the actor in which nothing is asked."""


class Falling(NamedTuple):
    """share: of the pixels that are specks. length: correlation of the specks with themselves `APART` pixels down."""

    share: float
    length: float


def find_falling(parts: Segmentation) -> Falling:
    """Measure what falls before the lens of a clip that is taken apart."""
    lighter = (parts.picture - parts.background).mean(-1).clamp(min=0.0)[:, None]
    actor = F.max_pool2d((opened(parts.alpha) > 0.3).to(lighter.dtype)[:, None], NEAR, 1, NEAR // 2)
    # A streak is a pixel or two wide, so what an opening across takes away is streaks and flakes.
    wide = F.max_pool2d(-F.max_pool2d(-lighter, (1, 3), 1, (0, 1)), (1, 3), 1, (0, 1))
    specks = ((lighter - wide) * (1 - actor))[:, 0]
    # A seam of the scene stays where it is; what falls does not.
    specks = specks - specks.median(dim=0).values
    specks = torch.where(specks > SPECK, specks, 0.0)
    share = float((specks > 0).sum() / (1 - actor).sum().clamp(min=1.0))
    along = float((specks[:, APART:] * specks[:, :-APART]).sum() / specks.square().sum().clamp(min=1e-6))
    return Falling(share, along)


def name_weather(falling: Falling) -> str:
    """Return the word for what falls."""
    if falling.length <= LONG[0]:
        return "snow" if falling.share >= SNOWY else "clear"
    return "rain" if falling.share >= RAINY and falling.length <= LONG[1] else "clear"


def opened(alpha: Tensor) -> Tensor:
    """Return ``alpha``, ``[F, H, W]``, without what is less than three pixels wide: streaks, flakes, a string."""
    eroded = -F.max_pool2d(-alpha[:, None], 3, 1, 1)
    return F.max_pool2d(eroded, 3, 1, 1)[:, 0]
