"""How the camera moved, read from the scene alone, and the clip as a camera at rest would have filmed it."""

# F frames, H W pixels at the working height, K frames looked at

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..world.camera import PAN, ZOOM

ACTOR = 0.24
"""Colour distance from its row beyond which a pixel is taken for actor and not asked how the camera moved."""

GAPS_S = (0.1, 0.4, 0.8)
"""Seconds between the two frames that are compared: small steps find the motion, large ones make it exact."""

PAIRS = 12
"""Pairs of frames that are compared at each step."""

NOISE = 0.03
"""Brightness difference from which a pixel counts for less: rain, flakes and what the mask of the actor missed."""

STIFF = 2e-5
"""Mean squared slope that a scene must show to tell a motion against none: a bare wall says "still"."""


WORTH = 0.004
"""Share of the scene that another start must bring into agreement to be taken."""


class CameraMotion(NamedTuple):
    """pan: frame heights per second at which the view moves to the right. zoom: growth per second, as a logarithm."""

    pan: float
    zoom: float


STILL = CameraMotion(0.0, 0.0)


def estimate_camera(picture: Tensor, fps: float) -> CameraMotion:
    """Find the constant pan and zoom that explain best how the scene moves.

    Args:
        picture: float ``[F, H, W, 3]`` in [0, 1].
        fps: frames per second.

    Returns:
        CameraMotion; `STILL` for a single frame.

    Source: Lucas and Kanade 1981, with two global parameters for the whole clip and weights against outliers.
    """
    frames, height, width = picture.shape[:3]
    if frames < 2:
        return STILL
    if frames > 2:
        # Whatever falls past the lens is gone from one frame to the next.
        before, now, after = picture[:-2], picture[1:-1], picture[2:]
        low, high = torch.minimum(before, after), torch.maximum(before, after)
        picture = torch.minimum(torch.maximum(now, low), high)
    pairs = _Pairs(_smooth(picture.mean(-1)), _scene_pixels(picture), fps)
    motion = pairs.refined(STILL, GAPS_S[0])
    seconds = frames / fps
    starts = [motion, STILL]
    starts += [CameraMotion(side * sum(PAN) / 2 * min(1.0, width / height) / seconds, 0.0) for side in (-1, 1)]
    starts += [CameraMotion(0.0, side * math.log(sum(ZOOM) / 2) / seconds) for side in (-1, 1)]
    starts.sort(key=lambda start: pairs.cost(start, GAPS_S[1]))
    tried = [motion, STILL, *(pairs.refined(start, GAPS_S[1]) for start in starts[:3])]
    costs = [pairs.cost(one, GAPS_S[1]) for one in tried]
    if min(costs) < min(costs[:2]) - WORTH:
        motion = tried[costs.index(min(costs))]
    for gap_s in GAPS_S[1:]:
        motion = pairs.refined(motion, gap_s)
    return motion


def one_motion(motion: CameraMotion, seconds: float, aspect: float) -> CameraMotion:
    """Return the motion that `name_camera` names, alone, since this world pans or zooms and never does both."""
    name = name_camera(motion, seconds, aspect)
    if name == "still":
        return STILL
    return CameraMotion(motion.pan, 0.0) if name.startswith("pan") else CameraMotion(0.0, motion.zoom)


class _Pairs:
    """Pairs of frames of one clip, compared under a motion of the camera.

    Args:
        grey: brightness ``[F, H, W]``. scene: 1 where the scene is seen ``[F, H, W]``. fps: frames per second.
    """

    def __init__(self, grey: Tensor, scene: Tensor, fps: float) -> None:
        self.planes, self.fps = torch.stack([grey, scene], 1), fps
        height, width = grey.shape[1:]
        self.down_H1 = (((torch.arange(height) + 0.5) / height) - 0.5)[:, None]
        self.across_W = (torch.arange(width) + 0.5 - width / 2) / height

    def refined(self, motion: CameraMotion, gap_s: float) -> CameraMotion:
        """Return a motion that fits better, by two Gauss-Newton steps over pairs so far apart."""
        for _ in range(2):
            missing, mean, clear, gap = self._compared(motion, gap_s)
            slope_y, slope_x = torch.gradient(mean, dim=(1, 2))
            scale = mean.shape[1] * gap
            # What is at x moves by (zoom x - pan) per second, so the late frame shows it a gap later.
            by_pan = slope_x * scale
            by_zoom = -(slope_x * self.across_W + slope_y * self.down_H1) * scale
            weight = clear / (1 + (missing / NOISE).square()).square()
            stiff = STIFF * float(weight.sum()) * (scale / mean.shape[1]) ** 2
            a = float((weight * by_pan * by_pan).sum()) + stiff
            b = float((weight * by_pan * by_zoom).sum())
            c = float((weight * by_zoom * by_zoom).sum()) + 0.1 * stiff
            d, e = float((weight * by_pan * missing).sum()), float((weight * by_zoom * missing).sum())
            bottom = a * c - b * b
            if bottom > 1e-12:
                motion = CameraMotion(motion.pan + (c * d - b * e) / bottom, motion.zoom + (a * e - b * d) / bottom)
        return motion

    def cost(self, motion: CameraMotion, gap_s: float) -> float:
        """Return how badly the scene agrees with itself, 0 to 1."""
        missing, _, clear, _ = self._compared(motion, gap_s)
        off = (missing / NOISE).square()
        return float((clear * off / (1 + off)).sum() / clear.sum().clamp(min=1.0))

    def _compared(self, motion: CameraMotion, gap_s: float) -> tuple[Tensor, Tensor, Tensor, float]:
        """Return late less early, their mean, which pixels both show, ``[K, H, W]`` each, and the gap in seconds."""
        frames = len(self.planes)
        gap = max(1, min(frames - 1, round(gap_s * self.fps)))
        first = torch.linspace(0, frames - 1 - gap, min(PAIRS, frames - gap)).round().long()
        half = 0.5 * gap / self.fps
        # Both frames are brought to the moment between them.
        early, late = (_moved(self.planes[k], motion, when) for k, when in ((first, -half), (first + gap, half)))
        clear = (torch.minimum(early[:, 1], late[:, 1]) >= 0.99).to(early.dtype)
        clear[:, :2] = clear[:, -2:] = 0
        clear[:, :, :2] = clear[:, :, -2:] = 0
        return late[:, 0] - early[:, 0], 0.5 * (early[:, 0] + late[:, 0]), clear, 2 * half


