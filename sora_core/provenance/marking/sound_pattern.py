"""The keyed pattern of a sound's mark and the code that carries its 32 bits."""

# B bands, J chips of the cycle, K data blocks, M code words, N sounds or places at once

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .sound_grid import BANDS, CYCLE

BITS = 32
"""Bits of the id."""

BLOCKS = 2
"""Halves of the id, each with its own code word."""

_WIDTH = BITS // BLOCKS - 1
_SYNC_SHARE = 0.3
_LABEL = b"sora sound mark 1"


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """What a secret says about each cell of the cycle.

    Attributes:
        sign: float32 ``[B, J]``, 1 or -1.
        role: int64, 0 says where the cycle stands, 1 and 2 carry the halves of the id.
        column: int64, which column of the first-order Reed-Muller code (32,768 columns) the cell carries.
    """

    sign: Tensor
    role: Tensor
    column: Tensor


def pattern(secret: bytes) -> Pattern:
    """Return the pattern of a secret.

    The signs are random and independent, so a wrong key correlates with no sound, whatever the sound is. Source: our
    decision; the halves of the id use a punctured biorthogonal code, which soft decoding reads by one transform.
    """
    key = hmac.new(secret, _LABEL, hashlib.sha256).digest()
    raw = (
        np.frombuffer(hashlib.shake_256(key).digest(BANDS * CYCLE * 8), "<u4").reshape(2, BANDS, CYCLE).astype(np.int64)
    )
    sign = 1.0 - 2.0 * (raw[0] & 1)
    share = (raw[0] >> 1) / 2**31
    role = np.where(share < _SYNC_SHARE, 0, np.where(share < (1 + _SYNC_SHARE) / 2, 1, 2))
    return Pattern(
        sign=torch.from_numpy(sign.astype(np.float32)),
        role=torch.from_numpy(role),
        column=torch.from_numpy(raw[1] & ((1 << _WIDTH) - 1)),
    )


def first_chip(secret: bytes, mark_id: int) -> int:
    """Return where in the cycle a clip begins, so that clips cannot be averaged to lay the pattern bare."""
    key = hmac.new(secret, _LABEL + b" start " + mark_id.to_bytes(8, "big"), hashlib.sha256).digest()
    return int.from_bytes(key[:4], "big") % CYCLE


def written(keyed: Pattern, short_id: int) -> Tensor:
    """Return the signs ``[B, J]`` that carry an id of 32 bits."""
    sign = keyed.sign.clone()
    for block in range(BLOCKS):
        half = short_id >> (block * (_WIDTH + 1)) & ((1 << (_WIDTH + 1)) - 1)
        odd = _parity(keyed.column & (half & ((1 << _WIDTH) - 1))) ^ (half >> _WIDTH)
        sign = torch.where(keyed.role == block + 1, sign * (1 - 2 * odd), sign)
    return sign


def _parity(x: Tensor) -> Tensor:
    for shift in (8, 4, 2, 1):
        x = x ^ (x >> shift)
    return x & 1


def decode(keyed: Pattern, value_NBJ: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best ids of cells that stand in step with the pattern.

    Returns:
        ids int64 ``[N]``; the correlation of each half's best word ``[N, K]``; its lead over the next ``[N, K]``.
    """
    flat = (value_NBJ * keyed.sign).flatten(1)
    ids = torch.zeros(len(flat), dtype=torch.int64)
    best: list[Tensor] = []
    lead: list[Tensor] = []
    for block in range(BLOCKS):
        chosen = (keyed.role.flatten() == block + 1).nonzero()[:, 0]
        columns = keyed.column.flatten()[chosen]
        sums = torch.zeros(len(flat), 1 << _WIDTH).index_add_(1, columns, flat[:, chosen])
        words = hadamard(sums)
        top = words.abs().topk(2, dim=1)
        word = top.indices[:, 0]
        sign = words.gather(1, word[:, None])[:, 0] < 0
        ids |= (word | sign.long() << _WIDTH) << (block * (_WIDTH + 1))
        best.append(top.values[:, 0])
        lead.append(top.values[:, 0] - top.values[:, 1])
    return ids, torch.stack(best, 1), torch.stack(lead, 1)


def hadamard(x_NM: Tensor) -> Tensor:
    """Return the Walsh-Hadamard transform of rows of 32,768."""
    side = 32
    h = torch.ones(1, 1)
    for _ in range(5):
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    cube = x_NM.reshape(-1, side, side, side)
    for _ in range(3):
        cube = (cube @ h).permute(0, 3, 1, 2)
    return cube.reshape(x_NM.shape)
