"""Looks for the keyed texture: what is left of the visible mark where the badge was painted over."""

# K patterns, h w nodes

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .badge_spotter import luma
from .badge_texture import node_shape, patterns

_FLOOR = 0.6
"""Grey levels; calmer ground than this is all quantisation."""

_CLIP = 2.5


class Trace:
    """Correlates frames with the patterns of one clip.

    Args:
        secret, mark_id: what the patterns follow from. width, height: of the frames, pixels, whatever they were.
    """

    def __init__(self, secret: bytes, mark_id: int, *, width: int, height: int) -> None:
        """Draw the patterns."""
        self._nodes = node_shape(width, height)
        filtered_Khw = _sharp(patterns(secret, mark_id, width, height)[:, None])[:, 0]
        self._patterns_Khw = filtered_Khw / filtered_Khw.flatten(1).norm(dim=1)[:, None, None]

    def reduce(self, frame_HWC: Tensor) -> Tensor:
        """Return what the nodes see of a frame, float32 ``[h, w]`` with even contrast."""
        sharp = _sharp(F.adaptive_avg_pool2d(luma(frame_HWC)[None, None], self._nodes))
        around = F.avg_pool2d(sharp * sharp, 5, stride=1, padding=2, count_include_pad=False)
        return (sharp / (around + _FLOOR**2).sqrt())[0, 0].clamp(-_CLIP, _CLIP)

    def scores(self, seen_hw: Tensor) -> Tensor:
        """Return for each pattern how many deviations the mean of reduced frames lies above chance, ``[K]``."""
        seen_hw = seen_hw - seen_hw.mean()
        return (self._patterns_Khw * seen_hw).sum(dim=(1, 2)) / (seen_hw.norm() + 1e-6) * seen_hw.numel() ** 0.5


def _sharp(image: Tensor) -> Tensor:
    return image - F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
