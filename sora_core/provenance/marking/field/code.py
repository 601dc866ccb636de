"""The error-correcting code: a tail-biting convolutional code of rate 1/4, decoded from soft values."""

# K code bits of a step, S states, L steps

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..mark_id import ID_BITS

MEMORY = 10
GENERATORS = (0o2327, 0o2353, 0o2671, 0o3175)
"""Source: the published table of best rate 1/4 codes of constraint length 11 (free distance 29)."""

RATE = len(GENERATORS)
CODED_BITS = ID_BITS * RATE
TURNS = 3
"""Times round the circle: the tail-biting start is found by going round (wrap-around Viterbi); our decision."""


class Trellis(NamedTuple):
    """sent: what state s sends on bit b, as -1 and 1. before: the two states that lead to a state."""

    sent: NDArray[np.float32]
    before: NDArray[np.int64]


@lru_cache(maxsize=1)
def trellis() -> Trellis:
    """Return the trellis. A state is the last bits, the newest in the lowest place."""
    states = np.arange(1 << MEMORY)
    registers_S2 = (states[:, None] << 1) | np.arange(2)
    taps_K = np.array(GENERATORS)
    parity = registers_S2[..., None] & taps_K
    for shift in (8, 4, 2, 1):
        parity = parity ^ (parity >> shift)
    older = (states >> 1)[:, None] | (np.arange(2) << (MEMORY - 1))
    return Trellis(((parity & 1) * 2 - 1).astype(np.float32), older)


def bits_of(mark_id: int) -> NDArray[np.int64]:
    """Return the 64 bits of an id, the highest first."""
    return np.array([(mark_id >> (ID_BITS - 1 - i)) & 1 for i in range(ID_BITS)])


def id_of(bits: NDArray[np.int64]) -> int:
    """Return the id whose bits these are."""
    return sum(int(bit) << (ID_BITS - 1 - i) for i, bit in enumerate(bits))


def encode(mark_id: int) -> NDArray[np.float32]:
    """Return the 256 coded bits of an id as -1 and 1."""
    bits = bits_of(mark_id)
    state = 0
    for bit in bits[-MEMORY:]:
        state = ((state << 1) | int(bit)) & ((1 << MEMORY) - 1)
    sent = np.empty((ID_BITS, RATE), np.float32)
    table = trellis().sent
    for step, bit in enumerate(bits):
        sent[step] = table[state, bit]
        state = ((state << 1) | int(bit)) & ((1 << MEMORY) - 1)
    return sent.reshape(-1)


def decode(soft: NDArray[np.float32]) -> tuple[int, float]:
    """Return the id whose coded bits lie nearest to 256 soft values, and how well they agree.

    The agreement is the correlation of the values with the id's coded bits, 1 where they are equal up to a factor.
    """
    soft = np.ascontiguousarray(soft, np.float32).reshape(ID_BITS, RATE)
    table = trellis()
    half = 1 << (MEMORY - 1)
    metric_S = np.zeros(1 << MEMORY, np.float32)
    chosen = np.empty((TURNS * ID_BITS, 1 << MEMORY), bool)
    gain_S2 = np.einsum("sbk,lk->lsb", table.sent, soft)
    for turn in range(TURNS * ID_BITS):
        reached = metric_S[:, None] + gain_S2[turn % ID_BITS]
        # state s on bit b goes to 2 s + b without its oldest bit: the two halves of the table meet
        low, high = reached[:half].reshape(-1), reached[half:].reshape(-1)
        chosen[turn] = high > low
        metric_S = np.maximum(low, high)
    state = int(metric_S.argmax())
    bits = np.empty(TURNS * ID_BITS, np.int64)
    for turn in range(TURNS * ID_BITS - 1, -1, -1):
        bits[turn] = state & 1
        state = (state >> 1) | (int(chosen[turn, state]) << (MEMORY - 1))
    # the middle turn has seen what comes before and after it
    found = id_of(bits[ID_BITS : 2 * ID_BITS])
    flat = soft.reshape(-1)
    size = float(np.linalg.norm(flat)) * CODED_BITS**0.5
    return found, float(flat @ encode(found)) / size if size else 0.0
