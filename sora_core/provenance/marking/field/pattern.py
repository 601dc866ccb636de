"""The field itself: keyed signs on a grid of cells, shaped to the frequencies that codecs keep.

A frame is measured in units: its short side is 480, its middle is 0, 0. The field is a torus of 960 units, so that it
repeats nowhere in a frame of up to 2 : 1, and so that a shift of the frame is a roll of the grid.
"""

# N cells along a side of the torus, M bins of its half spectrum, C cells of one share, K coded bits, H W pixels

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .code import CODED_BITS
from .keys import dice, signs

SHORT_SIDE = 480.0
TORUS = 960.0
CELLS = 192
CELL = TORUS / CELLS
"""5 units: the shortest wave it carries is 10 units, which H.264 keeps at CRF 30 (measured beside shorter, longer)."""

LONGEST, SHORTEST = 24.0, 9.6
"""Units: the band of waves. Longer ones hide badly and drown in the picture, shorter ones die in the codec."""

LOOKS = 4
"""Sync fields that one secret has; each clip carries one."""
FIELDS = 64
"""Fields of the other shares that one secret and look have; a clip runs through them, one a segment."""

SHARES = {"sync": 0.2, "tag": 0.12, "payload": 0.58, "check": 0.1}
"""Parts of the cells. sync: where and whether. tag: which field. payload: the coded id. check: keyed by the id."""


PATCH = 4
LIT = 1
"""Cells along a patch, and how many patches of each four carry the field. Strong spots outlive a quantiser that faint
ones everywhere do not: at equal PSNR a known field reads 1.5 times as clearly at CRF 30 and 3 times at CRF 36."""


class Layout(NamedTuple):
    """Which cells of the flat torus serve which share, int64 ``[C]`` each, and the coded bit of each payload cell."""

    sync: NDArray[np.int64]
    tag: NDArray[np.int64]
    payload: NDArray[np.int64]
    check: NDArray[np.int64]
    coded: NDArray[np.int64]


@lru_cache(maxsize=64)
def layout(secret: bytes) -> Layout:
    """Return the keyed layout: every neighbourhood holds cells of all shares and all coded bits."""
    order = dice(secret, "layout").permutation(CELLS * CELLS)
    ends = np.cumsum([round(share * CELLS * CELLS) for share in SHARES.values()])
    sync, tag, payload, check = (np.sort(part) for part in np.split(order, ends[:3]))
    coded = dice(secret, "coded").permutation(np.arange(len(payload)) % CODED_BITS)
    return Layout(sync, tag, payload, check, coded)


@lru_cache(maxsize=1)
def band() -> NDArray[np.float32]:
    """Return the amplitude of each bin of the half spectrum ``[N, M]``."""
    waves = np.fft.fftfreq(CELLS, CELL)[:, None] ** 2 + np.fft.rfftfreq(CELLS, CELL)[None] ** 2
    radius = np.sqrt(waves)
    low, high = 1 / LONGEST, 1 / SHORTEST
    rise = np.clip((radius - low * 0.75) / (low * 0.5), 0, 1)
    fall = np.clip((high * 1.1 - radius) / (high * 0.2), 0, 1)
    return (rise * fall).astype(np.float32)


