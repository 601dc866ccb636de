"""What a secret and an id decide: which field a clip carries, and every sign in it."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

LABEL = b"sora video mark 1"


def digest(secret: bytes, *parts: str | int) -> bytes:
    """Return 32 bytes that only the holder of ``secret`` can tell from chance, one value per list of parts."""
    message = b"\x00".join([LABEL, *(str(part).encode() for part in parts)])
    return hmac.new(secret, message, hashlib.sha256).digest()


def dice(secret: bytes, *parts: str | int) -> np.random.Generator:
    """Return a generator seeded by ``digest``.

    Philox is counter based and its stream is fixed by numpy's compatibility rules, so that marks stay readable.
    """
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest(secret, *parts)[:16], np.uint64)))


def signs(secret: bytes, *parts: str | int, count: int) -> NDArray[np.float32]:
    """Return ``count`` keyed signs, float32 of -1 and 1."""
    raw = np.frombuffer(dice(secret, *parts).bytes((count + 7) // 8), np.uint8)
    return np.unpackbits(raw)[:count].astype(np.float32) * 2 - 1


def number(secret: bytes, *parts: str | int, below: int) -> int:
    """Return a keyed whole number in ``range(below)``."""
    return int.from_bytes(digest(secret, *parts)[:8], "big") % below
