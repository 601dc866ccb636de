"""Where the actor is in each frame, and what its path says of its motion."""

# F frames, H W pixels at the working height

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..world.spec import LEVELS
from .orbits import LEAST_HOPS, hops, is_circle, is_swing
from .segmentation import WORK_HEIGHT

REACH = 16.0
"""Half the side in pixels of the window in which the centroid is first sought: the largest object and a little."""

LEAST_AREA = 20.0
"""Covered pixels below which nothing is seen in a frame; the smallest object covers 69."""

MOVED = 0.07
"""Frame heights that a centre must travel to count as moving."""


SPAN = 1.7
"""Reach of an actor in radii of the disc of the same area: a rocket is long."""

WIDE = 0.9
"""Half of an actor's width, in the same radii, that must lie in the frame for it to be whole."""

LEAST_WHOLE = 0.2
"""Share of the frames that must show an actor whole for the others to be left out."""


THROWN = 0.08
"""Way up before the first contact, in frame heights, that tells a throw from a drop."""

SIX = LEVELS[1].motions


class Track(NamedTuple):
    """Where the actor is.

    centre: float32 ``[F, 2]`` x, y in pixels at the working height. area: covered pixels ``[F]``. seen: bool ``[F]``.
    """

    centre: Tensor
    area: Tensor
    seen: Tensor


