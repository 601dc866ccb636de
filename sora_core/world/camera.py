"""How the camera moves, and which point of the world each pixel then shows."""

# B clips, F frames, N picked clips, H W pixels

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..types import ClipFormat
from .dice import Dice

PAN = (0.28, 0.42)
"""Way of a pan over the whole clip, in frame heights, or in frame widths where the frame is narrower than high."""

ZOOM = (1.3, 1.5)
"""Magnification at the nearer end of a zoom over that at the farther; the middle of the clip is at 1."""

_PAN: dict[str, float] = {"pan left": -1.0, "pan right": 1.0}
_ZOOM: dict[str, float] = {"zoom in": 1.0, "zoom out": -1.0}


@dataclass(frozen=True, kw_only=True)
class View:
    """Which point of the world each pixel shows.

    x, y: ``[B or 1, F or 1, H, W]`` frame heights. pixel: size of a pixel in the world, a number or ``[B, F, 1, 1]``.
    """

    x: Tensor
    y: Tensor
    pixel: float | Tensor

    def pick(self, index: Tensor) -> View:
        """Return the view of the clips at ``index``."""
        if not isinstance(self.pixel, Tensor):
            return self
        return View(x=self.x[index], y=self.y[index], pixel=self.pixel[index])


def still_view(fmt: ClipFormat, device: torch.device | str) -> View:
    """Return the view of a camera that does not move: world and screen are the same."""
    pixel = 1.0 / fmt.height
    y = (torch.arange(fmt.height, device=device, dtype=torch.float32)[:, None] + 0.5) * pixel
    x = (torch.arange(fmt.width, device=device, dtype=torch.float32)[None] + 0.5) * pixel
    x, y = (g.expand(fmt.height, fmt.width)[None, None] for g in (x, y))
    return View(x=x, y=y, pixel=pixel)


def view_through(camera_BF3: Tensor, fmt: ClipFormat) -> View:
    """Return the view of moving cameras."""
    still = still_view(fmt, camera_BF3.device)
    assert isinstance(still.pixel, float)
    offset_x, offset_y, zoom = (part[..., None, None] for part in camera_BF3.unbind(-1))
    middle = fmt.width / fmt.height / 2
    wider = 1 / zoom - 1
    # Written so that a camera at rest among moving ones sees the same numbers as `still_view`.
    return View(
        x=still.x + (still.x - middle) * wider + offset_x,
        y=still.y + (still.y - 0.5) * wider + offset_y,
        pixel=still.pixel / zoom,
    )


def to_screen(place_BF2: Tensor, camera_BF3: Tensor, aspect: float) -> Tensor:
    """Return where points of the world ``[B, F, 2]`` are seen, in frame heights from the upper left corner.

    Args:
        place_BF2: x and y in the world. camera_BF3: from `camera_path`. aspect: frame width over height.

    Returns:
        ``middle + (place - middle - offset) * zoom``; the middle of the frame is at ``aspect / 2, 0.5``.
    """
    middle = torch.tensor([aspect / 2, 0.5], device=place_BF2.device)
    return middle + (place_BF2 - middle - camera_BF3[..., :2]) * camera_BF3[..., 2:]


def camera_path(
    names: Sequence[str], dice: Dice, *, x_BFN: Tensor, radius_B: Tensor, time_BF: Tensor, fmt: ClipFormat
) -> Tensor:
    """Move the cameras at constant speed so that the actors stay in the frame, or are in it at the start at least.

    Args:
        names: one of `spec.CAMERAS` per clip.
        dice: of the clips.
        x_BFN: where the actors of each clip are, frame heights.
        radius_B: of the first actor.
        time_BF: seconds, of every clip or ``[1, F]``; a clip that begins later is seen by a camera under way.
        fmt: size and length.

    Returns:
        ``[B, F, 3]``: offset x, offset y (frame heights, what the frame's middle has moved by) and zoom. A still
        camera is at 0, 0, 1. A pan covers `PAN` and a zoom `ZOOM` over the clip, however long it is.
    """
    device = time_BF.device
    middle = fmt.width / fmt.height / 2
    way_B = min(1.0, 2 * middle) * dice.between("camera", *PAN)
    pan_B = way_B * torch.tensor([_PAN.get(name, 0.0) for name in names], device=device)
    logs = (math.log(end) for end in ZOOM)
    zoom_B = torch.tensor([_ZOOM.get(name, 0.0) for name in names], device=device) * dice.between("camera", *logs)
    gone_BF = time_BF / fmt.seconds - 0.5
    zoom_BF = (zoom_B[:, None] * gone_BF).exp()
    raw_BF = pan_B[:, None] * gone_BF
    # All actors lie in the frame while the offset is between these two, the first one while it is between those.
    room_BF = middle / zoom_BF - radius_B[:, None]
    least = (x_BFN.amax(2) - middle - room_BF - raw_BF).amax(1)
    most = (x_BFN.amin(2) - middle + room_BF - raw_BF).amin(1)
    at_start = x_BFN[:, 0, 0] - middle - raw_BF[:, 0]
    centred = (least + most) / 2
    moved = torch.where(least <= most, torch.zeros_like(least).clamp(least, torch.maximum(least, most)), centred)
    moved = moved.clamp(at_start - room_BF[:, 0], at_start + room_BF[:, 0])
    still = torch.tensor([name == "still" for name in names], device=device)
    offset_BF = torch.where(still[:, None], 0.0, raw_BF + moved[:, None])
    return torch.stack([offset_BF, torch.zeros_like(offset_BF), zoom_BF], -1)
