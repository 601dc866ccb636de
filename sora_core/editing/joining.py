"""Where what was made meets what was there: colours that match, pictures and sound that fade over."""

# F frames, H W pixels, C sound channels, S samples

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

GAIN = (0.8, 1.25)
"""Bounds of a channel's gain in a colour match: more than a VAE's drift, less than another picture (our decision)."""

FADE_FRAMES = 2
"""Frames of the kept side over which the picture fades into what was made."""

FADE_S = 0.03
"""Seconds over which the sound does; 20 to 50 ms hide a step and keep an onset."""


class Correction(NamedTuple):
    """``made * gain + offset`` has the colours of what it was made from; both float32 ``[3]``."""

    gain: Tensor
    offset: Tensor


def fit_colours(made_F: Tensor, given_F: Tensor) -> Correction:
    """Return the correction of a copy of frames, by least squares for each channel.

    Args:
        made_F, given_F: uint8 ``[F, H, W, 3]``, the same frames after and before the model.
    """
    made, given = (frames.reshape(-1, 3).float() for frames in (made_F, given_F))
    mean_made, mean_given = made.mean(0), given.mean(0)
    spread = (made - mean_made).square().mean(0)
    shared = ((made - mean_made) * (given - mean_given)).mean(0)
    # A channel of one flat value tells of its offset alone.
    gain = torch.where(spread > 1.0, shared / spread.clamp(min=1e-6), torch.ones(3)).clamp(*GAIN)
    return Correction(gain, mean_given - gain * mean_made)


def correct(made_F: Tensor, before: Correction | None, after: Correction | None) -> Tensor:
    """Return frames in matched colours, float32 ``[F, H, W, 3]`` of 0 to 255.

    With a correction at both ends each frame takes its share of the two by its place.
    """
    frames = made_F.float()
    first, last = before or after, after or before
    if first is None or last is None:
        return frames
    place = torch.linspace(0, 1, len(frames)) if len(frames) > 1 else torch.zeros(1)
    share = place[:, None]
    gain = first.gain * (1 - share) + last.gain * share
    offset = first.offset * (1 - share) + last.offset * share
    return (frames * gain[:, None, None] + offset[:, None, None]).clamp(0, 255)


def fade_weights(new: Tensor, fade: int) -> Tensor:
    """Return the share of what was made for each place, float32 ``[n]``.

    Args:
        new: bool ``[n]``, what was made anew: it counts whole.
        fade: places on the kept side of each border over which the share falls to nothing; at most a quarter of what
            is kept there, so that a single picture stays as it is.
    """
    weight = new.float()
    edges = [0, *((new[1:] != new[:-1]).nonzero()[:, 0] + 1).tolist(), len(new)]
    for low, high in pairwise(edges):
        if bool(new[low]):
            continue
        reach = min(fade, (high - low) // 4)
        ramp = 1 - torch.arange(1, reach + 1) / (reach + 1)
        if low > 0:
            weight[low : low + reach] = ramp
        if high < len(new):
            weight[high - reach : high] = ramp.flip(0)
    return weight


def mix_frames(given_F: Tensor, made_F: Tensor, weight_F: Tensor) -> Tensor:
    """Return uint8 frames; where the weight is 0 they are exactly the given ones.

    Args:
        given_F: uint8 ``[F, H, W, 3]``. made_F: float32 of 0 to 255. weight_F: share of the made ones.
    """
    weight = weight_F[:, None, None, None]
    mixed = (given_F.float() * (1 - weight) + made_F * weight).round().clamp(0, 255).to(torch.uint8)
    return torch.where(weight > 0, mixed, given_F)


def mix_sound(given_S: Tensor, made_S: Tensor, weight_S: Tensor) -> Tensor:
    """Return sound ``[C, S]``; linear, because on both sides of a border it is the same sound."""
    return given_S * (1 - weight_S) + made_S * weight_S