def track(alpha: Tensor) -> Track:
    """Follow the largest thing that stands out of the background.

    Args:
        alpha: float ``[F, H, W]`` in [0, 1].

    Returns:
        Track. Each frame stands alone: the densest place of the size of an object, then the centroid in a window that
        shrinks to what it found, so that specks elsewhere do not pull it.
    """
    frames, height, width = alpha.shape
    dense = F.avg_pool2d(F.avg_pool2d(alpha, (9, 1), 1, (4, 0)), (1, 9), 1, (0, 4))
    peak_F = dense.flatten(1).argmax(1)
    centre = torch.stack([peak_F % width, peak_F // width], -1).to(alpha.dtype) + 0.5
    x_W = torch.arange(width, device=alpha.device) + 0.5
    y_H = torch.arange(height, device=alpha.device) + 0.5
    reach_F = torch.full((frames,), REACH, device=alpha.device)
    area_F = torch.zeros(frames, device=alpha.device)
    for _ in range(4):
        inside_FW = (reach_F[:, None] + 0.5 - (x_W - centre[:, :1]).abs()).clamp(0.0, 1.0)
        inside_FH = (reach_F[:, None] + 0.5 - (y_H - centre[:, 1:]).abs()).clamp(0.0, 1.0)
        column_FW = torch.bmm(inside_FH[:, None], alpha)[:, 0] * inside_FW
        line_FH = torch.bmm(alpha, inside_FW[..., None])[..., 0] * inside_FH
        area_F = column_FW.sum(1)
        found = torch.stack([column_FW @ x_W, line_FH @ y_H], -1) / area_F.clamp(min=1e-6)[:, None]
        centre = torch.where((area_F > 1e-3)[:, None], found, centre)
        reach_F = (1.5 * (area_F / torch.pi).sqrt() + 2.5).clamp(6.0, REACH)
    return Track(centre, area_F, area_F >= LEAST_AREA)


def without(alpha: Tensor, path: Track) -> Tensor:
    """Return ``alpha`` without a tracked actor, so that another one can be looked for."""
    height, width = alpha.shape[1:]
    x_W = torch.arange(width, device=alpha.device) + 0.5
    y_H = torch.arange(height, device=alpha.device)[:, None] + 0.5
    off_FHW = torch.hypot(x_W - path.centre[:, 0, None, None], y_H - path.centre[:, 1, None, None])
    reach_F = torch.where(path.seen, SPAN * (path.area / torch.pi).sqrt() + 2.0, -1.0)
    return torch.where(off_FHW < reach_F[:, None, None], 0.0, alpha)


def sides(shown: Tensor | None, frames: int, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return where the left and right edge of what the clip shows lie, in pixels ``[F]`` each; as in `whole`."""
    if shown is None:
        return torch.zeros(frames), torch.full((frames,), float(shape[1]))
    middle_FW = shown[:, shape[0] // 2]
    low = middle_FW.argmax(1).float()
    return low, low + middle_FW.sum(1)


def whole(path: Track, shown: Tensor | None, shape: Sequence[int], wide: float = WIDE) -> Tensor:
    """Say which frames show the actor whole, from side to side, bool ``[F]``.

    Args:
        path: of the actor. shown: 1 where the clip shows this place, ``[F, H, W]``, or None for everywhere. shape:
            height and width in pixels. wide: half of its width in radii of the disc of the same area.
    """
    x_F, reach_F = path.centre[:, 0], (path.area / torch.pi).sqrt()
    low, high = sides(shown, len(x_F), shape)
    return path.seen & (x_F - wide * reach_F > low) & (x_F + wide * reach_F < high)


def within(path: Track, shown: Tensor | None, shape: Sequence[int]) -> Track:
    """Return a track in which only frames count that show the actor `whole`, if these are not too few."""
    whole_F = whole(path, shown, shape)
    return path._replace(seen=whole_F) if bool(whole_F.float().mean() >= LEAST_WHOLE) else path


def heights(path: Track) -> tuple[np.ndarray, np.ndarray, int]:
    """Return x and y in frame heights from the first seen frame to the last, gaps bridged, and that first frame."""
    seen_K = np.flatnonzero(path.seen.cpu().numpy())
    if len(seen_K) == 0:
        return np.zeros(0), np.zeros(0), 0
    first, last = int(seen_K[0]), int(seen_K[-1])
    grid = np.arange(first, last + 1)
    centre_F2 = path.centre.cpu().numpy().astype(np.float64) / WORK_HEIGHT
    x_F, y_F = (np.interp(grid, seen_K, centre_F2[seen_K, axis]) for axis in (0, 1))
    return x_F, y_F, first


def classify(
    x_F: np.ndarray,
    y_F: np.ndarray,
    contacts: np.ndarray,
    fps: float,
    *,
    motions: Sequence[str] = SIX,
    turns: bool = False,
) -> tuple[str, str]:
    """Name the motion of a path.

    Args:
        x_F, y_F: frame heights, without gaps.
        contacts: seconds from the first of these frames.
        fps: frames per second.
        motions: words that may be the answer.
        turns: the actor's picture turns.

    Returns:
        Motion and direction in the world's words; no direction is the empty one. Decided in this order: a closed orbit
        is a circle and an arc high above the floor a swing; small equal leaps to one side are a hop, and a rebound
        after a way up is a throw; a rebound is a bounce, a fall that ends on the ground is a fall, going up is a rise,
        going sideways is a slide if it slows to less than half of its speed and a roll if it does not; what stays is
        a spin where it turns, and stays otherwise. (Slide and roll differ in both speed and rotation in this world;
        the speed is what a blurred picture still shows.)
    """
    across = _settled(x_F)
    down = _settled(y_F)
    span = float(np.percentile(y_F, 98) - np.percentile(y_F, 2))
    side = "right" if across > 0 else "left"
    if "circle" in motions and is_circle(x_F, y_F):
        return "circle", ""
    if "swing" in motions and is_swing(x_F, y_F):
        return "swing", ""
    if "hop" in motions and abs(across) > MOVED and hops(y_F) >= LEAST_HOPS:
        return "hop", side
    direction = ""
    if len(contacts) and _rebound(y_F, float(contacts[0]), fps) > 0.35 * MOVED:
        motion = "bounce"
        before = y_F[: max(2, int(np.ceil(contacts[0] * fps)))]
        if "throw" in motions and before[0] - before.min() > THROWN:
            motion, direction = "throw", side
    elif span > MOVED and down > 0.6 * span:
        motion = "fall"
    elif span > MOVED and -down > 0.6 * span:
        motion = "rise"
    elif abs(across) > MOVED and span < 0.5 * abs(across) + MOVED:
        motion = "slide" if _slows(x_F) else "roll"
        direction = side
    elif span < 2 * MOVED:
        motion = "spin" if turns and "spin" in motions else "stay"
    else:
        motion = "bounce"
    return motion, direction


def _settled(z_F: np.ndarray) -> float:
    """Return the way from the mean of the first two frames to that of the last two."""
    return float(z_F[-2:].mean() - z_F[:2].mean()) if len(z_F) > 1 else 0.0


def _rebound(y_F: np.ndarray, contact: float, fps: float) -> float:
    """Return how far the path goes up again after a contact (frame heights)."""
    after = y_F[min(len(y_F) - 1, int(np.ceil(contact * fps))) :]
    lowest = np.maximum.accumulate(after)
    return float((lowest - after).max())


def _slows(x_F: np.ndarray) -> bool:
    """Say whether the last quarter of the way in time is covered at less than half of the first quarter's speed."""
    quarter = max(1, len(x_F) // 4)
    early, late = abs(x_F[quarter] - x_F[0]), abs(x_F[-1] - x_F[-1 - quarter])
    return bool(late < 0.5 * early)
