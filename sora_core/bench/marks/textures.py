"""Surfaces with the statistics of photographs: fractal fields, overlapping leaves, shaded balls."""

# H W height and width of a surface in pixels, 3 RGB in [0, 1], 4 RGB and coverage

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""

TABLE = 256
"""Steps of a colour ramp."""

LIGHT = (-0.45, -0.6, 0.66)
"""Where the light comes from: left, above, in front."""


def fractal(height: int, width: int, slope: float, dice: torch.Generator) -> Tensor:
    """Return Gaussian noise ``[H, W]`` of mean 0 and deviation 1 whose amplitude falls as ``frequency ** -slope``.

    Photographs have a slope of about 1 (Field 1987); larger is smoother. It repeats at its borders.
    """
    spectrum = torch.fft.rfft2(torch.randn(height, width, generator=dice))
    rows, columns = torch.fft.fftfreq(height)[:, None] * height, torch.fft.rfftfreq(width)[None] * width
    # one period per longer side is the lowest frequency, in both directions alike
    frequency = torch.hypot(rows * max(height, width) / height, columns * max(height, width) / width)
    frequency[0, 0] = 1.0
    spectrum *= frequency**-slope
    spectrum[0, 0] = 0.0
    field_HW = torch.fft.irfft2(spectrum, s=(height, width))
    return field_HW / field_HW.std()


def ramp(values_HW: Tensor, stops: Sequence[Colour]) -> Tensor:
    """Return values in [0, 1] as colours ``[3, H, W]`` along evenly spaced stops."""
    steps = torch.tensor(stops).T[None]
    table_3 = F.interpolate(steps, size=TABLE, mode="linear", align_corners=True)[0]
    return table_3[:, (values_HW.clamp(0, 1) * (TABLE - 1)).long()]


def squash(values: Tensor, low: float = -2.0, high: float = 2.0) -> Tensor:
    """Return values from ``low`` to ``high`` as 0 to 1, smooth at both ends and clamped."""
    part = ((values - low) / (high - low)).clamp(0, 1)
    return part * part * (3 - 2 * part)


def blurred(picture_CHW: Tensor, sigma: float) -> Tensor:
    """Return a picture out of focus: Gaussian of ``sigma`` pixels, borders mirrored."""
    reach = max(1, math.ceil(2.5 * sigma))
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    line = (line / line.sum()).repeat(len(picture_CHW), 1)
    padded = F.pad(picture_CHW[None], (reach, reach, reach, reach), mode="reflect")
    rows = F.conv2d(padded, line[:, None, :, None], groups=len(picture_CHW))
    return F.conv2d(rows, line[:, None, None, :], groups=len(picture_CHW))[0]


def leaves(
    picture_4HW: Tensor,
    dice: torch.Generator,
    *,
    count: int,
    radii: tuple[float, float],
    stops: Sequence[Colour],
    dome: float = 0.5,
    long: float = 1.0,
) -> Tensor:
    """Paint overlapping shaded ellipses over a picture, in place, and return it.

    The dead-leaves model (Lee, Mumford and Huang 2001): sizes of density ``radius ** -3`` give the edges, occlusions
    and spectrum of natural pictures.

    Args:
        picture_4HW: painted upon. dice: chooses everything.
        count: ellipses. radii: smallest and largest in pixels.
        stops: colours they are drawn from.
        dome: 0 flat to 1 strongly rounded by light. long: largest ratio of the axes.
    """
    height, width = picture_4HW.shape[1:]
    low, high = radii
    drawn = torch.rand(count, 8, generator=dice)
    # inverse of the distribution of a density r^-3 between the two radii
    sizes = (low**-2 - drawn[:, 0] * (low**-2 - high**-2)) ** -0.5
    colours_3 = ramp(drawn[None, :, 1], stops)[:, 0]
    for place in range(count):
        radius, stretch = float(sizes[place]), 1 + float(drawn[place, 2]) * (long - 1)
        x, y = float(drawn[place, 3]) * width, float(drawn[place, 4]) * height
        reach = math.ceil(radius * stretch) + 1
        left, right = max(0, int(x) - reach), min(width, int(x) + reach + 1)
        top, bottom = max(0, int(y) - reach), min(height, int(y) + reach + 1)
        if left >= right or top >= bottom:
            continue
        turn = float(drawn[place, 5]) * math.pi
        across = (torch.arange(left, right) - x)[None]
        down = (torch.arange(top, bottom) - y)[:, None]
        u = (across * math.cos(turn) + down * math.sin(turn)) / (radius * stretch)
        v = (down * math.cos(turn) - across * math.sin(turn)) / radius
        squared = u * u + v * v
        cover = ((1 - squared) * radius * 0.5).clamp(0, 1)
        shade = 1 - dome * (0.35 * squared + 0.4 * (down * 0.8 + across * 0.5) / radius / stretch)
        shade *= 0.75 + 0.5 * float(drawn[place, 6])
        patch = picture_4HW[:, top:bottom, left:right]
        patch[:3] += cover * (colours_3[:, place, None, None] * shade - patch[:3])
        patch[3] = torch.maximum(patch[3], cover)
    return picture_4HW


def ball(side: int, colour_3HW: Tensor, *, gloss: float = 0.5, flat: float = 1.0) -> Tensor:
    """Return a lit ball on a clear ground ``[4, side, side]``, premultiplied.

    Args:
        side: of the square in pixels; the ball fills 90 % of it.
        colour_3HW: its surface. gloss: strength of the highlight. flat: height over width of its outline.
    """
    line = (torch.arange(side) + 0.5 - side / 2) / (side * 0.45)
    x, y = line[None], line[:, None] / flat
    squared = x * x + y * y
    z = (1 - squared).clamp_min(0).sqrt()
    lit = (x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]).clamp_min(0)
    spot = ((x * LIGHT[0] + y * LIGHT[1]) * 0.9 + z * 0.9).clamp(0, 1) ** 24
    cover = ((1 - squared) * side * 0.2).clamp(0, 1)
    shaded = (colour_3HW * (0.16 + 0.9 * lit) + gloss * spot).clamp(0, 1)
    return torch.cat([shaded * cover, cover[None]])
