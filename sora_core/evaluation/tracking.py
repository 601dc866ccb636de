"""Where the actor is in each frame, and what its path says of its motion."""

# F frames, H W pixels at the working height

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .segmentation import WORK_HEIGHT

REACH = 16.0
"""Half the side in pixels of the window in which the centroid is first sought: the largest object and a little."""

LEAST_AREA = 20.0
"""Covered pixels below which nothing is seen in a frame; the smallest object covers 69."""

MOVED = 0.07
"""Frame heights that a centre must travel to count as moving."""


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


def classify(x_F: np.ndarray, y_F: np.ndarray, contacts: np.ndarray, fps: float) -> tuple[str, str]:
    """Name the motion of a path.

    Args:
        x_F, y_F: frame heights, without gaps.
        contacts: seconds from the first of these frames.
        fps: frames per second.

    Returns:
        Motion and direction in the world's words; no direction is the empty one. Decided in this order: a rebound is a
        bounce, a fall that ends on the ground is a fall, going up is a rise, going sideways is a slide if it slows to
        less than half of its speed and a roll if it does not, and everything else stays. (Slide and roll differ in
        both speed and rotation in this world; the speed is what a blurred picture still shows.)
    """
    across = _settled(x_F)
    down = _settled(y_F)
    span = float(np.percentile(y_F, 98) - np.percentile(y_F, 2))
    direction = ""
    if len(contacts) and _rebound(y_F, float(contacts[0]), fps) > 0.35 * MOVED:
        motion = "bounce"
    elif span > MOVED and down > 0.6 * span:
        motion = "fall"
    elif span > MOVED and -down > 0.6 * span:
        motion = "rise"
    elif abs(across) > MOVED and span < 0.5 * abs(across) + MOVED:
        motion = "slide" if _slows(x_F) else "roll"
        direction = "right" if across > 0 else "left"
    else:
        motion = "stay" if span < 2 * MOVED else "bounce"
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
