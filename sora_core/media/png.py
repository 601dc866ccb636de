"""Write PNG with zlib alone, because training and evaluation run where neither PyAV nor Pillow is."""

# H W height and width, C channels

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_UP = 2
"""Row filter "difference to the row above": one numpy subtraction, and most of what filters save."""


def write_png(path: Path, image_HWC: NDArray[np.uint8], tags: Mapping[str, str] | None = None) -> None:
    """Write a picture, whole or not at all.

    Args:
        path: its folder must exist.
        image_HWC: uint8 ``[H, W, 3]`` or ``[H, W]``.
        tags: text chunks, any Unicode; keys of 1 to 79 ASCII letters.

    Raises:
        SoraError: the file cannot be written.

    Source: PNG specification, third edition (W3C).
    """
    assert image_HWC.dtype == np.uint8, image_HWC.dtype
    assert image_HWC.ndim == 2 or image_HWC.shape[2:] == (3,), image_HWC.shape
    height, width = image_HWC.shape[:2]
    rows = image_HWC.reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    colour = _RGB if image_HWC.ndim == 3 else _GREY
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))]
    chunks += [_chunk(b"iTXt", key.encode("ascii") + b"\0" * 5 + text.encode()) for key, text in (tags or {}).items()]
    chunks += [_chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)), _chunk(b"IEND", b"")]
    with replacing(path) as hidden:
        hidden.write_bytes(_SIGNATURE + b"".join(chunks))


def read_png_tags(path: Path) -> dict[str, str]:
    """Return the text chunks that `write_png` wrote; empty for any other file."""
    tags: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            return tags
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"iTXt":
                key, _, rest = file.read(length).partition(b"\0")
                tags[key.decode("latin-1")] = rest[4:].decode(errors="replace")
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
    return tags


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
