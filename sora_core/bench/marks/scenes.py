"""What natural-looking clips show, from hills to a face, as moving layers."""

# H W height and width of a layer in pixels, 4 RGB in [0, 1] premultiplied and coverage

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .textures import Colour, ball, blurred, fractal, leaves, ramp, squash

MARGIN = 1.34
"""A layer's sides over the frame's: room for pans."""

FEATURES = (
    (-0.16, -0.04, 0.05, 0.022, 0.75),
    (0.16, -0.04, 0.05, 0.022, 0.75),
    (0.0, 0.25, 0.11, 0.02, 0.5),
    (0.0, 0.1, 0.03, 0.05, 0.15),
    (0.0, -0.46, 0.42, 0.17, 0.85),
)
"""Of a face: x and y from its centre, half width and half height in its own size, and how dark."""


class Layer(NamedTuple):
    """A picture that moves as one.

    picture_4HW: ``MARGIN`` times the frame. nearness: its share of the camera's motion. path: seconds to its own shift
    in frame heights, x and y. sway: pixels at a height of 480 by which wind or waves bend it. solid: it has no holes
    and goes on behind its borders.
    """

    picture_4HW: Tensor  # noqa: N815
    nearness: float = 1.0
    path: Callable[[float], tuple[float, float]] = lambda _: (0.0, 0.0)
    sway: float = 0.0
    solid: bool = True


class Canvas:
    """Sizes and chance of one clip. height, width: of a layer in pixels. unit: pixels of a frame's height over 480."""

    def __init__(self, width: int, height: int, dice: torch.Generator) -> None:
        self.height, self.width = round(height * MARGIN), round(width * MARGIN)
        self.unit, self.dice = height / 480, dice

    def uniform(self, low: float, high: float) -> float:
        """Return a number between both."""
        return low + (high - low) * float(torch.rand((), generator=self.dice))

    def fractal(self, slope: float) -> Tensor:
        """Return a fractal field ``[H, W]``."""
        return fractal(self.height, self.width, slope, self.dice)

    def solid(self, picture_3HW: Tensor) -> Tensor:
        """Return a picture without holes ``[4, H, W]``."""
        return torch.cat([picture_3HW.clamp(0, 1), torch.ones(1, *picture_3HW.shape[1:])])

    def plain(self, colour: Colour = (0.1, 0.1, 0.08)) -> Tensor:
        """Return one colour ``[4, H, W]``."""
        return torch.tensor([*colour, 1.0])[:, None, None].repeat(1, self.height, self.width)

    def clear(self) -> Tensor:
        """Return a layer of holes ``[4, H, W]``."""
        return torch.zeros(4, self.height, self.width)

    def hue(self, *stops: Colour) -> list[Colour]:
        """Return colours under light of a random warmth and strength."""
        warm, gain = self.uniform(-0.12, 0.12), self.uniform(0.7, 1.1)
        return [(r * gain * (1 + warm), g * gain, b * gain * (1 - warm)) for r, g, b in stops]

    def count(self, per_frame: int) -> int:
        """Return a number of things, fewer in small frames, where as many would cost as much."""
        return max(60, round(per_frame * min(1.0, self.unit)))

    def circling(self, reach: float) -> Callable[[float], tuple[float, float]]:
        """Return a slow path about a place, of that reach in frame heights."""
        a, b = self.uniform(0.5, 2.0), self.uniform(0.5, 2.0)
        p, q = self.uniform(0, 6.3), self.uniform(0, 6.3)
        return lambda t: (reach * math.sin(a * t + p), 0.6 * reach * math.sin(b * t + q))

    def drifting(self, speed: float) -> Callable[[float], tuple[float, float]]:
        """Return a steady path in a random direction, ``speed`` frame heights a second."""
        angle = self.uniform(0, 6.3)
        return lambda t: (speed * t * math.cos(angle), speed * t * math.sin(angle))


