"""Signed distances of the world's objects, in units of their radius (negative inside, y down)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An object's outline and mark.

    distance: ``(x, y) -> signed distance``, all in radii, upright. extent: lowest point below the centre, in radii.
    mark: ``(x, y) -> signed distance`` of the darker mark that shows rotation. width: half of its greatest width, in
    radii. faces: it has a front, drawn to the right; an actor that goes left is drawn mirrored. intricate: made of
    many edges, all of them within 1.3 radii of the centre across and down.
    """

    distance: Callable[[Tensor, Tensor], Tensor]
    extent: float
    mark: Callable[[Tensor, Tensor], Tensor]
    width: float = 1.0
    faces: bool = False
    intricate: bool = False


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


def _ellipse(x: Tensor, y: Tensor, half_width: float, half_height: float) -> Tensor:
    """Return roughly the distance to an upright ellipse: exact on its outline, a little short away from it."""
    scaled = torch.hypot(x / half_width, y / half_height)
    slope = torch.hypot(x / half_width**2, y / half_height**2).clamp(min=1e-6)
    return scaled * (scaled - 1) / slope


def _union(*distances: Tensor) -> Tensor:
    return reduce(torch.minimum, distances)


def _car(x: Tensor, y: Tensor) -> Tensor:
    body = rectangle(x, y - 0.27, 1.12, 0.37, 0.16)
    cabin = polygon(x, y, ((-0.90, 0.20), (-0.52, -0.66), (0.28, -0.66), (0.70, 0.20)))
    return _union(body, cabin, disc(x.abs() - 0.60, y - 0.60, 0.34))


def _car_mark(x: Tensor, y: Tensor) -> Tensor:
    window = polygon(x, y, ((-0.56, -0.06), (-0.38, -0.46), (0.18, -0.46), (0.40, -0.06)))
    return _union(disc(x.abs() - 0.60, y - 0.60, 0.36), torch.maximum(window, 0.05 - (x + 0.10).abs()))


def _boat(x: Tensor, y: Tensor) -> Tensor:
    hull = polygon(x, y, ((-1.08, 0.18), (1.14, 0.18), (0.74, 0.84), (-0.72, 0.84)))
    main = polygon(x, y, ((0.06, -1.10), (0.94, 0.02), (0.06, 0.02)))
    jib = polygon(x, y, ((-0.16, -0.80), (-0.16, 0.02), (-0.78, 0.02)))
    return _union(hull, main, jib, rectangle(x + 0.05, y + 0.42, 0.09, 0.68))


def _boat_mark(x: Tensor, y: Tensor) -> Tensor:
    return _union(y.neg() + 0.46, torch.maximum(x.neg() - 0.14, x - 0.04).clamp(min=y - 0.18))


def _fish(x: Tensor, y: Tensor) -> Tensor:
    tail = polygon(x, y, ((-0.35, 0.0), (-1.14, -0.62), (-0.90, 0.0), (-1.14, 0.62)))
    fin = polygon(x, y, ((-0.35, -0.35), (-0.20, -0.88), (0.42, -0.40)))
    return _union(_ellipse(x - 0.24, y, 0.88, 0.62), tail, fin)


def _fish_mark(x: Tensor, y: Tensor) -> Tensor:
    gill = torch.maximum((torch.hypot(x - 0.85, y) - 0.62).abs() - 0.07, _union(x - 0.5, y.abs() - 0.35))
    return _union(disc(x - 0.74, y + 0.16, 0.14), gill, x + 0.66)


def _bird(x: Tensor, y: Tensor) -> Tensor:
    body = _ellipse(0.94 * x + 0.34 * y + 0.02, 0.94 * y - 0.34 * x - 0.12, 0.74, 0.46)
    beak = polygon(x, y, ((0.80, -0.66), (1.22, -0.46), (0.80, -0.30)))
    tail = polygon(x, y, ((-0.40, 0.06), (-1.18, 0.30), (-1.10, 0.66), (-0.30, 0.50)))
    legs = rectangle((x + 0.04).abs() - 0.17, y - 0.70, 0.06, 0.26)
    return _union(body, disc(x - 0.55, y + 0.50, 0.38), beak, tail, legs)


def _bird_mark(x: Tensor, y: Tensor) -> Tensor:
    wing = _ellipse(0.87 * x + 0.5 * y + 0.22, 0.87 * y - 0.5 * x - 0.02, 0.44, 0.22)
    return _union(wing, disc(x - 0.64, y + 0.56, 0.12), 0.78 - x)


def _rocket(x: Tensor, y: Tensor) -> Tensor:
    hull = polygon(
        x, y, ((0.0, -1.20), (0.24, -0.86), (0.37, -0.40), (0.37, 0.62), (-0.37, 0.62), (-0.37, -0.40), (-0.24, -0.86))
    )
    fin = polygon(x.abs(), y, ((0.16, 0.0), (0.37, 0.0), (0.84, 0.58), (0.84, 0.92), (0.37, 0.62), (0.16, 0.62)))
    nozzle = polygon(x, y, ((-0.16, 0.45), (0.16, 0.45), (0.27, 0.88), (-0.27, 0.88)))
    return _union(hull, fin, nozzle)


def _rocket_mark(x: Tensor, y: Tensor) -> Tensor:
    return _union(disc(x, y + 0.36, 0.19), (y - 0.16).abs() - 0.09, y + 0.86)


_TREE = (
    (0.0, -1.16), (0.46, -0.56), (0.26, -0.56), (0.68, 0.02), (0.42, 0.02), (0.90, 0.60), (0.17, 0.60), (0.17, 0.98),
)  # fmt: skip


def _tree(x: Tensor, y: Tensor) -> Tensor:
    left = [(-px, py) for px, py in reversed(_TREE[1:])]
    return polygon(x, y, (*_TREE, *left))


def _tree_mark(_x: Tensor, y: Tensor) -> Tensor:
    return _union(0.60 - y, (y + 0.50).abs() - 0.06, (y - 0.08).abs() - 0.06)


SHAPES: dict[str, Shape] = {
    "ball": Shape(distance=disc, extent=1.0, mark=_band),
    "box": Shape(distance=lambda x, y: rectangle(x, y, 0.88, 0.88), extent=0.88, mark=_dot, width=0.88),
    "star": Shape(distance=star, extent=1.12 * math.cos(math.pi / 5), mark=_dot, width=1.07),
    "ring": Shape(distance=lambda x, y: (torch.hypot(x, y) - 0.70).abs() - 0.30, extent=1.0, mark=_notch),
    "car": Shape(distance=_car, extent=0.94, mark=_car_mark, width=1.12, faces=True, intricate=True),
    "boat": Shape(distance=_boat, extent=0.84, mark=_boat_mark, width=1.14, faces=True, intricate=True),
    "fish": Shape(distance=_fish, extent=0.62, mark=_fish_mark, width=1.14, faces=True, intricate=True),
    "bird": Shape(distance=_bird, extent=0.96, mark=_bird_mark, width=1.22, faces=True, intricate=True),
    "rocket": Shape(distance=_rocket, extent=0.92, mark=_rocket_mark, width=0.84, intricate=True),
    "tree": Shape(distance=_tree, extent=0.98, mark=_tree_mark, width=0.90, intricate=True),
}
"""Every object of the world by its word in `spec.OBJECTS`."""
