"""How many actors there are, from the first frame to the last."""

# F frames, H W pixels at the working height, K frames looked at

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .tracking import LEAST_AREA, sides, track, without

LOOKS = 13
"""Frames that are looked at, spread evenly over the clip."""

MOST = 4
"""Actors that are told apart at most."""

EDGE = 1.5
"""Pixels from the edge within which what was seen may have left the frame."""


def count_actors(alpha: Tensor, shown: Tensor | None = None) -> tuple[int, ...]:
    """Return how many separate things each of some frames shows.

    Args:
        alpha: how far each pixel stands out of the scene, ``[F, H, W]``.
        shown: 1 where the clip shows this place at that time, ``[F, H, W]``; None for everywhere.

    Returns:
        Counts from the first looked-at frame to the last one before anything touches the left or right edge: what
        leaves the frame is not lost. Two that touch count as one.
    """
    frames = len(alpha)
    picked = torch.linspace(0, frames - 1, min(LOOKS, frames)).round().long()
    rest = alpha[picked]
    low, high = sides(None if shown is None else shown[picked], len(picked), alpha.shape[1:])
    counts = torch.zeros(len(picked), dtype=torch.long)
    leaves = torch.zeros(len(picked), dtype=torch.bool)
    for _ in range(MOST):
        path = track(rest)
        # What remains of an actor's rim after it was taken out is no second one.
        seen = path.seen & (path.area >= LEAST_AREA)
        if not bool(seen.any()):
            break
        counts += seen
        reach = (path.area / torch.pi).sqrt()
        x = path.centre[:, 0]
        leaves |= seen & ((x - reach < low + EDGE) | (x + reach > high - EDGE))
        rest = without(rest, path)
    gone = torch.nonzero(leaves[1:])
    until = int(gone[0]) + 1 if len(gone) else len(picked)
    return tuple(counts[:until].tolist())


def count_kept(counts: Sequence[int], wanted: int) -> bool:
    """Say whether a clip shows as many actors as it was to, from first to last.

    What one look alone tells, unlike the looks before and after it, is not believed. Two actors may touch for a fifth
    of the looks, where they meet; nothing else is forgiven.
    """
    if len(counts) >= 3:
        padded = (counts[2], *counts, counts[-3])
        counts = [sorted(padded[k : k + 3])[1] for k in range(len(counts))]
    wrong = [count for count in counts if count != wanted]
    return not wrong or (wanted > 1 and len(wrong) <= max(1, len(counts) // 5) and set(wrong) == {wanted - 1})
