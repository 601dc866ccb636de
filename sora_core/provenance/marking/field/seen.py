"""What of a film does not depend on any key: evened-out stills of half a second each, and their spectra."""

# T stills, h w pixels of a still, N cells along the torus, M bins, W windows, f frames of a piece, H W pixels

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import SoraError
from .geometry import Geometry
from .pattern import CELL, CELLS, SHORT_SIDE, TORUS, band

STILL_SIDE = 240
"""Lines of a still: the field has no wave shorter than 4 of its pixels."""
STILL_S = 0.5
LOOKED_AT_FPS = 8.0
"""Frames of a second that are looked at: neighbours tell little more, and a dropped one then does not matter."""

FINE = 2
WHITENING = 0.6
"""Power of each bin's size that is taken away: between none (0) and phase only (1); measured best."""
KEPT_SPECTRA = 640
MOST_BLOCKS = 20
"""Stretches of a film that are searched; of a longer film they are spread over its length."""
LUMA = (0.299, 0.587, 0.114)


class Stills:
    """Gathers stills from pieces of a film."""

    def __init__(self, fps: float) -> None:
        if not fps > 0:
            raise SoraError(f"a film of {fps} frames per second cannot be read; give a rate above 0")
        self.fps = fps
        self.num_frames = 0
        self._sums: list[Tensor] = []
        self._counts: list[int] = []
        self._size = (0, 0)

    def see(self, frames_FHWC: Tensor) -> None:
        """Take in uint8 ``[f, H, W, 3]``."""
        if not len(frames_FHWC):
            return
        size = (frames_FHWC.shape[1], frames_FHWC.shape[2])
        if self.num_frames and size != self._size:
            raise SoraError(f"the frames change size from {self._size} to {size}; a film has one size")
        self._size = size
        step = self.fps / LOOKED_AT_FPS
        for index in range(len(frames_FHWC)):
            number = self.num_frames + index
            if step > 1 and math.floor(number / step) == math.floor((number - 1) / step):
                continue
            # a file's first frame is coded whole and keeps most of the mark: it is a still of its own
            place = int(number / self.fps / STILL_S) + 1 if number else 0
            while len(self._sums) <= place:
                self._sums.append(torch.zeros(0))
                self._counts.append(0)
            still = _small(frames_FHWC[index])
            self._sums[place] = still if not self._counts[place] else self._sums[place] + still
            self._counts[place] += 1
        self.num_frames += len(frames_FHWC)

    def finish(self) -> Seen:
        """Return what was seen."""
        stills = [total / count for total, count in zip(self._sums, self._counts, strict=True) if count]
        times = [max(0, place - 1) * STILL_S for place, count in enumerate(self._counts) if count]
        if not stills:
            raise SoraError("a film of 0 frames holds no mark; give at least one frame")
        even, alive = even_out(torch.stack(stills))
        return Seen(stills=even, alive=alive, starts=times, seconds=self.num_frames / self.fps)


