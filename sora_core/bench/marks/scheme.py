"""The marks under test, as the suite sees them: something that marks, prepares and reads."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .measures import Reading

PIECE = 16
"""Frames handed on at once, as a film does."""


class NamedReading(Reading, Protocol):
    """A reading of the picture, which also knows the whole id."""

    @property
    def mark_id(self) -> int | None:
        """The id, or None where error correction and its check do not agree."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A picture mark.

    mark: frames uint8 ``[F, H, W, 3]``, frames per second, a secret and an id of 64 bits -> frames of the same shape.
    prepare: frames and frames per second -> what a reader needs of them whatever the key is.
    read: what was prepared, a secret, and whether to look also for turned and bent pictures -> the reading.
    """

    mark: Callable[[Tensor, float, bytes, int], Tensor]
    prepare: Callable[[Tensor, float], Any]
    read: Callable[[Any, bytes, bool], NamedReading]


def secret(name: str) -> bytes:
    """Return 32 bytes that follow from a name; for measurements, where the same figures must come again."""
    return hashlib.sha256(f"marks bench {name}".encode()).digest()


def mark_id(name: str) -> int:
    """Return an id of 64 bits that follows from a name."""
    return int.from_bytes(hashlib.sha256(f"id {name}".encode()).digest()[:8], "big")
