"""Find the field in what was seen: which look it is, and how it lies."""

# W windows, N cells along the torus, M bins, L looks

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .geometry import Geometry
from .pattern import CELL, CELLS, LOOKS, sync_drawn
from .seen import Seen

ZOOMS = tuple(0.76 * 1.012**step for step in range(86))
ROTATIONS = tuple(0.75 * step for step in range(-19, 20) if step)
STRETCHES = tuple(1.012**step for step in range(-32, 33) if step)

BENT_WINDOWS = 15
"""Windows of a long film that are searched for bent views: some of its start, middle and end."""


class Found(NamedTuple):
    """A place where the sync agrees.

    score: in standard deviations of all places. look: which sync field. window: which sum of stills shows it.
    """

    score: float
    geometry: Geometry
    look: int
    window: int


@lru_cache(maxsize=64)
def _templates(secret: bytes) -> Tensor:
    cells = np.stack([sync_drawn(secret, look) for look in range(LOOKS)])
    spectra = np.conj(np.fft.rfft2(cells))
    return torch.from_numpy(spectra.astype(np.complex64))


def upright() -> Iterator[Geometry]:
    """Yield the eight ways to mirror and turn."""
    for turned in (0, 180, 90, 270):
        for flip in (False, True):
            yield Geometry(flip=flip, turned=turned)


def bent(aspect: float) -> Iterator[Geometry]:
    """Yield zoomed, rotated and stretched views, fine enough that refinement finds what lies between them.

    aspect: the long side of the seen picture over its short one.
    """
    for flip in (False, True):
        for zoom in ZOOMS:
            yield Geometry(flip=flip, zoom=zoom)
        for rotated in ROTATIONS:
            yield Geometry(flip=flip, rotated=rotated)
    for rotated in ROTATIONS:
        # rotated, then cropped to what has no black corners
        angle = math.radians(abs(rotated))
        yield Geometry(rotated=rotated, zoom=math.cos(angle) + aspect * math.sin(angle))
    for stretch in STRETCHES:
        # one of the sides kept its length: the short one or the long one
        yield Geometry(zoom=stretch**0.5, stretch=stretch)
        yield Geometry(zoom=stretch**-0.5, stretch=stretch)


def look_at(spectra_WNM: Tensor, secret: bytes, geometry: Geometry, *, look: int | None = None) -> Found:
    """Return the best place of a view over all windows and shifts, and over all looks if none is given."""
    first = look or 0
    templates_LNM = _templates(secret)[first:] if look is None else _templates(secret)[look : look + 1]
    maps = torch.fft.irfft2(spectra_WNM[:, None] * templates_LNM, s=(CELLS, CELLS))
    peaks = maps.abs().amax((2, 3)) / maps.square().mean((2, 3)).sqrt_().clamp_(min=1e-9)
    best = int(peaks.argmax())
    window, nth = divmod(best, len(templates_LNM))
    place = divmod(int(maps[window, nth].abs().argmax()), CELLS)
    loud = float(maps[window, nth].square().mean().sqrt_().clamp_(min=1e-9))
    height, down, right = _between_cells(spectra_WNM[window] * templates_LNM[nth], *place)
    offset = tuple((shift if shift < CELLS / 2 else shift - CELLS) * CELL for shift in (right, down))
    return Found(abs(height) / loud, geometry._replace(offset=offset), first + nth, window)


def _between_cells(product_NM: Tensor, down: int, right: int) -> tuple[float, float, float]:
    """Return the height and place of a peak between cells: half a cell off costs half of it."""
    steps = torch.linspace(-0.625, 0.625, 11)
    rows = torch.fft.fftfreq(CELLS, 1 / CELLS)
    columns = torch.arange(product_NM.shape[1])
    twice = torch.full((len(columns),), 2.0)
    twice[[0, -1]] = 1.0
    wave = 2 * math.pi / CELLS
    across = torch.polar(twice[:, None].expand(-1, len(steps)), wave * columns[:, None] * (right + steps))
    along = torch.polar(torch.ones(len(steps), CELLS), wave * (down + steps)[:, None] * rows)
    heights = (along @ product_NM @ across).real / CELLS**2
    best_down, best_right = divmod(int(heights.abs().argmax()), len(steps))
    return (
        float(heights[best_down, best_right]),
        (down + float(steps[best_down])) % CELLS,
        (right + float(steps[best_right])) % CELLS,
    )


def find_upright(seen: Seen, secret: bytes, segment_s: float, longest_s: float) -> list[Found]:
    """Return the views that are only mirrored and turned, the best first."""
    images = seen.windows(segment_s, longest_s)
    return ranked([look_at(seen.spectra(images, view, keep=True), secret, view) for view in upright()])


def find_bent(seen: Seen, secret: bytes, segment_s: float, longest_s: float) -> list[Found]:
    """Return the zoomed, rotated and stretched views, the best first."""
    images = seen.windows(segment_s, longest_s)
    count, part = len(images), BENT_WINDOWS // 3
    chosen = list(range(count))
    if count > BENT_WINDOWS:
        middle = (count - part) // 2
        chosen = [*chosen[:part], *chosen[middle : middle + part], *chosen[-part:]]
    looked = (look_at(seen.spectra(images[chosen], view, keep=True), secret, view) for view in bent(seen.aspect))
    return ranked([one._replace(window=chosen[one.window]) for one in looked])


def ranked(found: list[Found]) -> list[Found]:
    """Return what was found, the best first."""
    return sorted(found, key=lambda one: -one.score)


def refine(seen: Seen, secret: bytes, found: Found, segment_s: float, longest_s: float) -> Found:
    """Return the best place near a found one, by ever smaller steps of zoom, rotation and stretch."""
    image = seen.windows(segment_s, longest_s)[found.window : found.window + 1]
    best = found
    for step in (1.0, 0.5, 0.25, 0.125):
        for axis in ("zoom", "rotated", "stretch", "zoom", "rotated"):
            for sign in (-1, 1):
                near = _moved(best.geometry, axis, sign * step)._replace(offset=(0.0, 0.0))
                there = look_at(seen.spectra(image, near, keep=False), secret, near, look=found.look)
                if there.score > best.score:
                    best = there._replace(window=found.window)
    return best


def _moved(geometry: Geometry, axis: str, step: float) -> Geometry:
    if axis == "zoom":
        return geometry._replace(zoom=geometry.zoom * (1 + 0.008 * step))
    if axis == "rotated":
        return geometry._replace(rotated=geometry.rotated + 0.5 * step)
    return geometry._replace(stretch=geometry.stretch * (1 + 0.008 * step))
