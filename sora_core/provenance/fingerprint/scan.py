"""Look through many hashes at once for those that are worth a whole comparison."""

# E entries, N slots of all entries together, P probes, K bits of 64

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ternary import Ternary

WORD = 64
PROBES, STRIDE_S = 4, 0.375
"""Slots of the query that are compared at once, and the time between them: a clip of two seconds has room for them."""
LEAST_BITS = 48

Words = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Shelf:
    """The slots of many entries, one after the other.

    sign, sure: uint64, 64 bits of each slot. entry: int, the entry that each slot belongs to.
    """

    sign: Words
    sure: Words
    entry: NDArray[np.int64]

    @staticmethod
    def of(packed: Sequence[bytes]) -> Shelf:
        """Put together what `packed_words` made of each entry."""
        pairs = np.frombuffer(b"".join(packed), "<u8").astype(np.uint64).reshape(-1, 2)
        entry = np.repeat(np.arange(len(packed)), [len(p) // 16 for p in packed])
        return Shelf(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), entry)

    def nearest(self, query: Ternary, slots_per_s: int, *, groups: int, most: int) -> list[tuple[float, int]]:
        """Return the entries that are nearest to a query somewhere in time.

        Args:
            query: 64 bits per slot.
            slots_per_s: of the query and the shelf.
            groups: of probes, spread over the query; an entry must hold one of them to be found.
            most: how many entries.

        Returns:
            Share of wrong bits and number of entries, the nearest first; such as share next to no sure bits are left
            out.
        """
        words = _words(query)
        stride = max(1, round(STRIDE_S * slots_per_s))
        span = (PROBES - 1) * stride + 1
        if len(words) < span or len(self.entry) < span:
            return []
        best = np.full(int(self.entry[-1]) + 1, np.inf)
        starts = np.linspace(0, len(words) - span, groups).round().astype(int)
        for start in np.unique(starts):
            error_N = self._errors(words[start : start + span : stride], stride)
            entries, first = np.unique(self.entry[: len(error_N)], return_index=True)
            best[entries] = np.minimum(best[entries], np.minimum.reduceat(error_N, first))
        order = np.argsort(best, kind="stable")[:most]
        return [(float(best[i]), int(i)) for i in order if np.isfinite(best[i])]

    def _errors(self, probes_P2: Words, stride: int) -> NDArray[np.float64]:
        """Return the share of wrong bits for the group of probes lying at each slot."""
        length = len(self.entry) - (PROBES - 1) * stride
        compared, wrong = np.zeros(length, np.int16), np.zeros(length, np.int16)
        for i, (sign, sure) in enumerate(probes_P2):
            part = slice(i * stride, i * stride + length)
            both = self.sure[part] & sure
            compared += _ones(both)
            wrong += _ones((self.sign[part] ^ sign) & both)
        last = self.entry[(PROBES - 1) * stride :]
        usable = (self.entry[:length] == last) & (compared >= LEAST_BITS)
        return np.where(usable, wrong / np.maximum(compared, 1), np.inf)


def packed_words(bits: Ternary) -> bytes:
    """Return signs and sureness of each slot in turn, 16 bytes.

    Args:
        bits: 64 bits per slot.
    """
    return _words(bits).astype("<u8").tobytes()


def _words(bits: Ternary) -> Words:
    """Return ``[T, 2]``: signs and sureness."""
    planes = np.stack([np.packbits(plane, axis=1) for plane in (bits.sign, bits.sure)], 1)
    assert planes.shape[2] * 8 == WORD
    return np.ascontiguousarray(planes).view("<u8")[..., 0].astype(np.uint64)


def _ones(words: Words) -> NDArray[np.integer]:
    """Return the number of ones in each word; NumPy counts them itself only from version 2 on."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    pairs = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bytes_ = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((bytes_ * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int16)
