"""The place behind the actor: muted colours, so that no actor is lost in it."""

# B clips or frames, H W pixels; x and y are world coordinates in frame heights

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .dice import Dice

HORIZON = 0.74
"""Where wall or sky meets the ground, in frame heights from the top."""

Scenery = Callable[[Tensor, Tensor, Dice, float | Tensor], Tensor]
"""``(x [B or 1, H, W], y, dice, size of a pixel) -> colour [B, 3, H, W]``; the size may be ``[B, 1, 1]``."""


def _colour(x: Tensor, rgb: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rgb, device=x.device, dtype=x.dtype)[None, :, None, None]


def _two_part(
    x: Tensor,
    y: Tensor,
    above: tuple[float, float, float],
    below: tuple[float, float, float],
    *,
    pixel: float | Tensor,
    line: Tensor | float = HORIZON,
) -> Tensor:
    ground = ((y - line) / pixel + 0.5).clamp(0.0, 1.0)[:, None]
    return _colour(x, above) * (1 - ground) + _colour(x, below) * ground


def _lines(coordinate: Tensor, spacing: float, width: float, pixel: float | Tensor) -> Tensor:
    """Return the coverage in [0, 1] of lines that repeat every ``spacing``."""
    off = ((coordinate / spacing + 0.5) % 1.0 - 0.5).abs() * spacing
    return ((width - off) / pixel + 0.5).clamp(0.0, 1.0)


def plain(x: Tensor, y: Tensor, _dice: Dice, pixel: float | Tensor) -> Tensor:
    """Paint a grey wall over a darker grey ground."""
    return _two_part(x, y, (0.60, 0.62, 0.66), (0.47, 0.48, 0.52), pixel=pixel)


def wooden_floor(x: Tensor, y: Tensor, dice: Dice, pixel: float | Tensor) -> Tensor:
    """Paint brown planks under a warm wall with a skirting line."""
    picture = _two_part(x, y, (0.74, 0.68, 0.58), (0.50, 0.33, 0.20), pixel=pixel)
    ground = (y > HORIZON).to(x.dtype)
    row = ((y - HORIZON) / 0.0875).floor()
    seams = _lines(y - HORIZON, 0.0875, 0.004, pixel)
    joints = _lines(x + 0.23 * row + dice("texture")[:, None, None], 0.46, 0.005, pixel)
    dark = ground * torch.maximum(seams, joints)
    return picture * (1 - 0.32 * dark[:, None])


def sand(x: Tensor, y: Tensor, dice: Dice, pixel: float | Tensor) -> Tensor:
    """Paint pale ripples of sand under a hazy sky."""
    swell = 0.012 * torch.sin(2 * math.pi * (x * 0.9 + dice("horizon")[:, None, None]))
    picture = _two_part(x, y, (0.58, 0.70, 0.78), (0.80, 0.69, 0.47), pixel=pixel, line=HORIZON + swell)
    ground = (y > HORIZON + swell).to(x.dtype)
    ripple = torch.sin(2 * math.pi * (y * 8 + 0.5 * torch.sin(2 * math.pi * (x + dice("ripple")[:, None, None]))))
    return picture * (1 + 0.04 * (ground * ripple)[:, None])


def dark_floor(x: Tensor, y: Tensor, _dice: Dice, pixel: float | Tensor) -> Tensor:
    """Paint a night room: a dark wall over a nearly black ground that lightens towards the viewer."""
    picture = _two_part(x, y, (0.17, 0.18, 0.24), (0.07, 0.07, 0.09), pixel=pixel)
    glow = ((y - HORIZON) / (1 - HORIZON)).clamp(0.0, 1.0)
    return picture + 0.06 * glow[:, None]


