"""The hash tree of the log: whoever holds one head can tell that what came before it was not changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]
"""Returns the hash of the full subtree ``(level, place)``: ``1 << level`` leaves from ``place << level`` on."""

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def completed(index: int, leaf: bytes, node: Node) -> list[tuple[int, int, bytes]]:
    """Return the full subtrees that a leaf completes, as (level, place, hash), its own hash at level 0 first."""
    done = [(0, index, leaf)]
    level, place = 0, index
    while place & 1:
        done.append((level + 1, place >> 1, node_hash(node(level, place - 1), done[-1][2])))
        level, place = level + 1, place >> 1
    return done


def root(start: int, stop: int, node: Node) -> bytes:
    """Return the hash of leaves ``start`` to ``stop`` (RFC 6962, 2.1), from the full subtrees alone.

    ``start`` must be a multiple of the largest power of two below their number, as it is within a tree.
    """
    count = stop - start
    if not count:
        return EMPTY
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, start >> level)
    half = split(count)
    return node_hash(root(start, start + half, node), root(start + half, stop, node))


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the path from a leaf to the root of a tree of ``size`` leaves (RFC 6962, 2.1.1)."""
    assert 0 <= index < size
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + split(stop - start)
        if index < middle:
            path.append(root(middle, stop, node))
            stop = middle
        else:
            path.append(root(start, middle, node))
            start = middle
    return path[::-1]


def consistency(earlier: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that a tree of ``size`` leaves begins with that of ``earlier`` ones (RFC 6962, 2.1.2)."""
    assert 0 < earlier <= size
    path: list[bytes] = []
    start, stop, whole = 0, size, True
    while earlier != stop:
        middle = start + split(stop - start)
        if earlier <= middle:
            path.append(root(middle, stop, node))
            stop = middle
        else:
            path.append(root(start, middle, node))
            start, whole = middle, False
    return ([] if whole else [root(start, stop, node)]) + path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to, or None where the path does not fit the place (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    at, last, found = index, size - 1, leaf
    for step in path:
        if not last:
            return None
        if at & 1 or at == last:
            found = node_hash(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return None if last else found


def is_consistent(earlier: int, size: int, old: bytes, new: bytes, path: Sequence[bytes]) -> bool:
    """Return whether a proof leads from the root of ``earlier`` leaves to that of ``size`` (RFC 9162, 2.1.4.2)."""
    if not 0 < earlier <= size:
        return False
    if earlier == size:
        return not path and old == new
    steps = [old, *path] if earlier & (earlier - 1) == 0 else list(path)
    if not steps:
        return False
    at, last = earlier - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, step)
        at, last = at >> 1, last >> 1
    return not last and first == old and second == new


def split(count: int) -> int:
    """Return the largest power of two below ``count``, which is 2 or more."""
    return 1 << ((count - 1).bit_length() - 1)
