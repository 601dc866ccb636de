"""Does an actor turn in place: how its picture changes while its centre rests."""

# F frames, P pixels of one patch

from __future__ import annotations

import torch

from .segmentation import Segmentation
from .shapes import cut
from .tracking import Track

LATER_S = (0.16, 0.25, 0.42)
"""Seconds between the pictures that are compared, several, since a star looks the same after a fifth of a turn."""

TURNS, TURNS_IN_SNOW = 0.022, 0.05
"""Change of the picture, relative to its difference from the background, from which an actor turns."""


def turning(parts: Segmentation, path: Track, fps: float) -> float:
    """Return how much the actor's picture changes while it goes on, 0 where it stays as it is.

    The squared change within `LATER_S` relative to the squared difference from the background, median over the clip,
    of the steps the one with most. Each picture is the middle one of three frames, so that flakes do not count.
    """
    patch_FP3 = cut(parts.picture, path.centre)
    ground_FP3 = cut(parts.background[None].expand_as(parts.picture), path.centre)
    off_FP3, seen_F = patch_FP3 - ground_FP3, path.seen
    if len(off_FP3) > 2:
        off_FP3 = torch.stack([off_FP3[:-2], off_FP3[1:-1], off_FP3[2:]]).median(dim=0).values
        seen_F = seen_F[:-2] & seen_F[1:-1] & seen_F[2:]
    size_F = off_FP3.square().sum((1, 2))
    found = [0.0]
    for later_s in LATER_S:
        step = max(1, round(later_s * fps))
        both = seen_F[:-step] & seen_F[step:]
        if len(seen_F) > step and bool(both.any()):
            change_F = (off_FP3[step:] - off_FP3[:-step]).square().sum((1, 2))
            found.append(float((2 * change_F / (size_F[step:] + size_F[:-step]).clamp(min=1e-6))[both].median()))
    return max(found)
