"""A film as a stream of small pictures at a fixed rate, whatever its size, frame rate and black bars."""

# F frames, H W pixels, N cells in time, Y X the small picture, C its luma and two chromas

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SoraError

CELLS_PER_S = 8
FINE, SIDE = 48, 32
"""Sides of the picture that is kept until the bars are known, and of the one that comes out."""

LUMA = (0.299, 0.587, 0.114)
TO_YCC = np.array([LUMA, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)])
"""Rec. 601; chroma is 0 where there is no colour."""
ENOUGH = 384
"""Pixels of the shorter side; of a frame with a multiple of it, only each so many-th pixel is looked at."""

BAR_LUMA = 24.0
"""A row whose mean never exceeds it belongs to a bar: codecs leave black at a few steps above 0."""
MOST_BAR = 0.4
UNEVEN_BAR = 0.03
"""Bars are as wide on both sides, to this share of the frame; else it is a dark scene."""
MOST_PIXELS_AT_ONCE = 1 << 22


class Thumbnails:
    """Average a film over cells of 1/8 s and over an even grid.

    Streaming: what comes out does not depend on how the film was cut into pieces. It holds 8 kB per cell.

    Args:
        width: of the frames, pixels.
        height: of the frames, pixels.
        fps: frames per second, > 0.

    Raises:
        SoraError: no size or no rate.
    """

    def __init__(self, width: int, height: int, fps: float) -> None:
        """Begin a film."""
        if width < 1 or height < 1 or not (math.isfinite(fps) and fps > 0):
            raise SoraError(f"a film of {width}x{height} at {fps} fps cannot be hashed; all three must be above 0")
        self._size, self._fps = (height, width), fps
        self._step = max(1, min(height, width) // ENOUGH)
        height, width = -(-height // self._step), -(-width // self._step)
        self._rows = torch.from_numpy(area_matrix(height, 0.0, float(height), FINE)).float()
        self._columns = torch.from_numpy(area_matrix(width, 0.0, float(width), FINE)).float()
        self._row_light, self._column_light = torch.zeros(height), torch.zeros(width)
        self._frames = 0
        self._cells: list[NDArray[np.float16]] = []
        self._empty()

    def see(self, frames_FHWC: Tensor) -> None:
        """Take the next frames.

        Args:
            frames_FHWC: uint8 RGB on the CPU, any number.

        Raises:
            SoraError: frames of another size or kind.
        """
        if frames_FHWC.dtype != torch.uint8 or tuple(frames_FHWC.shape[1:]) != (*self._size, 3):
            raise SoraError(
                f"frames of shape {tuple(frames_FHWC.shape)} and type {frames_FHWC.dtype} do not belong to this film; "
                f"they must be uint8 of shape [f, {self._size[0]}, {self._size[1]}, 3]"
            )
        small_FHWC = frames_FHWC[:, :: self._step, :: self._step]
        pixels = small_FHWC.shape[1] * small_FHWC.shape[2]
        for piece in small_FHWC.split(max(1, MOST_PIXELS_AT_ONCE // pixels)):
            if not len(piece):
                continue
            rgb_FHWC = piece.float()
            luma = torch.tensor(LUMA)
            self._row_light = torch.maximum(self._row_light, (rgb_FHWC.mean(2) @ luma).amax(0))
            self._column_light = torch.maximum(self._column_light, (rgb_FHWC.mean(1) @ luma).amax(0))
            rows_FYWC = (self._rows @ rgb_FHWC.flatten(2)).unflatten(2, (-1, 3))
            for picture in torch.einsum("xw,fywc->fcyx", self._columns, rows_FYWC).numpy():
                self._add(picture)

    def finish(self) -> NDArray[np.float64]:
        """Return ``[N, 3, 32, 32]``: mean luma 0 to 255 and chroma -128 to 127, without black bars; a last cell that is
        less than half full is left out."""
        if self._filled >= 0.5:
            self._close_cell()
        if not self._cells:
            return np.zeros((0, 3, SIDE, SIDE))
        rows = area_matrix(FINE, *_box(self._row_light.numpy()), SIDE)
        columns = area_matrix(FINE, *_box(self._column_light.numpy()), SIDE)
        small_NCYX = rows @ np.stack(self._cells).astype(np.float64) @ columns.T
        return np.einsum("dc,ncyx->ndyx", TO_YCC, small_NCYX)

    def _add(self, picture_CYX: NDArray[np.float32]) -> None:
        """Spread a frame over the cells that it is shown in."""
        start, stop = (frame * CELLS_PER_S / self._fps for frame in (self._frames, self._frames + 1))
        self._frames += 1
        while start < stop - 1e-9:
            edge = min(stop, len(self._cells) + 1.0)
            self._sum += picture_CYX * (edge - start)
            self._filled += edge - start
            if edge >= len(self._cells) + 1.0 - 1e-9:
                self._close_cell()
            start = edge

    def _close_cell(self) -> None:
        self._cells.append((self._sum / self._filled).astype(np.float16))
        self._empty()

    def _empty(self) -> None:
        self._sum, self._filled = np.zeros((3, FINE, FINE)), 0.0


def area_matrix(size: int, start: float, stop: float, cells: int) -> NDArray[np.float64]:
    """Return ``[cells, size]`` that averages the samples from ``start`` to ``stop`` into even cells by exact areas."""
    edges = np.linspace(start, stop, cells + 1)
    sample = np.arange(size)
    shared = np.minimum(edges[1:, None], sample + 1) - np.maximum(edges[:-1, None], sample)
    weights = np.clip(shared, 0.0, None)
    return weights / weights.sum(1, keepdims=True)


def _box(light: NDArray[np.float32]) -> tuple[float, float]:
    """Return where the picture lies between its bars along one axis, in cells of the fine picture."""
    lit = np.flatnonzero(light > BAR_LUMA)
    if not len(lit):
        return 0.0, float(FINE)
    before, after = lit[0] / len(light), 1 - (lit[-1] + 1) / len(light)
    if max(before, after) > MOST_BAR or abs(before - after) > UNEVEN_BAR or min(before, after) <= 0:
        return 0.0, float(FINE)
    return before * FINE, (1 - after) * FINE
