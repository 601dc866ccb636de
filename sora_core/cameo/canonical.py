"""One way to write a signed thing as bytes, and a strict way to read what strangers wrote."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NoReturn

from ..errors import SoraError

MAX_BYTES = 96 << 20
"""Longest JSON read: a bundle with two large pictures (our decision)."""

MAX_DEPTH = 12
_MAX_WHOLE = 2**53 - 1


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces, UTF-8: the same bytes for the same value, on every machine.

    Whole numbers, text, true, false, null, lists and objects alone: there are no fractions, which no two programs
    write alike (our decision; for these values it agrees with RFC 8785 where keys are ASCII).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def parse(data: bytes, what: str, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Return the JSON object that a stranger wrote.

    Args:
        data: the bytes.
        what: what it should be, for the sentence, such as "the grant".
        limit: most bytes allowed.

    Raises:
        SoraError: it is too long, not UTF-8, no object, holds a key twice, a fraction, a huge number, or is too deep.
    """
    if len(data) > limit:
        raise SoraError(f"{what} has {len(data)} bytes and may have {limit}; ask for a whole and honest copy")
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_once, parse_float=_refuse, parse_constant=_refuse, parse_int=_whole
        )
        if not isinstance(value, dict):
            raise ValueError("it is no object")
        _check(value, 0)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:80].encode("ascii", "backslashreplace").decode()
        raise SoraError(f"{what} cannot be read ({reason}); ask for a whole copy") from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no whole number")


def _whole(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > _MAX_WHOLE:
        raise ValueError("a number is too large")
    return number


def _check(value: object, depth: int) -> None:
    """Refuse what is too deep and text that is no Unicode."""
    if depth > MAX_DEPTH:
        raise ValueError("it is too deep")
    if isinstance(value, str):
        value.encode()  # a lone surrogate raises a ValueError
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check(key, depth + 1)
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