def _small(frame_HWC: Tensor) -> Tensor:
    luma = frame_HWC.float() @ torch.tensor(LUMA)
    height, width = luma.shape
    factor = STILL_SIDE / min(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    return F.interpolate(luma[None, None], size=size, mode="bilinear", antialias=True, align_corners=False)[0, 0]


def even_out(stills_Thw: Tensor) -> tuple[Tensor, Tensor]:
    """Take away what is smooth and make every neighbourhood equally loud.

    Returns:
        The stills, float32 ``[T, h, w]`` of about -2 to 2, and the part of each, 0 to 1, that is neither flat black
        nor flat white and so could carry a mark ``[T]``.
    """
    stills = stills_Thw[:, None]

    def near(values: Tensor, size: int) -> Tensor:
        return F.avg_pool2d(F.pad(values, (size // 2,) * 4, mode="reflect"), size, 1)

    rough = stills - near(stills, 11)
    loud = near(rough.square(), 15).sqrt_()
    even = (rough / (loud + 0.5)).clamp_(-2, 2)[:, 0]
    alive = ((loud[:, 0] > 0.25) | ((stills[:, 0] > 6) & (stills[:, 0] < 249))).float().mean((1, 2))
    return even, alive


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A film without what no reader needs.

    stills: evened out, float32 ``[T, h, w]``. alive: the part of each
    that could carry a mark ``[T]``. starts: seconds. seconds: of the whole film.
    """

    stills: Tensor
    alive: Tensor
    starts: list[float]
    seconds: float
    _spectra: OrderedDict[tuple[Geometry, bool], Tensor] = field(default_factory=OrderedDict, repr=False)
    _sums: dict[float, Tensor] = field(default_factory=dict, repr=False)

    @property
    def aspect(self) -> float:
        """The long side over the short one."""
        height, width = self.stills.shape[1:]
        return max(height, width) / min(height, width)

    def windows(self, segment_s: float, longest_s: float) -> Tensor:
        """Return sums of stills that fit the turning sign of the sync, one per guess of its phase ``[W, h, w]``."""
        if segment_s not in self._sums:
            self._sums[segment_s] = self._windows(segment_s, longest_s)
        return self._sums[segment_s]

    def _windows(self, segment_s: float, longest_s: float) -> Tensor:
        starts = torch.tensor(self.starts)
        count = max(1, math.ceil(self.seconds / longest_s))
        length = self.seconds / count
        sums = []
        blocks = range(count) if count <= MOST_BLOCKS else range(0, count, -(-count // MOST_BLOCKS))
        for index in blocks:
            inside = (starts >= index * length - 1e-6) & (starts < (index + 1) * length - 1e-6)
            if not inside.any():
                continue
            first = int(inside.nonzero()[0])
            sums.append(self.stills[first])
            if inside.sum() == 1:
                continue
            # a codec that saves may carry the first field to the end, or the film may be slowed: no turn at all
            sums.append(self.stills[inside].sum(0))
            for phase in range(3):
                turn = torch.cos(math.pi * (starts / segment_s + phase / 3))
                weight = (1.5 * turn).clamp(-1, 1) * inside
                sums.append(torch.einsum("t,thw->hw", weight, self.stills))
        return torch.stack(sums)

    def spectra(self, images_Whw: Tensor, geometry: Geometry, *, keep: bool) -> Tensor:
        """Return the whitened spectra of images put back as they were marked, complex64 ``[W, N, M]``.

        keep: remember them for the next key; only for the windows.
        """
        key = (geometry, True)
        if keep and key in self._spectra:
            return torch.view_as_complex(self._spectra[key].float())
        made = whitened(images_Whw, geometry)
        if keep:
            self._spectra[key] = torch.view_as_real(made).half()
            while len(self._spectra) > KEPT_SPECTRA:
                self._spectra.popitem(last=False)
        return made


def whitened(images_Whw: Tensor, geometry: Geometry) -> Tensor:
    """Warp images back onto the torus and return the spectrum in the field's band, complex64 ``[W, N, M]``."""
    height, width = images_Whw.shape[1:]
    side = CELLS * FINE
    axis = torch.fft.fftfreq(side, 1 / TORUS)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    (xx, xy), (yx, yy) = geometry.matrix()
    scale = min(height, width) / SHORT_SIDE
    dx, dy = geometry.offset
    x, y = x + dx, y + dy
    grid = torch.stack([(xx * x + xy * y) * (2 * scale / width), (yx * x + yy * y) * (2 * scale / height)], -1)
    count = len(images_Whw)
    torus = F.grid_sample(images_Whw[None], grid[None], mode="bilinear", align_corners=False)[0]
    whole = torch.fft.rfft2(torus)
    half = CELLS // 2
    spectra = torch.cat([whole[:, :half, : half + 1], whole[:, -half:, : half + 1]], 1)
    size = spectra.abs()
    loud = size.mean((1, 2), keepdim=True) + 1e-9
    spectra = spectra * (torch.from_numpy(band()) / (size / loud + 0.05) ** WHITENING / loud)
    assert spectra.shape == (count, CELLS, half + 1)
    assert CELL * CELLS == TORUS
    return spectra
