"""Clips to mark: natural-looking footage that is rendered here, and the cartoon world drawn large."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...media.whole_factor import enlarge
from ...types import ClipFormat
from .scenes import MARGIN, SCENES, Canvas, Layer

WIDTH, HEIGHT, FPS, FRAMES = 854, 480, 24.0, 96
"""Of a natural clip: 480p, four seconds."""

CARTOON_SIDE, CARTOON_FACTOR, CARTOON_FPS, CARTOON_FRAMES = 64, 6, 12.0, 49
"""Of a cartoon clip: what a generated clip is when it is saved, twice as long."""


class Clip(NamedTuple):
    """A clip without a mark. kind: ``natural`` or ``cartoon``. frames_FHWC: uint8 ``[F, H, W, 3]``."""

    kind: str
    name: str
    frames_FHWC: Tensor  # noqa: N815
    fps: float


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How a clip was filmed. pan: frame heights a second, x and y. zoom: a second. shake: pixels at a height of 480.

    start: seconds into the motion. exposure: its change over the clip. grain: deviation in levels. vignette: 0 to 1.
    """

    pan: tuple[float, float]
    zoom: float
    shake: float
    start: float
    exposure: float
    grain: float
    vignette: float

    @classmethod
    def drawn(cls, c: Canvas, seconds: float) -> Camera:
        """Return one by chance; one in five stands still on a tripod."""
        still = c.uniform(0, 1) < 0.2
        # as far as the layers' margin lets the nearest of them go
        most = min(0.12, 0.08 / max(seconds, 0.1))
        return cls(
            pan=(0.0, 0.0) if still else (c.uniform(-most, most), c.uniform(-most, most) / 3),
            zoom=0.0 if still else c.uniform(-0.03, 0.03),
            shake=0.0 if still else c.uniform(0.3, 3.0),
            start=c.uniform(0, 60),
            exposure=c.uniform(-0.15, 0.15),
            grain=c.uniform(0.6, 3.5),
            vignette=c.uniform(0, 0.35),
        )

    def shaken(self, t: float) -> tuple[float, float]:
        """Return where the hand has gone, x and y, in the unit of ``shake``."""
        s = t + self.start
        x = math.sin(5.1 * s) + 0.6 * math.sin(11.3 * s + 1) + 0.3 * math.sin(23.9 * s + 2)
        y = math.sin(4.3 * s + 3) + 0.6 * math.sin(9.7 * s + 4) + 0.3 * math.sin(27.1 * s + 5)
        return self.shake * x, self.shake * y


def natural(
    seed: int, *, width: int = WIDTH, height: int = HEIGHT, frames: int = FRAMES, fps: float = FPS, scene: str = ""
) -> Clip:
    """Render a natural-looking clip, the same by seed.

    Args:
        seed: chooses the scene, in turn, and everything in it.
        width, height: pixels, 32 or more. frames, fps: length and rate.
        scene: a name of `scenes.SCENES` instead of the one in turn.

    Returns:
        The clip; ``name`` is the scene's and the seed.
    """
    make = {each.__name__: each for each in SCENES}[scene] if scene else SCENES[seed % len(SCENES)]
    dice = torch.Generator().manual_seed(seed)
    canvas = Canvas(width, height, dice)
    layers = make(canvas)
    camera = Camera.drawn(canvas, frames / fps)
    view = _View(width, height, canvas)
    sheen = 1 - camera.vignette * (view.grid_HW2**2).sum(-1) * MARGIN**2 / 2
    spare = 48
    noise = torch.randn(height + spare, width + spare, generator=dice) * camera.grain
    tint = torch.randn(3, 1, 1, generator=dice) * 0.1 + 1
    film = torch.empty(frames, height, width, 3, dtype=torch.uint8)
    offsets = torch.randint(0, spare, (frames, 2), generator=dice).tolist()
    for place in range(frames):
        t = place / fps
        picture_3HW = view.look(layers, camera, t)
        gain = 255 * (1 + camera.exposure * math.sin(0.8 * t + camera.start))
        down, across = offsets[place]
        grain_HW = noise[down : down + height, across : across + width]
        picture_3HW = picture_3HW * (sheen * gain) + grain_HW * tint
        film[place] = picture_3HW.clamp_(0, 255).round_().to(torch.uint8).permute(1, 2, 0)
    return Clip("natural", f"{make.__name__} {seed}", film, fps)


class _View:
    """The frame as the camera sees the layers."""

    def __init__(self, width: int, height: int, c: Canvas) -> None:
        self.width, self.height, self.unit = width, height, c.unit
        across = (torch.arange(width) + 0.5 - width / 2) * 2 / c.width
        down = (torch.arange(height) + 0.5 - height / 2) * 2 / c.height
        self.grid_HW2 = torch.stack(torch.broadcast_tensors(across[None], down[:, None]), -1).contiguous()
        self.pixel = (2 / c.width, 2 / c.height)
        self.rate = c.uniform(2.0, 5.0)
        bends = [torch.randn(1, 2, 7, 12, generator=c.dice) for _ in range(2)]
        self.bends = [
            F.interpolate(bend, size=(height, width), mode="bicubic", align_corners=True)[0].permute(1, 2, 0)
            for bend in bends
        ]

    def look(self, layers: list[Layer], camera: Camera, t: float) -> Tensor:
        """Return one frame, float ``[3, H, W]``, about in [0, 1]."""
        shaken = camera.shaken(t)
        seen: Tensor | None = None
        for layer in layers:
            own = layer.path(t)
            shift = [
                (
                    layer.nearness * (camera.pan[axis] * t * self.height + shaken[axis] * self.unit)
                    - own[axis] * self.height
                )
                * self.pixel[axis]
                for axis in range(2)
            ]
            grid = self.grid_HW2 * (1 - layer.nearness * camera.zoom * t) + torch.tensor(shift)
            if layer.sway:
                turn, size = self.rate * t, layer.sway * self.unit * self.pixel[0]
                grid = grid + size * math.sin(turn) * self.bends[0] + size * math.cos(turn) * self.bends[1]
            found_4HW = F.grid_sample(
                layer.picture_4HW[None],
                grid[None],
                padding_mode="reflection" if layer.solid else "zeros",
                align_corners=False,
            )[0]
            seen = found_4HW[:3] if seen is None else seen * (1 - found_4HW[3]) + found_4HW[:3]
        assert seen is not None, "a scene has layers"
        return seen


def cartoon(seed: int, *, side: int = CARTOON_SIDE, factor: int = CARTOON_FACTOR, frames: int = CARTOON_FRAMES) -> Clip:
    """Render a clip of the project's own world, drawn large by a whole factor as a saved clip is; the same by seed.

    Args:
        seed: chooses everything. side: of the rendered square. factor: by which it is drawn large.
        frames: ``1 + 4 k`` of them at 12 a second.
    """
    from ...world.render import render
    from ...world.sample import sample_attributes
    from ...world.spec import LEVELS

    shown = sample_attributes(LEVELS[3], torch.Generator().manual_seed(seed), "any")
    fmt = ClipFormat(width=side, height=side, frames=frames, fps=CARTOON_FPS)
    small = render([shown], [seed], fmt).frames[0]
    return Clip("cartoon", f"{shown.object} {seed}", enlarge(small, factor), CARTOON_FPS)
