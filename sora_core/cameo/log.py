"""The log of uses: entries are added at its end, each with a signed head, and never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import SoraError
from . import tree
from .canonical import canonical, parse
from .checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from .owner_key import OwnerKey

MAX_ENTRY = 4096

_DAMAGED = "the log of the ledger is damaged ({}); put back a whole copy, for nothing can be added to this one"


class Entry(NamedTuple):
    """One entry. place: counted from 0. leaf: its canonical JSON."""

    place: int
    leaf: bytes

    @property
    def value(self) -> dict[str, Any]:
        """The entry as JSON."""
        return parse(self.leaf, "an entry of the log", MAX_ENTRY)


def append(connection: sqlite3.Connection, key: OwnerKey, value: dict[str, Any]) -> tuple[int, Checkpoint]:
    """Add an entry and sign the new head, in a transaction that is open; return its place and the head.

    Raises:
        SoraError: the log does not lead to its newest head any more.
    """
    leaf = canonical(value)
    assert len(leaf) <= MAX_ENTRY
    node = nodes(connection)
    before = head(connection)
    place = before.size
    if tree.root(0, place, node) != before.root:
        raise SoraError(_DAMAGED.format("its hashes do not lead to its head"))
    for cameo in sorted({lent["cameo"] for lent in value.get("cameos", ())}):
        connection.execute("INSERT INTO mentions VALUES (?, ?)", (cameo, place))
    connection.execute("INSERT INTO log VALUES (?, ?)", (place, leaf))
    connection.executemany("INSERT INTO nodes VALUES (?, ?, ?)", tree.completed(place, tree.leaf_hash(leaf), node))
    after = sign_checkpoint(key, place + 1, tree.root(0, place + 1, node))
    connection.execute("INSERT INTO heads VALUES (?, ?, ?)", (after.size, after.root, after.note))
    return place, after


def head(connection: sqlite3.Connection, size: int | None = None) -> Checkpoint:
    """Return the newest head, or that of a size.

    Raises:
        SoraError: there is none of that size, or entries and heads do not belong together.
    """
    entries = connection.execute("SELECT COALESCE(MAX(place) + 1, 0) FROM log").fetchone()[0]
    wanted = entries if size is None else size
    found = connection.execute("SELECT size, root, note FROM heads WHERE size = ?", (wanted,)).fetchone()
    if found:
        return Checkpoint(size=found[0], root=found[1], note=found[2])
    if size is not None:
        raise SoraError(f"the log has no head of {size} entries; it has {entries}")
    if connection.execute("SELECT 1 FROM heads LIMIT 1").fetchone() or entries:
        raise SoraError(_DAMAGED.format(f"{entries} entries have no head"))
    return Checkpoint(size=0, root=tree.EMPTY, note="")


def nodes(connection: sqlite3.Connection) -> tree.Node:
    """Return what reads the hash of a full subtree."""

    def node(level: int, place: int) -> bytes:
        found = connection.execute("SELECT hash FROM nodes WHERE level = ? AND place = ?", (level, place)).fetchone()
        if found is None:
            raise SoraError(_DAMAGED.format("a hash is missing"))
        return found[0]

    return node


def entries(
    connection: sqlite3.Connection, *, cameo: str | None = None, start: int = 0, newest: int | None = None
) -> Iterator[Entry]:
    """Yield entries in order, of one cameo or all, from a place on; ``newest`` gives only so many of the last."""
    if cameo is None:
        source, values = "log WHERE place >= ?", [start]
    else:
        source = "log JOIN mentions USING (place) WHERE place >= ? AND cameo = ?"
        values = [start, cameo]
    newest = -1 if newest is None else newest
    rows = connection.execute(
        f"SELECT * FROM (SELECT place, leaf FROM {source} ORDER BY place DESC LIMIT ?) ORDER BY place",
        (*values, newest),
    )
    for place, leaf in rows:
        yield Entry(place, leaf)


def audit(connection: sqlite3.Connection, did: str) -> Checkpoint:
    """Compute every hash again from the entries alone and check every head and signature; return the newest head.

    Raises:
        SoraError: anything was changed, cut off or put in.
    """
    level: dict[tuple[int, int], bytes] = {}

    def node(height: int, place: int) -> bytes:
        return level[height, place]

    signed = {row[0]: row[1:] for row in connection.execute("SELECT size, root, note FROM heads")}
    for at, entry in enumerate(entries(connection)):
        if entry.place != at:
            raise SoraError(_DAMAGED.format(f"entry {at} is missing"))
        for height, place, found in tree.completed(at, tree.leaf_hash(entry.leaf), node):
            level[height, place] = found
        size = at + 1
        root, note = signed.pop(size, (b"", ""))
        checkpoint = read_checkpoint(note, did)
        if (checkpoint.size, checkpoint.root, root) != (size, root, tree.root(0, size, node)):
            raise SoraError(_DAMAGED.format(f"entry {size - 1} is not the one that was signed"))
    kept = {(height, place): found for height, place, found in connection.execute("SELECT * FROM nodes")}
    if signed or kept != level:
        raise SoraError(_DAMAGED.format("heads or hashes are there that no entry leads to"))
    return head(connection)
