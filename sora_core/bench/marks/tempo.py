"""Attacks on time: frames lost, doubled and mixed, other rates and speeds, parts cut out."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import torch
from torch import Tensor


def every_second(frames_FHWC: Tensor) -> Tensor:
    """Return frames 0, 2, 4 ... ."""
    return frames_FHWC[::2]


def thinned(frames_FHWC: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Return frames without a random share of them; the first stays."""
    kept = torch.rand(len(frames_FHWC), generator=rng) >= share
    kept[0] = True
    return frames_FHWC[kept]


def doubled(frames_FHWC: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Return frames, the first and a random share of them twice."""
    times = 1 + (torch.rand(len(frames_FHWC), generator=rng) < share).long()
    times[0] = 2
    return frames_FHWC.repeat_interleave(times, 0)


def mixed(frames_FHWC: Tensor, group: int, rng: torch.Generator) -> Tensor:
    """Return frames in a random order within groups of so many."""
    order = [
        torch.randperm(len(part), generator=rng) + int(part[0]) for part in torch.arange(len(frames_FHWC)).split(group)
    ]
    return frames_FHWC[torch.cat(order)]


def at_rate(frames_FHWC: Tensor, fps: float, new_fps: float) -> Tensor:
    """Return the frame that is shown at each moment of another rate; the length in seconds stays."""
    count = max(1, round(len(frames_FHWC) * new_fps / fps))
    shown = (torch.arange(count) * fps / new_fps + 1e-6).floor().long()
    return frames_FHWC[shown.clamp_max(len(frames_FHWC) - 1)]


def faster(frames_FHWC: Tensor, factor: float) -> Tensor:
    """Return the clip played so much faster at the same rate: frames fall out, or double where it is slower."""
    return at_rate(frames_FHWC, factor, 1.0)


def part(frames_FHWC: Tensor, fps: float, start: float, seconds: float) -> Tensor:
    """Return so many seconds from a start; a clip that is shorter gives what it has."""
    first = min(round(start * fps), len(frames_FHWC) - 1)
    return frames_FHWC[first : first + max(1, round(seconds * fps))]
