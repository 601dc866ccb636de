"""Small pictures drawn large by a whole factor, and back: what a mark needs, and what the model made."""

# f frames of a piece, H W height and width

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SETTLED = 2
"""Rounds of putting back what the box average of the large picture lacks; two leave less than half a level."""


def enlarge(frames_FHWC: Tensor, factor: int) -> Tensor:
    """Return smooth larger pictures whose box average is the small ones, uint8 ``[f, H x factor, W x factor, 3]``.

    Bicubic, and then the difference of the average is put back (iterative back-projection, Irani and Peleg 1991).
    """
    if factor == 1 or not len(frames_FHWC):
        sizes = (len(frames_FHWC), *(side * factor for side in frames_FHWC.shape[1:3]), 3)
        return frames_FHWC if factor == 1 else frames_FHWC.new_empty(sizes)
    small = frames_FHWC.movedim(-1, 1).float()
    large = _grown(small, factor)
    for _ in range(SETTLED):
        large += _grown(small - F.avg_pool2d(large, factor), factor)
    return large.round_().clamp_(0, 255).to(torch.uint8).movedim(1, -1).contiguous()


def shrink(frames_FHWC: Tensor, factor: int) -> Tensor:
    """Return the box average of pictures, uint8 ``[f, H / factor, W / factor, 3]``; sides are multiples of it."""
    if factor == 1:
        return frames_FHWC
    small = F.avg_pool2d(frames_FHWC.movedim(-1, 1).float(), factor)
    return small.round_().to(torch.uint8).movedim(1, -1).contiguous()


def _grown(images_FCHW: Tensor, factor: int) -> Tensor:
    return F.interpolate(images_FCHW, scale_factor=factor, mode="bicubic", align_corners=False)
