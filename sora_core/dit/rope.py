"""Rotary positions over three physical axes: seconds, and area-normalised height and width."""

# N tokens, P pairs of a head (head size / 2)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TIME_UNIT = 1 / 25
"""Seconds per unit of the time axis: one audio latent."""

SQUARE_SIDE = 8.0
"""Units that a square frame spans on each spatial axis, whatever its resolution (area-normalised, as MiniMax H3)."""

TEXT_START_S = -1.0
TEXT_STEP_S = -1 / 32
REFERENCE_STEP_S = -4.0
"""Text sits before the clip, reference r four seconds times r + 1 before it, so that neither meets the clip."""

CUE_SIDE = 16.0
"""Place of a cue's tokens on both spatial axes: outside every frame (our decision: no new weights, and a clip without
cues stays as it was)."""


def video_positions(frames: int, height: int, width: int, fps: float, device: torch.device | str) -> Tensor:
    """Return the place of each video token.

    Args:
        frames: latent frames. height, width: tokens. fps: pixel frames per second.

    Returns:
        float32 ``[frames * height * width, 3]``: time (units of 40 ms, the middle of the pixel frames that the latent
        frame holds; the first holds one, the others four), y, x (a square frame spans 8 units, centred on 0).
    """
    order = torch.arange(frames, device=device, dtype=torch.float32)
    middle = torch.where(order == 0, 0.0, 4 * order - 1.5)
    t = middle / fps / TIME_UNIT
    spacing = SQUARE_SIDE / (height * width) ** 0.5
    y = (torch.arange(height, device=device, dtype=torch.float32) - (height - 1) / 2) * spacing
    x = (torch.arange(width, device=device, dtype=torch.float32) - (width - 1) / 2) * spacing
    return torch.stack(torch.meshgrid(t, y, x, indexing="ij"), -1).reshape(-1, 3)


def reference_positions(index: int, height: int, width: int, device: torch.device | str) -> Tensor:
    """Return ``[height * width, 3]`` for reference image ``index``: as a frame, at negative time."""
    place = video_positions(1, height, width, 1.0, device)
    place[:, 0] = REFERENCE_STEP_S * (index + 1) / TIME_UNIT
    return place


def _line(t: Tensor) -> Tensor:
    return torch.stack([t, torch.zeros_like(t), torch.zeros_like(t)], -1)


def audio_positions(count: int, device: torch.device | str) -> Tensor:
    """Return ``[count, 3]``: the middle of each audio latent on the time axis, y = x = 0."""
    return _line(torch.arange(count, device=device, dtype=torch.float32) + 0.5)


def text_positions(count: int, device: torch.device | str) -> Tensor:
    """Return ``[count, 3]``: text runs backwards from one second before the clip."""
    order = torch.arange(count, device=device, dtype=torch.float32)
    return _line((TEXT_START_S + TEXT_STEP_S * order) / TIME_UNIT)


def cue_positions(count: int, start_s: float, device: torch.device | str) -> Tensor:
    """Return ``[count, 3]``: the text of a cue runs backwards from the time at which it takes over."""
    order = torch.arange(count, device=device, dtype=torch.float32)
    t = (start_s + TEXT_STEP_S * order) / TIME_UNIT
    return torch.stack([t, torch.full_like(t, CUE_SIDE), torch.full_like(t, CUE_SIDE)], -1)


@dataclass(frozen=True)
class Place:
    """Where the tokens of one segment are; a sequence of these is a layout.

    kind: ``text``, ``cue``, ``reference``, ``video`` or ``audio``. frames: latent frames, or the count of a line of
    tokens. height, width: tokens. fps: of a video. order: of a reference. start_s: of a cue, seconds.
    """

    kind: str
    frames: int
    height: int = 1
    width: int = 1
    fps: float = 0.0
    order: int = 0
    start_s: float = 0.0

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.frames * self.height * self.width

    def positions(self, device: torch.device | str) -> Tensor:
        """Return float32 ``[count, 3]``."""
        if self.kind == "text":
            return text_positions(self.frames, device)
        if self.kind == "cue":
            return cue_positions(self.frames, self.start_s, device)
        if self.kind == "audio":
            return audio_positions(self.frames, device)
        if self.kind == "reference":
            return reference_positions(self.order, self.height, self.width, device)
        return video_positions(self.frames, self.height, self.width, self.fps, device)


def layout_positions(layout: Sequence[Place], device: torch.device | str) -> Tensor:
    """Return float32 ``[N, 3]`` for the whole packed sequence."""
    return torch.cat([place.positions(device) for place in layout])


def rotary_table(positions_N3: Tensor, head_size: int, base: float) -> Tensor:
    """Return the rotations of each token.

    Half of the pairs turn with time, a quarter each with y and x; within an axis the speeds fall geometrically from 1
    to ``1 / base`` radians per unit.

    Returns:
        float32 ``[2, N, head_size / 2]``: cosines and sines.
    """
    pairs = head_size // 2
    shares = (pairs - 2 * (pairs // 4), pairs // 4, pairs // 4)
    angles = []
    for axis, share in enumerate(shares):
        speed = base ** (-torch.arange(share, device=positions_N3.device, dtype=torch.float32) / max(share - 1, 1))
        angles.append(positions_N3[:, axis, None] * speed)
    angle_NP = torch.cat(angles, 1)
    return torch.stack([angle_NP.cos(), angle_NP.sin()])


def rotate(x_BNHK: Tensor, table_2NP: Tensor) -> Tensor:
    """Rotate queries or keys ``[B, N, heads, head_size]``; pair p is (p, p + head_size / 2)."""
    cos, sin = (table_2NP[:, :, None].to(x_BNHK.dtype)).unbind(0)
    first, second = x_BNHK.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
