"""Hash bits that know how sure they are, and how two tracks of them agree at every shift in time."""

# T slots in time, K bits per slot

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import SoraError

MOST_SLOTS = 1 << 20
"""Of one track: 36 hours of picture. What says more is not read."""

_HEADER = struct.Struct("<2sBI")
HEADER_BYTES = _HEADER.size

Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ternary:
    """Bits over time, each either sure or not.

    A bit that is not sure is 0, so that the same content has the same bytes.

    Args:
        sign: bool ``[T, K]``.
        sure: bool, the same shape; only bits that are sure take part in a comparison.
    """

    sign: Bits
    sure: Bits

    @staticmethod
    def of(values_TK: NDArray[np.floating], least: NDArray[np.floating] | float) -> Ternary:
        """Return the signs of values; those not larger than ``least`` (which broadcasts) in size are not sure."""
        sure = np.abs(values_TK) > least
        return Ternary((values_TK > 0) & sure, sure)

    @property
    def slots(self) -> int:
        """Return T."""
        return len(self.sign)

    def __getitem__(self, slots: slice) -> Ternary:
        """Return some of the slots."""
        return Ternary(self.sign[slots], self.sure[slots])

    def trits(self) -> NDArray[np.float64]:
        """Return ``[T, K]`` of -1, 0 and 1."""
        return np.where(self.sure, np.where(self.sign, 1.0, -1.0), 0.0)

    def turned(self, odd_K: Bits) -> Ternary:
        """Return it with some bits inverted where they are sure."""
        return Ternary((self.sign ^ odd_K) & self.sure, self.sure)

    def to_bytes(self) -> bytes:
        """Return the packed signs, then the packed sureness; each slot starts on a byte."""
        return np.packbits(self.sign, axis=1).tobytes() + np.packbits(self.sure, axis=1).tobytes()

    @staticmethod
    def from_bytes(packed: bytes, slots: int, bits: int) -> Ternary:
        """Read what `to_bytes` wrote.

        Args:
            packed: exactly ``2 * slots * bits / 8`` bytes.
            slots: T.
            bits: K, a multiple of 8.
        """
        planes = np.frombuffer(packed, np.uint8).reshape(2, slots, bits // 8)
        sign, sure = np.unpackbits(planes, axis=2).astype(bool)
        return Ternary(sign & sure, sure)


def correlation(a_TK: NDArray[np.float64], b_TK: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the sum of products of two tracks of small whole numbers at every shift.

    Returns:
        ``[Ta + Tb - 1]``; element ``i`` is where slot ``t`` of ``b`` lies on slot ``t + i - (Tb - 1)`` of ``a``.
    """
    length = len(a_TK) + len(b_TK) - 1
    size = 1 << max(length - 1, 1).bit_length()
    spectrum = np.zeros(size // 2 + 1, complex)
    # a few bits at a time: an hour of film would need gigabytes at once
    for at in range(0, a_TK.shape[1], 16):
        part = slice(at, at + 16)
        a_WK, b_WK = np.fft.rfft(a_TK[:, part], size, axis=0), np.fft.rfft(b_TK[::-1, part], size, axis=0)
        spectrum += (a_WK * b_WK).sum(1)
    return np.rint(np.fft.irfft(spectrum, size)[:length]).astype(np.int64)


def header(kind: bytes, version: int, slots: int) -> bytes:
    """Return what begins a hash: two letters, a version byte and a length."""
    return _HEADER.pack(kind, version, slots)


def slots_of(packed: bytes, kind: bytes, version: int, bytes_per_slot: int) -> int:
    """Return the length that a hash says it has, and has.

    Raises:
        SoraError: it is no such hash.
    """
    if len(packed) >= HEADER_BYTES:
        found_kind, found_version, slots = _HEADER.unpack_from(packed)
        whole = len(packed) == HEADER_BYTES + slots * bytes_per_slot
        if (found_kind, found_version) == (kind, version) and slots <= MOST_SLOTS and whole:
            return int(slots)
    raise SoraError(
        f"these {len(packed)} bytes are no hash of kind {kind.decode()} and version {version}; make the hash anew"
    )


@dataclass(frozen=True, eq=False)
class Agreement:
    """How two tracks agree at every shift, as `correlation` counts them.

    compared: bits that are sure in both. wrong: those of them that differ.
    """

    compared: NDArray[np.int64]
    wrong: NDArray[np.int64]

    @staticmethod
    def of(a: Ternary, b: Ternary) -> Agreement:
        """Compare two tracks of the same K."""
        compared = correlation(a.sure.astype(float), b.sure.astype(float))
        return Agreement(compared, (compared - correlation(a.trits(), b.trits())) // 2)

    def error(self) -> NDArray[np.float64]:
        """Return the share of wrong bits at every shift, 0.5 where nothing can be compared."""
        return np.where(self.compared > 0, self.wrong / np.maximum(self.compared, 1), 0.5)


def overlaps(a_slots: int, b_slots: int) -> NDArray[np.int64]:
    """Return how many slots of two tracks lie on each other at every shift, as `correlation` counts them."""
    shift = np.arange(a_slots + b_slots - 1) - (b_slots - 1)
    return np.minimum(a_slots, shift + b_slots) - np.maximum(0, shift)