def hills(c: Canvas) -> list[Layer]:
    """Clouds over ridges, hazier with distance."""
    down = torch.linspace(0, 1, c.height)[:, None]
    sky = ramp(down.expand(c.height, c.width), c.hue((0.25, 0.45, 0.8), (0.75, 0.85, 0.95), (0.9, 0.85, 0.8)))
    cloud = squash(c.fractal(1.7), c.uniform(-0.3, 0.6), 2.2)
    sky = sky + cloud * (0.97 - sky)
    far = _ridge(c, 0.42, c.hue((0.3, 0.4, 0.5), (0.55, 0.62, 0.7)), haze=0.45)
    back = c.solid(sky * (1 - far[3]) + far[:3])
    middle = _ridge(c, 0.56, c.hue((0.1, 0.18, 0.1), (0.35, 0.42, 0.2), (0.5, 0.45, 0.3)), haze=0.15)
    near = _ridge(c, 0.72, c.hue((0.05, 0.09, 0.03), (0.25, 0.3, 0.08), (0.45, 0.4, 0.2)), haze=0.0)
    return [Layer(back, 0.35), Layer(middle, 0.6, solid=False), Layer(near, 1.1, sway=1.0, solid=False)]


def _ridge(c: Canvas, place: float, stops: list[Colour], *, haze: float) -> Tensor:
    line = c.fractal(1.6)[0] * 0.05 * c.height + place * c.height + 0.01 * c.height * c.fractal(0.8)[0]
    cover = (torch.arange(c.height)[:, None] - line[None] + 0.5).clamp(0, 1)
    grain = 0.6 * c.fractal(1.0) + 0.5 * c.fractal(0.6)
    colours = ramp(squash(grain, -1.9, 1.9), stops)
    colours = colours * (1 - haze) + haze * torch.tensor([0.75, 0.8, 0.88])[:, None, None]
    return torch.cat([colours * cover, cover[None]])


def foliage(c: Canvas) -> list[Layer]:
    """Leaves in wind, and some nearer ones out of focus."""
    stops = c.hue((0.02, 0.05, 0.01), (0.12, 0.25, 0.05), (0.3, 0.45, 0.1), (0.6, 0.65, 0.25))
    back = leaves(
        c.plain((0.06, 0.09, 0.05)),
        c.dice,
        count=c.count(2600),
        radii=(4 * c.unit + 1.5, 60 * c.unit),
        stops=stops,
        long=3.0,
    )
    back[:3] *= (0.85 + 0.25 * c.fractal(1.4) + 0.1 * c.fractal(0.7)).clamp(0.15, 1.5)
    near = leaves(c.clear(), c.dice, count=14, radii=(30 * c.unit, 90 * c.unit), stops=stops, long=3.0)
    near[:3] *= near[3]
    return [
        Layer(c.solid(back[:3]), 0.8, sway=2.5),
        Layer(blurred(near, 5 * c.unit), 1.8, c.circling(0.03), sway=4.0, solid=False),
    ]


def water(c: Canvas) -> list[Layer]:
    """Waves that run over each other towards a shore."""
    stops = c.hue((0.02, 0.08, 0.12), (0.08, 0.25, 0.32), (0.35, 0.55, 0.6), (0.9, 0.95, 0.95))
    waves = [_flat(ramp(squash(c.fractal(c.uniform(1.0, 1.3)), -1.4, 2.6), stops)) for _ in range(2)]
    shore = _ridge(c, 0.0, c.hue((0.1, 0.15, 0.06), (0.4, 0.42, 0.25), (0.7, 0.65, 0.5)), haze=0.2)
    edge = c.height * 0.24 + 0.015 * c.height * c.fractal(1.2)[0]
    shore = shore * (edge[None] - torch.arange(c.height)[:, None]).clamp(0, 1)
    return [
        Layer(c.solid(waves[0]), 0.8, c.drifting(0.06), sway=5.0),
        Layer(c.solid(waves[1]) * 0.5, 0.8, c.drifting(0.09), sway=7.0),
        Layer(shore, 0.5, solid=False),
    ]


def _flat(picture_3HW: Tensor) -> Tensor:
    """Return a surface seen at a low angle: rows crowd towards the top."""
    height, width = picture_3HW.shape[1:]
    down = torch.linspace(0.12, 1, height)
    rows = (2 * torch.log(down / 0.12) / math.log(1 / 0.12) - 1)[:, None].expand(height, width)
    columns = torch.linspace(-1, 1, width)[None] / (0.35 + 0.65 * down[:, None])
    grid = torch.stack([columns * 0.55, rows], -1)[None]
    return F.grid_sample(picture_3HW[None], grid, padding_mode="reflection", align_corners=False)[0]


