"""The id of a marked clip: 64 random bits, of which a sound carries the upper half."""

from __future__ import annotations

import secrets

ID_BITS, SHORT_ID_BITS = 64, 32


def fresh_id() -> int:
    """Return an id for a new clip."""
    return secrets.randbits(ID_BITS)


def short_id(mark_id: int) -> int:
    """Return the half of an id that a sound carries."""
    return mark_id >> SHORT_ID_BITS
