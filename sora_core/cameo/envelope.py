"""A signed thing as it travels: a body, and its owner's signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .canonical import canonical, parse
from .fields import Check, exactly, matches
from .owner_key import verify

VERSION = 1

_BASE64 = re.compile(r"[A-Za-z0-9+/]{86}==")
_SCHEMA: Mapping[str, Check] = {
    "body": lambda value: isinstance(value, dict),
    "signature": matches(_BASE64),
}


def read_envelope(
    envelope: Any,  # noqa: ANN401  a stranger's JSON
    *,
    schema: Mapping[str, Check],
    signer: str,
    what: str,
) -> dict[str, Any]:
    """Return the body of a signed thing after its fields and its signature were checked.

    Args:
        envelope: ``{"body", "signature"}``, from `parse`.
        schema: the body's fields.
        signer: the field that names the key whose signature it must be.
        what: its name in sentences.

    Raises:
        SoraError: a field is missing, strange or of another kind, or the signature is another's.
    """
    exactly(envelope if isinstance(envelope, dict) else {}, _SCHEMA, what)
    exactly(envelope["body"], schema, what)
    return verify(envelope, envelope["body"][signer], what)


def packed(envelope: dict[str, Any]) -> bytes:
    """Return it as bytes to keep."""
    return canonical(envelope)


def unpacked(data: bytes, what: str) -> dict[str, Any]:
    """Return what `packed` made."""
    return parse(data, what)