def balls(c: Canvas) -> list[Layer]:
    """Lit balls of several surfaces over a textured ground, with soft shadows."""
    ground = ramp(
        squash(c.fractal(1.1) + 0.3 * c.fractal(0.5)), c.hue((0.3, 0.22, 0.15), (0.6, 0.5, 0.4), (0.85, 0.8, 0.7))
    )
    light = torch.linspace(1.1, 0.5, c.width)[None] * torch.linspace(0.7, 1.0, c.height)[:, None]
    found = [Layer(c.solid(ground * light), 0.8)]
    for _ in range(2):
        side = round(c.uniform(130, 260) * c.unit)
        tone = [(c.uniform(0.1, 1), c.uniform(0.1, 1), c.uniform(0.1, 1)) for _ in range(2)]
        skin = ramp(squash(fractal(side, side, c.uniform(0.9, 1.8), c.dice)), tone)
        lit = ball(side, skin, gloss=c.uniform(0.1, 0.7))
        sheet = c.clear()
        x, y = (round(c.uniform(0.25, 0.75) * space - side / 2) for space in (c.width, c.height))
        x, y = max(0, min(x, c.width - side)), max(0, min(y, c.height - side))
        shadow = round(side * 0.2)
        under = sheet[3, min(y + shadow, c.height) :, min(x + shadow, c.width) :][:side, :side]
        under += 0.55 * lit[3, : under.shape[0], : under.shape[1]]
        sheet[3] = blurred(sheet[3:], 9 * c.unit)[0]
        spot = sheet[:, y : y + side, x : x + side]
        spot.mul_(1 - lit[3]).add_(lit)
        found.append(Layer(sheet, 1.2, c.circling(c.uniform(0.05, 0.2)), solid=False))
    return found


def face(c: Canvas) -> list[Layer]:
    """A head of smooth skin, hair and cloth before a room out of focus."""
    room = leaves(
        c.plain((0.3, 0.28, 0.25)), c.dice, count=120, radii=(25 * c.unit, 160 * c.unit), dome=0.2,
        stops=c.hue((0.1, 0.1, 0.12), (0.5, 0.42, 0.35), (0.8, 0.75, 0.65)),
    )  # fmt: skip
    room = c.solid(blurred(room[:3], c.uniform(6, 14) * c.unit))
    side = round(330 * c.unit)
    tone = c.uniform(0.35, 1.0)
    skin = ramp(
        squash(fractal(side, side, 1.8, c.dice) + 0.1 * fractal(side, side, 0.4, c.dice), -3, 3),
        [(0.75 * tone, 0.52 * tone, 0.42 * tone), (0.98 * tone, 0.76 * tone, 0.64 * tone)],
    )
    head = ball(side, skin, gloss=0.08, flat=1.1)
    # eyes, mouth, nose and hair: place, half size, darkness
    line = (torch.arange(side) - side / 2) / side
    for x, y, wide, high, dark in FEATURES:
        mark = torch.exp(-((((line[None] - x) / wide) ** 2 + ((line[:, None] - y) / high) ** 2) ** 2))
        head[:3] *= 1 - dark * mark
    strands = fractal(side, side, 1.0, c.dice)[:1].expand(side, side)
    head[:3] *= 1 + 0.25 * strands * (line[:, None] < -0.28)
    sheet = c.clear()
    x, y = round(c.width * c.uniform(0.35, 0.65) - side / 2), round(c.height * 0.2)
    slope = ((torch.arange(c.width)[None] - x - side / 2) / side) ** 2 * side * 0.4
    cover = ((torch.arange(c.height)[:, None] - c.height * 0.7 - slope) * 0.5).clamp(0, 1)
    colours = ramp(squash(c.fractal(1.3) + 0.2 * c.fractal(0.4)), c.hue((0.08, 0.1, 0.2), (0.25, 0.3, 0.5)))
    sheet += torch.cat([colours * cover, cover[None]])
    spot = sheet[:, y : y + side, x : x + side]
    spot.mul_(1 - head[3]).add_(head)
    return [Layer(room, 0.4), Layer(sheet, 1.0, c.circling(0.02), solid=False)]


