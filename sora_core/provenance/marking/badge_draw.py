"""Keyed numbers: what looks random in the visible mark, and can be drawn again by whoever holds the secret."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

SECRET_BYTES = 32
_LABEL = b"sora visible mark"


class Draw:
    """A stream of numbers that follows from the secret, the clip's id and a name.

    Args:
        secret: the owner's marking key, 32 bytes.
        mark_id: the clip's id, 64 bits.
        name: what the numbers are for; other names give independent numbers.

    Source: HMAC-SHA256 (RFC 2104) as the key of Philox, whose raw output numpy promises to keep, while its
    distributions may change from version to version.
    """

    def __init__(self, secret: bytes, mark_id: int, name: str) -> None:
        """Make the stream."""
        assert len(secret) == SECRET_BYTES, len(secret)
        assert 0 <= mark_id < 1 << 64, mark_id
        message = b"|".join([_LABEL, mark_id.to_bytes(8, "big"), name.encode()])
        digest = hmac.new(secret, message, hashlib.sha256).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "big"))

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Return numbers evenly spread over 0 to 1, 1 left out."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return (np.asarray(raw, np.uint64) >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53

    def bell(self, *shape: int) -> NDArray[np.float64]:
        """Return numbers of mean 0 and variance 1 that are bell-shaped and never beyond 3.5."""
        return (self.uniform(*shape, 4).sum(axis=-1) - 2) * np.sqrt(3)

    def between(self, low: float, high: float) -> float:
        """Return one number between two."""
        return low + (high - low) * float(self.uniform(1)[0])