def meadow(x: Tensor, y: Tensor, dice: Dice, pixel: float | Tensor) -> Tensor:
    """Paint a dull green meadow with tufts of grass and a few pale flowers, a far hill, a soft sky."""
    start = dice("horizon")[:, None, None]
    hill = HORIZON - 0.05 - 0.035 * torch.sin(2 * math.pi * (0.55 * x + start))
    far = ((y - hill) / pixel + 0.5).clamp(0.0, 1.0)[:, None]
    picture = _two_part(x, y, (0.66, 0.75, 0.82), (0.47, 0.52, 0.34), pixel=pixel)
    picture = torch.lerp(picture, _colour(x, (0.53, 0.60, 0.50)), far * (y < HORIZON)[:, None].to(x.dtype))
    row = ((y - HORIZON) / 0.065).floor()
    up = (y - HORIZON) / 0.065 - row
    blades = _lines(x + 0.031 * row + dice("texture")[:, None, None], 0.085, 0.011, pixel) * (up > 0.45).to(x.dtype)
    picture = picture * (1 - 0.20 * (blades * (row >= 0).to(x.dtype))[:, None])
    flower_x = ((x + 0.17 * row + dice("ripple")[:, None, None]) / 0.29 + 0.5) % 1.0 - 0.5
    flower = ((0.011 - torch.hypot(flower_x * 0.29, (up - 0.3) * 0.065)) / pixel + 0.5).clamp(0.0, 1.0)
    flower = flower * ((row % 2) * (row >= 0).to(x.dtype))
    return torch.lerp(picture, _colour(x, (0.80, 0.78, 0.70)), flower[:, None])


def snow(x: Tensor, y: Tensor, dice: Dice, pixel: float | Tensor) -> Tensor:
    """Paint bluish snow with soft drifts under a grey sky, a row of far firs between them."""
    swell = 0.010 * torch.sin(2 * math.pi * (0.8 * x + dice("horizon")[:, None, None]))
    picture = _two_part(x, y, (0.52, 0.58, 0.67), (0.75, 0.79, 0.86), pixel=pixel, line=HORIZON + swell)
    place = (x + dice("texture")[:, None, None]) / 0.21 + 0.5
    away = 0.21 * (place % 1.0 - 0.5).abs()
    rise = HORIZON + swell - y
    tall = 0.055 + 0.03 * torch.sin(9.0 * place.floor())
    fir = (torch.minimum(0.42 * (tall - rise) - away, rise) / pixel + 0.5).clamp(0.0, 1.0)
    picture = torch.lerp(picture, _colour(x, (0.40, 0.47, 0.52)), fir[:, None])
    wave = 0.35 * torch.sin(2 * math.pi * (0.7 * x + dice("ripple")[:, None, None]))
    drift = torch.sin(2 * math.pi * (3.2 * y + wave))
    ground = (y > HORIZON + swell).to(x.dtype)
    return picture * (1 + 0.035 * (ground * drift)[:, None])


def seams(picture: Tensor, x: Tensor, y: Tensor, dice: Dice, pixel: float | Tensor) -> Tensor:
    """Return the picture with faint seams in its bare wall and ground, for a moving camera to be seen by."""
    shift = dice("texture")[:, None, None]
    wall = _lines(x + shift, 0.37, 0.006, pixel) * (y < HORIZON).to(x.dtype)
    # Seams of the ground spread towards the viewer.
    spread = (x - 0.5) / (1 + 2.5 * (y - HORIZON).clamp(min=0.0)) + shift
    ground = _lines(spread, 0.37, 0.006, pixel) * (y >= HORIZON).to(x.dtype)
    return picture * (1 - 0.22 * (wall + ground)[:, None])


BARE = frozenset({"plain", "dark floor"})
"""Scenes in which only the actor could tell a pan: where the camera moves, they have `seams`."""

SCENERY: dict[str, Scenery] = {
    "plain": plain,
    "wooden floor": wooden_floor,
    "sand": sand,
    "dark floor": dark_floor,
    "meadow": meadow,
    "snow": snow,
}
"""Every scene of the world by its word in `spec.SCENES`."""
