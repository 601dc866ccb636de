"""How strong the field may be where: more where the picture is busy, less where it is smooth, nowhere nothing."""

# F frames, H W pixels, h w coarse cells

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

COARSE = 8
"""Pixels of a coarse cell at 480 lines: activity is measured and smoothed at this pitch."""


@dataclass(frozen=True, kw_only=True)
class Masking:
    """flat, slope, ceiling: levels of 255, per level of activity, levels. loudest: root mean square of a frame."""

    flat: float
    slope: float
    ceiling: float
    loudest: float

    def gains(self, luma_FHW: Tensor) -> Tensor:
        """Return how many levels the field has on coarse cells, float32 ``[F, h, w]``.

        luma_FHW: float32 in [0, 255], of any spacing of pixels; its cells are those of ``COARSE`` of them.
        """
        near = F.avg_pool2d(luma_FHW[:, None], 2, ceil_mode=True)
        wide = F.avg_pool2d(near, 3, 1, 1, count_include_pad=False)
        busy = F.avg_pool2d((near - wide).abs(), COARSE // 2, ceil_mode=True)
        # the quietest neighbour decides, so that no halo shows beside an edge
        calm = -F.max_pool2d(-busy, 3, 1, 1)
        busy = F.avg_pool2d(torch.minimum(busy, calm * 2), 3, 1, 1, count_include_pad=False)[:, 0]
        gains = (self.flat + self.slope * busy).clamp_(max=self.ceiling)
        level = gains.square().mean((1, 2), keepdim=True).sqrt_()
        return gains * (self.loudest / level).clamp_(max=1.0)