def shaped(cells_NN: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cells after the band's filter."""
    return np.fft.irfft2(np.fft.rfft2(cells_NN) * band(), s=(CELLS, CELLS)).astype(np.float32)


@lru_cache(maxsize=64)
def patches(secret: bytes, look: int) -> NDArray[np.float32]:
    """Return how strong the field is on each cell ``[N, N]``, with a mean square of 1.

    One patch of each square of four is lit, so that no part of the picture is without and none is crowded.
    """
    squares = CELLS // PATCH // 2
    lit = dice(secret, "patches", look).random((squares, squares, 4)).argsort(-1) < LIT
    grid = lit.reshape(squares, squares, 2, 2).transpose(0, 2, 1, 3).reshape(2 * squares, 2 * squares)
    cells = np.kron(grid, np.ones((PATCH, PATCH), np.float32)).astype(np.float32)
    return cells / np.sqrt((cells**2).mean())


def sync_signs(secret: bytes, look: int) -> NDArray[np.float32]:
    """Return the signs of the sync's cells ``[C]``."""
    return signs(secret, "sync", look, count=len(layout(secret).sync))


def sync_drawn(secret: bytes, look: int) -> NDArray[np.float32]:
    """Return the sync of a look as it is drawn, on the torus ``[N, N]``."""
    cells = np.zeros(CELLS * CELLS, np.float32)
    place = layout(secret).sync
    cells[place] = sync_signs(secret, look)
    return shaped(cells.reshape(CELLS, CELLS)) * patches(secret, look)


def tag_signs(secret: bytes, look: int, field: int) -> NDArray[np.float32]:
    """Return the signs of the tag's cells ``[C]``."""
    return signs(secret, "tag", look, field, count=len(layout(secret).tag))


def payload_signs(secret: bytes, look: int, field: int) -> NDArray[np.float32]:
    """Return the spreading signs of the payload's cells ``[C]``."""
    return signs(secret, "payload", look, field, count=len(layout(secret).payload))


def check_signs(secret: bytes, look: int, field: int, mark_id: int) -> NDArray[np.float32]:
    """Return the signs of the check's cells ``[C]``: they follow from the whole id."""
    return signs(secret, "check", look, field, mark_id, count=len(layout(secret).check))


def field_signs(
    secret: bytes, look: int, field: int, *, turned: int, mark_id: int, coded_K: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return all signs of a segment, flat ``[N * N]``. turned: -1 or 1, the sign of its sync."""
    where = layout(secret)
    cells = np.empty(CELLS * CELLS, np.float32)
    cells[where.sync] = sync_signs(secret, look) * turned
    cells[where.tag] = tag_signs(secret, look, field)
    cells[where.payload] = payload_signs(secret, look, field) * coded_K[where.coded]
    cells[where.check] = check_signs(secret, look, field, mark_id)
    return cells


def on_frame(cells_NN: NDArray[np.float32], strength_NN: NDArray[np.float32], height: int, width: int) -> Tensor:
    """Draw cells on the pixels of a frame.

    Args:
        cells_NN: signs.
        strength_NN: of `patches`.
        height, width: pixels.

    Returns:
        float32 ``[H, W]`` with a mean square of 1.
    """
    fine = 4
    spectrum = np.fft.rfft2(cells_NN) * band()
    side = CELLS * fine
    wide = np.zeros((side, side // 2 + 1), np.complex64)
    half = CELLS // 2
    wide[:half, : half + 1] = spectrum[:half]
    wide[-half:, : half + 1] = spectrum[half:]
    drawn = np.fft.irfft2(wide, s=(side, side)) * fine**2
    # cells are points: a patch ends half-way between the last one in it and the first one out of it
    drawn *= np.roll(np.kron(strength_NN, np.ones((fine, fine), np.float32)), -(fine // 2), (0, 1))
    torus = torch.from_numpy(np.pad(drawn.astype(np.float32), side // 2, mode="wrap"))
    unit = SHORT_SIDE / min(height, width)
    y = (torch.arange(height) + 0.5 - height / 2) * unit
    x = (torch.arange(width) + 0.5 - width / 2) * unit
    # cell (0, 0) lies at the middle of the frame
    grid_y, grid_x = (2 * (axis * fine / CELL + side // 2) / (2 * side - 1) - 1 for axis in (y, x))
    grid = torch.stack(torch.meshgrid(grid_y, grid_x, indexing="ij")[::-1], -1)
    on = F.grid_sample(torus[None, None], grid[None], mode="bicubic", align_corners=True)[0, 0]
    return on / on.square().mean().sqrt()