def street(c: Canvas) -> list[Layer]:
    """A front of windows seen from the side, and something that drives by."""
    wall = ramp(squash(c.fractal(1.0) + 0.4 * c.fractal(0.3), -3, 3), c.hue((0.45, 0.35, 0.3), (0.75, 0.65, 0.55)))
    step_x, step_y = round(c.uniform(55, 95) * c.unit), round(c.uniform(70, 110) * c.unit)
    glass = ramp(squash(c.fractal(1.6)), c.hue((0.06, 0.08, 0.1), (0.3, 0.4, 0.5), (0.8, 0.85, 0.9)))
    shine = torch.rand(c.height // step_y + 2, c.width // step_x + 2, generator=c.dice)
    for row in range(c.height // step_y + 1):
        for column in range(c.width // step_x + 1):
            y, x = row * step_y + step_y // 4, column * step_x + step_x // 4
            box = (slice(y, y + step_y * 5 // 8), slice(x, x + step_x * 9 // 16))
            wall[:, box[0], box[1]] *= 0.55
            inner = (slice(y + 2, y + step_y * 5 // 8 - 2), slice(x + 2, x + step_x * 9 // 16 - 2))
            wall[:, inner[0], inner[1]] = glass[:, inner[0], inner[1]] * (0.4 + 0.8 * shine[row, column])
    wall[:, ::step_y] *= 0.6
    slant = c.uniform(-0.35, 0.35)
    columns = torch.linspace(-1, 1, c.width)[None].expand(c.height, -1)
    rows = torch.linspace(-1, 1, c.height)[:, None] * (1 - slant * columns)
    grid = torch.stack([columns + 0.2 * slant * columns**2, rows * 0.8], -1)[None]
    wall = F.grid_sample(wall[None], grid, mode="bicubic", padding_mode="reflection", align_corners=False)[0]
    road = _ridge(c, 0.84, c.hue((0.12, 0.12, 0.13), (0.3, 0.3, 0.3)), haze=0.05)
    back = c.solid(wall * torch.linspace(1.1, 0.8, c.height)[:, None] * (1 - road[3]) + road[:3])
    car = c.clear()
    long, high = round(230 * c.unit), round(80 * c.unit)
    y, x = round(c.height * 0.78), round(c.width * 0.35)
    shape = ball(
        long, ramp(squash(fractal(long, long, 1.6, c.dice)), c.hue((0.4, 0.1, 0.1), (0.7, 0.2, 0.2))), flat=0.35
    )
    cut = shape[:, long // 2 - high : long // 2 + high // 2]
    spot = car[:, y : y + cut.shape[1], x : x + long]
    spot += cut[:, : spot.shape[1], : spot.shape[2]]
    speed = c.uniform(-0.25, 0.25)
    return [Layer(back, 0.7), Layer(car, 1.1, lambda t: (speed * t, 0.0), solid=False)]


def night(c: Canvas) -> list[Layer]:
    """A dark place with distant lamps out of focus."""
    dark = ramp(
        squash(c.fractal(1.3) + 0.2 * c.fractal(0.6)), [(0.01, 0.01, 0.02), (0.05, 0.05, 0.07), (0.12, 0.11, 0.1)]
    )
    lamps = leaves(
        c.clear(), c.dice, count=26, radii=(8 * c.unit, 26 * c.unit), dome=0.05,
        stops=[(0.9, 0.5, 0.15), (0.9, 0.8, 0.5), (0.3, 0.5, 0.9), (0.8, 0.15, 0.1)],
    )  # fmt: skip
    lamps *= c.uniform(0.5, 0.9)
    lamps = blurred(lamps, 1.5 * c.unit)
    return [Layer(c.solid(dark), 0.6), Layer(lamps, 0.9, c.circling(0.01), solid=False)]


def pebbles(c: Canvas) -> list[Layer]:
    """Stones from close by, sharp all over."""
    stops = c.hue((0.15, 0.13, 0.12), (0.4, 0.36, 0.32), (0.62, 0.58, 0.52), (0.85, 0.82, 0.78))
    radii = (5 * c.unit + 1.5, c.uniform(35, 90) * c.unit)
    stones = leaves(c.plain(), c.dice, count=c.count(2200), radii=radii, stops=stops, dome=1.0, long=1.6)
    stones[:3] *= (1 + 0.12 * c.fractal(0.5) + 0.15 * c.fractal(1.2)).clamp(0.2, 1.6)
    return [Layer(c.solid(stones[:3]), 1.0)]


SCENES = (hills, foliage, water, balls, face, street, night, pebbles)
"""In the order of the seeds."""
