"""Attacks on what pixels look like: blur, noise, colour, and filters that take noise away."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .geometry import PIECE, in_pieces


def blurred(frames_FHWC: Tensor, sigma: float) -> Tensor:
    """Return frames after a Gaussian of that deviation in pixels."""
    from kornia.filters import gaussian_blur2d

    side = 2 * max(1, round(3 * sigma)) + 1
    return in_pieces(frames_FHWC, lambda planes: gaussian_blur2d(planes, (side, side), (sigma, sigma)))


def sharpened(frames_FHWC: Tensor, strength: float) -> Tensor:
    """Return frames with what a Gaussian of 1 pixel takes away added, times ``strength``."""
    from kornia.filters import gaussian_blur2d

    return in_pieces(
        frames_FHWC, lambda planes: planes + strength * (planes - gaussian_blur2d(planes, (7, 7), (1.0, 1.0)))
    )


def noisy(frames_FHWC: Tensor, sigma: float, rng: torch.Generator) -> Tensor:
    """Return frames with Gaussian noise of that deviation in levels, new in every frame."""
    return in_pieces(frames_FHWC, lambda planes: planes + sigma * torch.randn(planes.shape, generator=rng))


def brighter(frames_FHWC: Tensor, factor: float) -> Tensor:
    """Return frames times a factor."""
    return in_pieces(frames_FHWC, lambda planes: planes * factor)


def contrasted(frames_FHWC: Tensor, factor: float) -> Tensor:
    """Return frames with differences from their own mean grey times a factor."""

    def work(planes: Tensor) -> Tensor:
        middle = grey(planes).mean((1, 2, 3), keepdim=True)
        return middle + (planes - middle) * factor

    return in_pieces(frames_FHWC, work)


def saturated(frames_FHWC: Tensor, factor: float) -> Tensor:
    """Return frames with differences from grey times a factor; 0 has no colour left."""
    return in_pieces(frames_FHWC, lambda planes: grey(planes) + (planes - grey(planes)) * factor)


def gamma(frames_FHWC: Tensor, power: float) -> Tensor:
    """Return frames with levels, from 0 to 1, to a power."""
    return in_pieces(frames_FHWC, lambda planes: 255 * (planes / 255) ** power)


def hue_turned(frames_FHWC: Tensor, turns: float) -> Tensor:
    """Return frames with hues moved round the circle; 1 is once round."""
    from kornia.enhance import adjust_hue

    return in_pieces(frames_FHWC, lambda planes: 255 * adjust_hue(planes / 255, turns * 2 * torch.pi))


def median_in_space(frames_FHWC: Tensor) -> Tensor:
    """Return frames with each pixel the median of its 3 x 3 square; borders are mirrored."""
    return torch.cat([_median_of_nine(piece) for piece in frames_FHWC.split(PIECE)])


def _median_of_nine(frames_FHWC: Tensor) -> Tensor:
    """Sort columns of three, then take the middle of their highest low, middle middle and lowest high."""
    rows, columns = ([1, *range(side), side - 2] for side in frames_FHWC.shape[1:3])
    wide = frames_FHWC[:, rows][:, :, columns]
    last = len(rows) - 2
    low, middle, high = _sorted(*(wide[:, at : at + last] for at in range(3)))
    last = len(columns) - 2
    lows, middles, highs = (_sorted(*(part[:, :, at : at + last] for at in range(3))) for part in (low, middle, high))
    return _sorted(lows[2], middles[1], highs[0])[1]


def _sorted(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return three pictures as the lowest, the middle and the highest of each pixel."""
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(low, c), torch.maximum(low, torch.minimum(high, c)), torch.maximum(high, c)


def median_in_time(frames_FHWC: Tensor) -> Tensor:
    """Return frames with each pixel the median of itself before, now and after."""
    return _over_time(frames_FHWC, 3, lambda near: _sorted(near[0], near[1], near[2])[1])


def mean_in_time(frames_FHWC: Tensor, frames: int = 3) -> Tensor:
    """Return frames with each pixel its mean over so many frames about it."""
    return _over_time(frames_FHWC, frames, lambda near: near.float().mean(0).round_().to(torch.uint8))


def grey(planes_F3HW: Tensor) -> Tensor:
    """Return the luma of float planes, ``[f, 1, H, W]`` (ITU-R BT.601)."""
    return (planes_F3HW * planes_F3HW.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


def _over_time(frames_FHWC: Tensor, reach: int, join: Callable[[Tensor], Tensor]) -> Tensor:
    last, half = len(frames_FHWC) - 1, reach // 2
    done = []
    for start in range(0, last + 1, PIECE):
        places = torch.arange(start, min(start + PIECE, last + 1))
        near = torch.stack([frames_FHWC[(places + step).clamp(0, last)] for step in range(-half, half + 1)])
        done.append(join(near))
    return torch.cat(done)
