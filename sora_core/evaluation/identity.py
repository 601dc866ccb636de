"""Is it the same character: its colour and its outline against those of a reference picture."""

# F frames, K frames looked at, P side of a silhouette, R rotations, N pixels

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .segmentation import Segmentation
from .tracking import Track

SIDE = 48
"""Side of a silhouette."""

REACH = 1.9
"""Half the side of the square that a silhouette shows, in radii of the disc of the same area: a star spans 1.7."""

LOOKS = 5
"""Frames whose silhouettes are kept."""

ROTATIONS = 30
"""Angles at which silhouettes are compared: 12 degrees apart, since characters roll."""

FAR = 50.0
"""Colour difference (CIE 1976) that counts as nothing in common; two colours of the palette are about 100 apart."""


class Look(NamedTuple):
    """What a character looks like. tint: median colour, sRGB ``[3]``. silhouettes: ``[K, P, P]`` in [0, 1]."""

    tint: Tensor
    silhouettes: Tensor


def look_at(parts: Segmentation, path: Track) -> Look | None:
    """Take the look of the actor, its size taken out; None where it is not seen.

    Args:
        parts: the clip, segmented.
        path: where the actor is.
    """
    used = torch.nonzero(path.seen)[:, 0]
    if len(used) == 0:
        return None
    used = used[torch.linspace(0, len(used) - 1, min(len(used), LOOKS)).round().long()]
    reach_K = REACH * (path.area[used] / math.pi).sqrt()
    step_P = (torch.arange(SIDE) + 0.5) * (2.0 / SIDE) - 1.0
    y, x = torch.meshgrid(step_P, step_P, indexing="ij")
    at_KPP2 = torch.stack([x, y], -1)[None] * reach_K[:, None, None, None] + path.centre[used][:, None, None]
    height, width = parts.alpha.shape[1:]
    at_KPP2 = 2 * at_KPP2 / torch.tensor([width, height]) - 1
    alpha = parts.alpha[used]
    silhouettes = F.grid_sample(alpha[:, None], at_KPP2, align_corners=False)[:, 0]
    pixel_N3 = parts.picture[used][alpha >= 0.999]
    if len(pixel_N3) == 0:
        pixel_N3 = parts.picture[used][alpha >= 0.5 * alpha.max()]
    return Look(pixel_N3.median(dim=0).values, silhouettes)


def identity(reference: Look, seen: Look) -> float:
    """Return how much two looks agree, 0 to 1: the mean of colour closeness and outline overlap.

    Colour closeness is 1 - dE / 50, not below 0, of the median colours (dE: Euclidean distance in CIE Lab). Outline
    overlap is the intersection over union of the silhouettes, brought to the same area and the best rotation, mean
    over the frames. Our own measure: no published one fits drawn shapes.
    """
    difference = float((_lab(reference.tint) - _lab(seen.tint)).norm())
    colour = max(0.0, 1.0 - difference / FAR)
    angles = torch.arange(ROTATIONS) * (2 * math.pi / ROTATIONS)
    turns_R23 = torch.zeros(ROTATIONS, 2, 3)
    turns_R23[:, 0, 0] = turns_R23[:, 1, 1] = angles.cos()
    turns_R23[:, 0, 1], turns_R23[:, 1, 0] = angles.sin(), -angles.sin()
    grid = F.affine_grid(turns_R23, [ROTATIONS, 1, SIDE, SIDE], align_corners=False)
    first = reference.silhouettes[:1, None].expand(ROTATIONS, -1, -1, -1)
    turned_RN = F.grid_sample(first, grid, align_corners=False).flatten(1)
    seen_KN = seen.silhouettes.flatten(1)
    both_KR = torch.minimum(seen_KN[:, None], turned_RN).sum(-1)
    either_KR = torch.maximum(seen_KN[:, None], turned_RN).sum(-1).clamp(min=1e-6)
    return 0.5 * colour + 0.5 * float((both_KR / either_KR).amax(1).mean())


def _lab(tint_3: Tensor) -> Tensor:
    """Convert an sRGB colour in [0, 1] to CIE Lab under D65."""
    linear = torch.where(tint_3 <= 0.04045, tint_3 / 12.92, ((tint_3 + 0.055) / 1.055) ** 2.4)
    to_xyz = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = (to_xyz @ linear) / torch.tensor([0.9505, 1.0, 1.0890])
    f = torch.where(ratio > 0.008856, ratio.clamp(min=1e-9) ** (1 / 3), 7.787 * ratio + 16 / 116)
    return torch.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
