"""The faint keyed texture over the whole frame: a second sign of the mark, for when the badge is painted over."""

# F f frames, H W pixels, h w nodes of the pattern, K patterns

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .badge_draw import Draw

NODES = 40
"""Along the short side: each node stands for 12 pixels at 480p, coarse enough to outlive compression."""

PATTERNS = 3
STAY_S, FADE_S = 4.0, 0.5
"""How long a pattern stays before it fades into the next one: long, so that codecs that repeat still ground from
frame to frame keep it, and not for ever, so that an average over a film does not show it."""

_BUSY, _MOST = 6.0, 2.0
_PIXELS_PER_NODE = 3
_INTERPOLATED = 1.5
"""Interpolating between the nodes takes away a third of the strength."""


def node_shape(width: int, height: int) -> tuple[int, int]:
    """Return how many nodes the pattern has down and across a frame of that size."""
    side = min(width, height)
    return max(round(NODES * height / side), 2), max(round(NODES * width / side), 2)


def patterns(secret: bytes, mark_id: int, width: int, height: int) -> Tensor:
    """Return the keyed patterns, float32 ``[K, h, w]`` of mean 0 and variance 1.

    They are laid out over the frame whatever its size, so that a resize keeps them in place.
    """
    rows, columns = node_shape(width, height)
    draw = Draw(secret, mark_id, f"texture {rows}x{columns}")
    return torch.from_numpy(draw.bell(PATTERNS, rows, columns).astype(np.float32))


class Texture:
    """Lays the patterns over frames.

    Args:
        secret, mark_id: what the patterns follow from.
        width, height: of the frame, pixels. fps: frames per second.
        strength: root mean square on flat ground, grey levels of 255; up to three times as much on busy ground,
            where it is seen as little, and half as much on black.

    Source: our decision: the least of the published contrasts (3 to 6 %) costs more than 10 dB of picture quality
    against this, which the reader still finds over a second of frames at moderate compression.
    """

    def __init__(self, secret: bytes, mark_id: int, *, width: int, height: int, fps: float, strength: float) -> None:
        """Make the patterns."""
        self._patterns_Khw = patterns(secret, mark_id, width, height) * (strength * _INTERPOLATED)
        self._fps = fps
        self._step = max(min(width, height) // (NODES * _PIXELS_PER_NODE), 1)

    def lay(self, frames_FHWC: Tensor, first: int) -> None:
        """Change frames in place: uint8 ``[F, H, W, 3]``, the film's frames from number ``first`` on."""
        size = (frames_FHWC.shape[1], frames_FHWC.shape[2])
        for number, frame_HWC in enumerate(frames_FHWC):
            pattern_hw = self._pattern(first + number) * self._gain(frame_HWC)
            change_HW = F.interpolate(pattern_hw[None, None], size=size, mode="bilinear")[0, 0].round_()
            mixed_HWC = frame_HWC.to(torch.int16).add_(change_HW.to(torch.int16)[..., None]).clamp_(0, 255)
            frame_HWC.copy_(mixed_HWC)

    def _pattern(self, frame: int) -> Tensor:
        stays = frame / self._fps / STAY_S
        now = int(stays)
        share = min((stays - now) * STAY_S / FADE_S, 1.0) if now else 1.0
        here, before = (self._patterns_Khw[number % PATTERNS] for number in (now, now - 1))
        return here * share**0.5 + before * (1 - share) ** 0.5 if share < 1 else here

    def _gain(self, frame_HWC: Tensor) -> Tensor:
        """Return how much stronger the pattern may be at each node, from how busy and how dark it is there."""
        luma_1HW = frame_HWC[:: self._step, :: self._step, 1].float()[None, None]
        nodes = (self._patterns_Khw.shape[1], self._patterns_Khw.shape[2])
        mean_hw = F.adaptive_avg_pool2d(luma_1HW, nodes)[0, 0]
        square_hw = F.adaptive_avg_pool2d(luma_1HW * luma_1HW, nodes)[0, 0]
        busy_hw = (square_hw - mean_hw * mean_hw).clamp_min(0).sqrt()
        return (1 + (busy_hw / _BUSY).clamp(0, _MOST)) * (0.5 + mean_hw / 128).clamp_max(1)
