"""What the fields of signed things may hold; everything else is refused before it is used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import SoraError

NAME = re.compile(r"[a-z0-9_]{2,30}")
HEX_ID = re.compile(r"[0-9a-f]{32}")
HASH = re.compile(r"[0-9a-f]{64}")
DID = re.compile(r"did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}")

LAST_TIME = 253402300799
"""The last second of the year 9999, Unix time."""

Check = Callable[[Any], bool]


def name(text: object) -> str:
    """Return a handle: 2 to 30 of a-z, 0-9 and _.

    Raises:
        SoraError: it is another.
    """
    if not isinstance(text, str) or not NAME.fullmatch(text):
        raise SoraError(f"{shown(text)} is no name of a cameo; use 2 to 30 of a-z, 0-9 and _")
    return text


def did(text: object) -> str:
    """Return a public key of Ed25519 as ``did:key``.

    Raises:
        SoraError: it is none.
    """
    if not isinstance(text, str) or not DID.fullmatch(text):
        raise SoraError(f"{shown(text)} is no public key; it begins with did:key:z6Mk, as `sora cameo show` prints it")
    return text


def shown(text: object) -> str:
    """Return a stranger's text so that it can stand in a sentence: short, ASCII, in quotes."""
    return ascii(text if len(repr(text)) < 60 else repr(text)[:57] + "...")


def matches(pattern: re.Pattern[str]) -> Check:
    """Return a check for text of a pattern."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def one_of(*values: object) -> Check:
    """Return a check for one of some values, of the same type."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def whole(first: int, last: int = LAST_TIME) -> Check:
    """Return a check for a whole number of a range, both ends included."""
    return lambda value: type(value) is int and first <= value <= last


def text(longest: int) -> Check:
    """Return a check for one line of printable Unicode in NFC."""
    return lambda value: (
        isinstance(value, str)
        and 0 < len(value) <= longest
        and value.isprintable()
        and unicodedata.is_normalized("NFC", value)
    )


def optional(check: Check) -> Check:
    """Return a check that allows null too."""
    return lambda value: value is None or check(value)


def listed(check: Check, fewest: int, most: int) -> Check:
    """Return a check for a sorted list without repetition."""
    return lambda value: (
        isinstance(value, list)
        and fewest <= len(value) <= most
        and all(isinstance(each, str) and check(each) for each in value)
        and value == sorted(set(value))
    )


def exactly(found: Mapping[str, Any], schema: Mapping[str, Check], what: str) -> None:
    """Refuse an object that has other fields than the schema's, or another kind of value in one.

    Raises:
        SoraError: it has.
    """
    if other := sorted(set(found) ^ set(schema)):
        state = "is not known" if other[0] in found else "is missing"
        raise SoraError(f"{what} cannot be used: its field {shown(other[0])} {state}; ask for one of this version")
    for key, check in schema.items():
        if not check(found[key]):
            raise SoraError(f"{what} cannot be used: its field {key} holds {shown(found[key])}; ask for a good one")
