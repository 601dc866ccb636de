"""Signed distances of the world's objects, in units of their radius (negative inside, y down)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An object's outline and mark.

    distance: ``(x, y) -> signed distance``, all in radii, upright. extent: lowest point below the centre, in radii.
    mark: ``(x, y) -> signed distance`` of the darker mark that shows rotation.
    """

    distance: Callable[[Tensor, Tensor], Tensor]
    extent: float
    mark: Callable[[Tensor, Tensor], Tensor]


def disc(x: Tensor, y: Tensor, radius: float = 1.0) -> Tensor:
    """Return the distance to a disc."""
    return torch.hypot(x, y) - radius


def rectangle(x: Tensor, y: Tensor, half_width: float, half_height: float, corner: float = 0.0) -> Tensor:
    """Return the distance to an upright rectangle, its corners rounded by ``corner``."""
    dx = x.abs() - half_width + corner
    dy = y.abs() - half_height + corner
    outside = torch.hypot(dx.clamp(min=0.0), dy.clamp(min=0.0))
    return outside + torch.maximum(dx, dy).clamp(max=0.0) - corner


def polygon(x: Tensor, y: Tensor, points: Sequence[tuple[float, float]]) -> Tensor:
    """Return the distance to a simple polygon (nearest edge, sign by crossings)."""
    squared = torch.full_like(x, torch.inf)
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0)
        squared = torch.minimum(squared, (px - ex * along) ** 2 + (py - ey * along) ** 2)
        if ey != 0:
            crosses = ((ay > y) != (by > y)) & (px < ex / ey * py)
            inside = inside ^ crosses
    distance = squared.sqrt()
    return torch.where(inside, -distance, distance)


def star(x: Tensor, y: Tensor, outer: float = 1.12, inner: float = 0.50) -> Tensor:
    """Return the distance to a five-pointed star, one point up (folded into one half of one point)."""
    sector = math.pi / 5
    turned = torch.remainder(torch.atan2(x, -y) + sector, 2 * sector) - sector
    length = torch.hypot(x, y)
    px, py = length * turned.abs().sin(), length * turned.cos() - outer
    ex, ey = inner * math.sin(sector), inner * math.cos(sector) - outer
    along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0)
    distance = torch.hypot(px - ex * along, py - ey * along)
    return torch.where(px * ey - py * ex > 0, -distance, distance)


def _band(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs() - 0.17, disc(x, y, 0.80))


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return disc(x, y + 0.42, 0.2)


def _notch(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs() - 0.16, y)


SHAPES: dict[str, Shape] = {
    "ball": Shape(distance=disc, extent=1.0, mark=_band),
    "box": Shape(distance=lambda x, y: rectangle(x, y, 0.88, 0.88), extent=0.88, mark=_dot),
    "star": Shape(distance=star, extent=1.12 * math.cos(math.pi / 5), mark=_dot),
    "ring": Shape(distance=lambda x, y: (torch.hypot(x, y) - 0.70).abs() - 0.30, extent=1.0, mark=_notch),
}
"""Every object of the world by its word in `spec.OBJECTS`."""
