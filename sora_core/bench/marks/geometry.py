"""Attacks that move pixels: size, crop, aspect, turn, mirror, perspective."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PIECE = 12
"""Frames worked on at once."""


def in_pieces(frames_FHWC: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """Return frames after ``work``, which takes and returns float planes ``[f, 3, H, W]`` in levels 0 to 255."""
    done = [
        work(piece.movedim(-1, 1).float()).round_().clamp_(0, 255).to(torch.uint8).movedim(1, -1)
        for piece in frames_FHWC.split(PIECE)
    ]
    return torch.cat(done).contiguous()


def resized(frames_FHWC: Tensor, width: int, height: int) -> Tensor:
    """Return frames at another size: bicubic, with a filter against aliases where it shrinks."""
    return in_pieces(
        frames_FHWC,
        lambda planes: F.interpolate(planes, (height, width), mode="bicubic", antialias=True, align_corners=False),
    )


def scaled(frames_FHWC: Tensor, across: float, down: float) -> Tensor:
    """Return frames with sides by these factors, to the nearest even pixel."""
    height, width = frames_FHWC.shape[1:3]
    return resized(frames_FHWC, even(width * across), even(height * down))


def even(side: float) -> int:
    """Return the nearest even number of pixels, 2 or more."""
    return max(2, 2 * round(side / 2))


def cropped(frames_FHWC: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Return a window with that share of each side, at a random place, the same for all frames; it stays that small."""
    height, width = frames_FHWC.shape[1:3]
    rows, columns = min(height, even(height * share)), min(width, even(width * share))
    top = int(torch.randint(height - rows + 1, (), generator=rng))
    left = int(torch.randint(width - columns + 1, (), generator=rng))
    return frames_FHWC[:, top : top + rows, left : left + columns].contiguous()


def rotated(frames_FHWC: Tensor, degrees: float) -> Tensor:
    """Return frames turned about their centre, counter-clockwise, at their size; the corners are black."""
    from kornia.geometry.transform import rotate

    return in_pieces(
        frames_FHWC, lambda planes: rotate(planes, torch.full((len(planes),), degrees), align_corners=False)
    )


def quarters(frames_FHWC: Tensor, turns: int) -> Tensor:
    """Return frames turned by quarters, counter-clockwise; an odd number swaps the sides."""
    return torch.rot90(frames_FHWC, turns, (1, 2)).contiguous()


def mirrored(frames_FHWC: Tensor, *, upright: bool = False) -> Tensor:
    """Return frames mirrored left to right, or top to bottom where ``upright``."""
    return frames_FHWC.flip(1 if upright else 2)


def tilted(frames_FHWC: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Return frames seen from aside: each corner moves inwards by up to ``strength`` half sides, the rest is black."""
    from kornia.geometry.transform import get_perspective_transform, warp_perspective

    height, width = frames_FHWC.shape[1:3]
    corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=torch.float32)
    inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=torch.float32)
    moves = torch.rand(4, 2, generator=rng) * strength * torch.tensor([width / 2, height / 2])
    matrix = get_perspective_transform(corners[None], (corners + inwards * moves)[None])
    return in_pieces(
        frames_FHWC,
        lambda planes: warp_perspective(planes, matrix.expand(len(planes), 3, 3), (height, width), align_corners=True),
    )
