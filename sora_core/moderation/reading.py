"""TOML files that a stranger may have written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..errors import SoraError

LARGEST = 1 << 20
"""Bytes of one policy or card."""

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]


def read_toml(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the table in a file, and the file's bytes.

    Raises:
        SoraError: it cannot be read, is larger than 1 MiB, or is not TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SoraError(f"{path} cannot be read: {reason}; name a TOML file") from error
    if len(data) > LARGEST:
        raise SoraError(f"{path} is larger than {LARGEST} bytes; a file of this kind is smaller")
    try:
        return tomllib.loads(data.decode()), data
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SoraError(f"{path} is not TOML: {str(error) or 'too deep'}; mend it there") from error