def name_camera(motion: CameraMotion, seconds: float, aspect: float) -> str:
    """Return the word for a motion over a clip: what covers less than half of the least pan or zoom is still.

    Args:
        motion: of the camera. seconds: length of the clip. aspect: frame width over height.
    """
    pan = motion.pan * seconds / (PAN[0] * min(1.0, aspect))
    zoom = motion.zoom * seconds / math.log(ZOOM[0])
    if max(abs(pan), abs(zoom)) < 0.5:
        return "still"
    if abs(pan) >= abs(zoom):
        return "pan right" if pan > 0 else "pan left"
    return "zoom in" if zoom > 0 else "zoom out"


class Steadied(NamedTuple):
    """A clip as a camera at rest would have filmed it, as it stood in the middle of the clip.

    picture: float ``[F, H, W, 3]``, wider than the clip where the camera panned. seen: float ``[F, H, W]``, 1 where the
    clip showed this place at that time.
    """

    picture: Tensor
    seen: Tensor


def steady(picture: Tensor, motion: CameraMotion, fps: float) -> Steadied:
    """Undo a camera's motion.

    Args:
        picture: float ``[F, H, W, 3]``. motion: of the camera. fps: frames per second.
    """
    frames, height, width = picture.shape[:3]
    time_F = (torch.arange(frames) - (frames - 1) / 2) / fps
    reach = abs(motion.pan) * float(time_F[-1]) * height
    wide = width + 2 * math.ceil(reach)
    grow_F = (motion.zoom * time_F).exp()
    x_W = torch.arange(wide) + 0.5 - wide / 2
    y_H = torch.arange(height) + 0.5 - height / 2
    x_FW = (x_W - (motion.pan * height * time_F)[:, None]) * grow_F[:, None]
    y_FH = y_H * grow_F[:, None]
    grid = torch.stack(
        [
            (2 * x_FW / width)[:, None].expand(-1, height, -1),
            (2 * y_FH / height)[:, :, None].expand(-1, -1, wide),
        ],
        -1,
    )
    planes = F.grid_sample(picture.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=False)
    seen = (grid.abs().amax(-1) <= 1.0).to(picture.dtype)
    return Steadied(planes.permute(0, 2, 3, 1).contiguous(), seen)


def _scene_pixels(picture: Tensor) -> Tensor:
    """Return 1 for pixels that look like the rest of their row and stand apart from actors, float ``[F, H, W]``."""
    row_FH13 = picture.median(dim=2, keepdim=True).values
    padded = torch.cat([row_FH13[:, :1], row_FH13, row_FH13[:, -1:]], 1)
    height = picture.shape[1]
    off = torch.stack([(picture - padded[:, k : k + height]).square().sum(-1) for k in range(3)]).amin(0)
    actor = (off > ACTOR**2).to(picture.dtype)[:, None]
    dense = (F.avg_pool2d(actor, 5, 1, 2) > 0.3).to(picture.dtype)
    return 1.0 - F.max_pool2d(dense, 7, 1, 3)[:, 0]


def _smooth(grey_FHW: Tensor) -> Tensor:
    kernel = torch.tensor([0.25, 0.5, 0.25])
    planes = F.conv2d(F.pad(grey_FHW[:, None], (1, 1, 1, 1), mode="replicate"), kernel.view(1, 1, 1, 3))
    return F.conv2d(planes, kernel.view(1, 1, 3, 1))[:, 0]


def _moved(planes_KCHW: Tensor, motion: CameraMotion, when: float) -> Tensor:
    """Return pictures ``[K, C, H, W]`` as the camera would have shown them ``when`` seconds earlier; 0 outside."""
    if motion == STILL:
        return planes_KCHW
    height, width = planes_KCHW.shape[2:]
    grow = math.exp(motion.zoom * when)
    x = ((torch.arange(width) + 0.5 - width / 2) * grow - motion.pan * when * height) * (2 / width)
    y = (torch.arange(height) + 0.5 - height / 2) * grow * (2 / height)
    grid = torch.stack([x[None].expand(height, -1), y[:, None].expand(-1, width)], -1)
    return F.grid_sample(planes_KCHW, grid[None].expand(len(planes_KCHW), -1, -1, -1), align_corners=False)
