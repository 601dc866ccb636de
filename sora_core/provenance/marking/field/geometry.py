"""Where a seen frame lies on the field: mirrored, turned, zoomed, stretched, rotated, shifted."""

from __future__ import annotations

import math
from typing import NamedTuple

NEAR, NEAR_DEGREES = 0.02, 0.8


class Geometry(NamedTuple):
    """How the seen picture differs from the marked one.

    flip: was it mirrored left to right? turned: degrees in quarter turns counter-clockwise, after the mirroring (a
    picture that was mirrored top to bottom reads as mirrored and turned by 180). zoom: how many times larger its
    content is than the frame's size says; a crop to half of each side is 2. stretch: the width of its content over
    the height, 1 where that is kept. rotated: degrees counter-clockwise. offset: where the marked picture's middle
    lies in the seen one, right and down of its middle, in units of 1/480 of the marked picture's short side.
    """

    flip: bool = False
    turned: int = 0
    zoom: float = 1.0
    stretch: float = 1.0
    rotated: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def upright(self) -> bool:
        """Whether the picture is at most mirrored, turned and shifted, up to what refinement moves."""
        near = abs(self.zoom - 1) <= NEAR and abs(self.stretch - 1) <= NEAR
        return near and abs(self.rotated) <= NEAR_DEGREES

    def matrix(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return what takes units of the marked picture, x and y about its middle, to units of the seen one."""
        angle = math.radians(self.rotated + self.turned)
        cosine, sine = math.cos(angle), math.sin(angle)
        mirror = -1.0 if self.flip else 1.0
        across, down = self.zoom * self.stretch**0.5, self.zoom / self.stretch**0.5
        return (across * cosine * mirror, across * sine), (-down * sine * mirror, down * cosine)
