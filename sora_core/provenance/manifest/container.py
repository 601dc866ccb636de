"""What lies in an MP4 or MOV file outside the reach of C2PA's hash, so that it can be signed all the same.

C2PA leaves out the boxes ftyp, free, skip and mfra: without more, bytes can be hidden there in a file that stays
"Trusted". Our decision: their digest is a statement of the manifest, and reading compares it.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

LEFT_OUT = (b"ftyp", b"free", b"skip", b"mfra")

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")

MOST_BOXES = 100_000
"""At the top of a file; a film of a day in fragments of a second has fewer."""

_BLOCK = 1 << 20


class Outer(NamedTuple):
    """sha256: hex, of the boxes that are left out, in their order. stores: boxes that say they are C2PA manifests."""

    sha256: str
    stores: int


def outer_boxes(path: Path) -> Outer | None:
    """Read what C2PA's hash leaves out of a file made of boxes; None if the boxes do not fill it exactly.

    Raises:
        OSError: it cannot be read.
    """
    digest, stores = hashlib.sha256(), 0
    end = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        for _ in range(MOST_BOXES):
            if at == end:
                return Outer(digest.hexdigest(), stores)
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return None
            size, kind = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                (size,) = struct.unpack(">Q", head[8:])
            elif size == 0:
                size = end - at
            if size < 8 or at + size > end:
                return None
            if kind in LEFT_OUT:
                file.seek(at)
                left = size
                while left:
                    block = file.read(min(left, _BLOCK))
                    if not block:
                        return None
                    digest.update(block)
                    left -= len(block)
            elif kind == b"uuid":
                file.seek(at + 8)
                stores += file.read(16) == C2PA_UUID
            at += size
    return None
