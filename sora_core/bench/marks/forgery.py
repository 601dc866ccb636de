"""Attacks by somebody who knows the method and not the key: estimate the mark, take it away, put it on another clip."""

# F frames, H W height and width in pixels, 3 RGB, P side of a tile, S stretches of time

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import PIECE, in_pieces
from .looks import grey

PERIODS = (32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
"""Tile sides in pixels that the attacker tries; a square tile is what published tiled marks use."""

FLATTEN = 5.0
"""Deviation in pixels of the Gaussian whose result counts as the picture; the rest may be the mark.

The attacker has read how the mark is made: narrower ones lose half of its waves, wider ones take in the picture."""

SIDE = 31
"""Pixels of that Gaussian."""

CLIP = 12.0
"""Levels beyond which what is left is an edge of the picture and is cut off."""


def residual(frames_FHWC: Tensor) -> Tensor:
    """Return what may be the mark in each frame: luma minus its blur, edges cut off, float ``[F, H, W]`` in levels."""
    from kornia.filters import gaussian_blur2d

    done = []
    for piece in frames_FHWC.split(PIECE):
        luma = grey(piece.movedim(-1, 1).float())
        done.append((luma - gaussian_blur2d(luma, (SIDE, SIDE), (FLATTEN, FLATTEN)))[:, 0].clamp_(-CLIP, CLIP))
    return torch.cat(done)


def subtracted(frames_FHWC: Tensor, mark_FHW: Tensor, gain: float = 1.0) -> Tensor:
    """Return frames less an estimate, ``[F or 1, H, W]`` levels, from all colours alike; a negative gain adds it."""
    # frames come in pieces of the same lengths as the estimate's
    marks = iter(mark_FHW.expand(len(frames_FHWC), -1, -1).split(PIECE))
    return in_pieces(frames_FHWC, lambda planes: planes - gain * next(marks)[:, None])


def in_time(marks_FHW: Tensor, stretch: int) -> Tensor:
    """Return the mean over each stretch of so many frames, repeated to as many frames: ``[F, H, W]``."""
    return torch.cat([part.mean(0, keepdim=True).expand_as(part) for part in marks_FHW.split(stretch)])


def time_average(frames_FHWC: Tensor, fps: float, seconds: float) -> Tensor:
    """Return the estimate of a mark that stays on its pixels for so many seconds, ``[F, H, W]``; 0 is all the time."""
    stretch = max(1, round(seconds * fps)) if seconds else len(frames_FHWC)
    return in_time(residual(frames_FHWC), stretch)


def tile(mark_HW: Tensor, period: int) -> Tensor:
    """Return the mean of all tiles of that side, ``[P, P]``."""
    height, width = mark_HW.shape
    pad = (0, -width % period, 0, -height % period)
    sums = [
        F.pad(field_HW, pad).unflatten(1, (-1, period)).unflatten(0, (-1, period)).sum((0, 2))
        for field_HW in (mark_HW, torch.ones_like(mark_HW))
    ]
    return sums[0] / sums[1].clamp_min(1)


def laid_out(tile_PP: Tensor, height: int, width: int) -> Tensor:
    """Return a tile repeated over a frame ``[H, W]``."""
    period = len(tile_PP)
    return tile_PP.repeat(math.ceil(height / period), math.ceil(width / period))[:height, :width]


def best_period(mark_HW: Tensor, periods: Sequence[int] = PERIODS) -> int:
    """Return the period whose mean tile is strongest against what tiles of unrelated noise would leave."""
    height, width = mark_HW.shape

    def strength(period: int) -> float:
        tiles = (height / period) * (width / period)
        return float(tile(mark_HW, period).var() / mark_HW.var().clamp_min(1e-12)) * tiles

    able = [period for period in periods if period * 2 <= min(height, width)]
    return max(able or [min(height, width) // 2], key=strength)


def folded(frames_FHWC: Tensor, fps: float, *, seconds: float = 0.0, period: int = 0) -> Tensor:
    """Return the estimate of a tiled mark, ``[F, H, W]``.

    Args:
        frames_FHWC: the marked clip. fps: its rate.
        seconds: for how long the tile stays the same; 0 is all the time.
        period: side of the tile, or 0 to find it.
    """
    height, width = frames_FHWC.shape[1:3]
    found = residual(frames_FHWC)
    stretch = max(1, round(seconds * fps)) if seconds else len(found)
    done = []
    for part in found.split(stretch):
        mean_HW = part.mean(0)
        side = period or best_period(mean_HW)
        done.append(laid_out(tile(mean_HW, side), height, width).expand_as(part))
    return torch.cat(done)


def averaged(films: Sequence[Tensor], fps: float, seconds: float = 1.0) -> Tensor:
    """Return the estimate of what clips of one size share, ``[F, H, W]`` for the shortest: the mean of their residuals.

    Their contents differ and cancel; what one key puts on all of them at the same place and second stays.
    """
    frames = min(len(film) for film in films)
    total = torch.zeros(frames, *films[0].shape[1:3])
    for film in films:
        total += residual(film[:frames])
    return in_time(total / len(films), max(1, round(seconds * fps)))


def principal(frames_FHWC: Tensor, fps: float, seconds: float = 0.5) -> Tensor:
    """Return the estimate of one pattern that changes its sign or strength with time, ``[F, H, W]``.

    The first principal component of the residuals' means over stretches of so many seconds: a mark that turns its
    sign cancels in a plain average, and not here.
    """
    found = residual(frames_FHWC)
    stretch = max(1, round(seconds * fps))
    means_SX = torch.stack([part.mean(0) for part in found.split(stretch)]).flatten(1)
    weights_S = torch.linalg.eigh(means_SX @ means_SX.T).eigenvectors[:, -1]
    pattern_HW = (weights_S @ means_SX).view(found.shape[1:])
    return torch.cat([(weight * pattern_HW).expand(stretch, -1, -1) for weight in weights_S])[: len(found)]


def fitted(mark_FHW: Tensor, frames: int) -> Tensor:
    """Return an estimate cut, or repeated from its start, to so many frames."""
    return mark_FHW[torch.arange(frames) % len(mark_FHW)]


def copied(marked_FHWC: Tensor, target_FHWC: Tensor, gain: float = 1.0) -> Tensor:
    """Return a clip with the frame-by-frame estimate of another's mark added.

    Both are cut to the smaller size and length. It needs no knowledge of the mark but that it is faint and fine.

    Source: Kutter, Voloshynovskiy and Herrigel, "Watermark copy attack", 2000.
    """
    frames, height, width = (min(a, b) for a, b in zip(marked_FHWC.shape[:3], target_FHWC.shape[:3], strict=True))
    found = residual(marked_FHWC[:frames, :height, :width])
    return subtracted(target_FHWC[:frames, :height, :width], found, -gain)


def spliced(marked_FHWC: Tensor, clean_FHWC: Tensor, start: int, stop: int) -> Tensor:
    """Return the marked clip with frames ``start`` to ``stop`` from the clip without a mark: its removal there."""
    return torch.cat([marked_FHWC[:start], clean_FHWC[start:stop], marked_FHWC[stop:]])
