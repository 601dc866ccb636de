"""Damage of every kind, on purpose: what a reader of strangers' files must live through."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .container import C2PA_UUID
from .read import read_manifest
from .reading import ManifestReading

KINDS = ("bit", "byte", "zeros", "cut", "drop", "double", "insert", "number", "swap")

MANIFEST_SHARE = 0.5
"""Of the damage that goes to the manifest: it is a small part of a film, and the part that is parsed."""


@dataclass(frozen=True, kw_only=True)
class FuzzCount:
    """What became of damaged files.

    unreadable, broken, absent: as told by reading. spared: still valid, for nothing was hit that means anything
    (padding, versions of boxes): what plays and what is claimed are the same. wrong: still valid though either is
    another; there must be none.
    """

    unreadable: int = 0
    broken: int = 0
    absent: int = 0
    spared: int = 0
    wrong: int = 0


def mutate(data: bytes, seed: int) -> bytes:
    """Return a file with one to three damages, always another one than ``data``; the same for the same seed."""
    dice = random.Random(seed)
    found = bytearray(data)
    place = manifest_span(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        start, stop = place if place and dice.random() < MANIFEST_SHARE else (0, len(found))
        at = min(dice.randrange(start, max(start + 1, stop)), max(0, len(found) - 1))
        _damage(found, dice.choice(KINDS), at, dice)
    if bytes(found) == data:
        found[dice.randrange(len(found))] ^= 1
    return bytes(found)


def fuzz(original: Path, folder: Path, *, anchors: bytes, count: int, seed: int = 0) -> FuzzCount:
    """Read ``count`` damaged copies of a signed file, one after another, and count what is told of them.

    Args:
        original: an MP4 or PNG file with its manifest inside. folder: for one copy at a time.

    Raises:
        Exception: reading raised one, which it must never do.
    """
    data = original.read_bytes()
    reference = read_manifest(original, anchors=anchors)
    copy = folder / f"mutant{original.suffix}"
    found = dict.fromkeys(("unreadable", "broken", "absent", "spared", "wrong"), 0)
    for number in range(count):
        mutant = mutate(data, seed + number)
        copy.write_bytes(mutant)
        reading = read_manifest(copy, anchors=anchors)
        if reading.state in ("trusted", "intact"):
            found["spared" if is_spared(reading, reference, mutant, data) else "wrong"] += 1
        else:
            found[reading.state] += 1
    copy.unlink(missing_ok=True)
    return FuzzCount(**found)


def is_spared(reading: ManifestReading, reference: ManifestReading, mutant: bytes, data: bytes) -> bool:
    """Tell whether a damaged file plays and claims the same: all outside its manifest's box, and all that is read."""
    return reading == reference and outside(mutant) == outside(data)


def outside(data: bytes) -> bytes:
    """Return an MP4 or PNG file without its manifest's box."""
    span = manifest_span(data)
    return data if span is None else data[: span[0]] + data[span[1] :]


def manifest_span(data: bytes) -> tuple[int, int] | None:
    """Return where the manifest's box lies in an MP4 or PNG file, from its length on; None without."""
    return next(_boxes(data), None)


def _boxes(data: bytes) -> Iterator[tuple[int, int]]:
    if data.startswith(b"\x89PNG"):
        at, extra = 8, 12
    else:
        at, extra = 0, 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if not extra and size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        elif not extra and size == 0:
            size = len(data) - at
        size += extra
        if size < 8:
            return
        if kind == b"caBX" or (kind == b"uuid" and data[at + 8 : at + 24] == C2PA_UUID):
            yield at, min(at + size, len(data))
        at += size


def _damage(data: bytearray, kind: str, at: int, dice: random.Random) -> None:
    length = min(dice.choice((1, 4, 16, 256, 4096)), len(data) - at)
    if kind == "bit":
        data[at] ^= 1 << dice.randrange(8)
    elif kind == "byte":
        data[at] = dice.randrange(256)
    elif kind == "zeros":
        data[at : at + length] = bytes(length)
    elif kind == "cut":
        del data[max(8, at) :]
    elif kind == "drop":
        if len(data) - length >= 8:
            del data[at : at + length]
    elif kind == "double":
        data[at:at] = data[at : at + length]
    elif kind == "insert":
        data[at:at] = dice.randbytes(length)
    elif kind == "number":
        # lengths and counts at their limits
        data[at : at + 4] = struct.pack(">I", dice.choice((0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
    else:
        other = dice.randrange(len(data))
        data[at], data[other] = data[other], data[at]
