"""The place behind the actor: muted colours, so that no actor is lost in it."""

# B clips, H W pixels; x and y are world coordinates in frame heights

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .dice import Dice

HORIZON = 0.74
"""Where wall or sky meets the ground, in frame heights from the top."""

Scenery = Callable[[Tensor, Tensor, Dice, float], Tensor]
"""``(x [B or 1, H, W], y, dice, size of a pixel) -> colour [B, 3, H, W]``."""


def _colour(x: Tensor, rgb: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rgb, device=x.device, dtype=x.dtype)[None, :, None, None]


def _two_part(
    x: Tensor,
    y: Tensor,
    above: tuple[float, float, float],
    below: tuple[float, float, float],
    pixel: float,
    line: Tensor | float = HORIZON,
) -> Tensor:
    ground = ((y - line) / pixel + 0.5).clamp(0.0, 1.0)[:, None]
    return _colour(x, above) * (1 - ground) + _colour(x, below) * ground


def _lines(coordinate: Tensor, spacing: float, width: float, pixel: float) -> Tensor:
    """Return the coverage in [0, 1] of lines that repeat every ``spacing``."""
    off = ((coordinate / spacing + 0.5) % 1.0 - 0.5).abs() * spacing
    return ((width - off) / pixel + 0.5).clamp(0.0, 1.0)


def plain(x: Tensor, y: Tensor, _dice: Dice, pixel: float) -> Tensor:
    """Paint a grey wall over a darker grey ground."""
    return _two_part(x, y, (0.60, 0.62, 0.66), (0.47, 0.48, 0.52), pixel)


def wooden_floor(x: Tensor, y: Tensor, dice: Dice, pixel: float) -> Tensor:
    """Paint brown planks under a warm wall with a skirting line."""
    picture = _two_part(x, y, (0.74, 0.68, 0.58), (0.50, 0.33, 0.20), pixel)
    ground = (y > HORIZON).to(x.dtype)
    row = ((y - HORIZON) / 0.0875).floor()
    seams = _lines(y - HORIZON, 0.0875, 0.004, pixel)
    joints = _lines(x + 0.23 * row + dice("texture")[:, None, None], 0.46, 0.005, pixel)
    dark = ground * torch.maximum(seams, joints)
    return picture * (1 - 0.32 * dark[:, None])


def sand(x: Tensor, y: Tensor, dice: Dice, pixel: float) -> Tensor:
    """Paint pale ripples of sand under a hazy sky."""
    swell = 0.012 * torch.sin(2 * math.pi * (x * 0.9 + dice("horizon")[:, None, None]))
    picture = _two_part(x, y, (0.58, 0.70, 0.78), (0.80, 0.69, 0.47), pixel, HORIZON + swell)
    ground = (y > HORIZON + swell).to(x.dtype)
    ripple = torch.sin(2 * math.pi * (y * 8 + 0.5 * torch.sin(2 * math.pi * (x + dice("ripple")[:, None, None]))))
    return picture * (1 + 0.04 * (ground * ripple)[:, None])


def dark_floor(x: Tensor, y: Tensor, _dice: Dice, pixel: float) -> Tensor:
    """Paint a night room: a dark wall over a nearly black ground that lightens towards the viewer."""
    picture = _two_part(x, y, (0.17, 0.18, 0.24), (0.07, 0.07, 0.09), pixel)
    glow = ((y - HORIZON) / (1 - HORIZON)).clamp(0.0, 1.0)
    return picture + 0.06 * glow[:, None]


SCENERY: dict[str, Scenery] = {
    "plain": plain,
    "wooden floor": wooden_floor,
    "sand": sand,
    "dark floor": dark_floor,
}
"""Every scene of the world by its word in `spec.SCENES`."""
