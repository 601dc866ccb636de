"""Two shots in one clip: the second follows the first at a cut, in picture and sound."""

# B clips, F frames, S samples

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from ..types import SAMPLE_RATE
from .render import WorldBatch


def splice(first: WorldBatch, second: WorldBatch, frame: int, fps: float) -> WorldBatch:
    """Show ``first`` until ``frame`` and the beginning of ``second`` from there on; the sound is cut with the picture.

    Args:
        first, second: batches of the same sizes.
        frame: first pixel frame of the second shot. fps: frames per second.

    Returns:
        WorldBatch with the attributes and radii of the first shots.
    """
    seconds = frame / fps
    places = {"frames": frame, "mask": frame, "centre": frame, "angle": frame, "camera": frame}
    places |= {"other_mask": frame, "other_centre": frame, "audio": round(seconds * SAMPLE_RATE)}
    kept = {field.name: getattr(first, field.name) for field in fields(first)}
    for name, at in places.items():
        kept[name] = _after(kept[name], getattr(second, name), at)
    kept["contacts"] = [
        torch.cat([before[before < seconds], after[after < first.frames.shape[1] / fps - seconds] + seconds])
        for before, after in zip(first.contacts, second.contacts, strict=True)
    ]
    return WorldBatch(**kept)


def _after(first: Tensor, second: Tensor, at: int) -> Tensor:
    """Return ``first`` up to place ``at`` of axis 1 and the beginning of ``second`` in the rest."""
    return torch.cat([first[:, :at], second[:, : second.shape[1] - at]], 1)
