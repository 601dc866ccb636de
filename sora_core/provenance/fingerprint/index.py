"""The list of all clips that were marked here, to find one again by its mark, its picture or its sound."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SoraError
from ..marking.mark_id import ID_BITS
from .entry import Entry
from .match import Match
from .picture import CELLS_PER_S, PictureHash
from .scan import Shelf, packed_words
from .sound import SLOTS_PER_S, SoundHash

PRIVATE_FILE = 0o600
BUSY_S = 10.0
"""How long one process waits while another writes."""

CANDIDATES = 24
"""Entries that are compared as a whole after the first look."""
PICTURE_GROUPS, SOUND_GROUPS = 5, 2
SOUND_STEP = 2
"""Only each second slot of a sound is on the shelf; of the clip both the even and the odd ones are looked for."""
MOST_FOUND = 100
NOTHING = "x''"

_APPEND_ONLY = "an entry of the index is never changed"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT, mark_id BLOB NOT NULL UNIQUE CHECK (length(mark_id) = 8),
    short_id INTEGER NOT NULL, created_s REAL NOT NULL, title TEXT NOT NULL, badge_text TEXT NOT NULL,
    manifest_hash TEXT NOT NULL, picture BLOB NOT NULL, sound BLOB NOT NULL, layers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS words (number INTEGER PRIMARY KEY, picture BLOB NOT NULL CHECK (length(picture) % 16 = 0),
    sound BLOB NOT NULL CHECK (length(sound) % 16 = 0));
CREATE INDEX IF NOT EXISTS entry_short ON entry (short_id);
CREATE TRIGGER IF NOT EXISTS entry_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END;
CREATE TRIGGER IF NOT EXISTS entry_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END;
PRAGMA user_version = 1;
"""
_COLUMNS = "mark_id, short_id, created_s, title, badge_text, manifest_hash, picture, sound, layers"


@dataclass(frozen=True, kw_only=True)
class Found:
    """An entry that looks or sounds like a clip; None where one of the two has no picture or no sound."""

    entry: Entry
    picture: Match | None
    sound: Match | None

    @property
    def same(self) -> bool:
        """Say whether the picture or the sound is the same."""
        return any(match is not None and match.same for match in (self.picture, self.sound))


class Index:
    """A database that only the user can read, shared by any number of processes; entries are added and never changed.

    An entry is in it whole or not at all, also when the process is killed or the disk is full. The triggers that refuse
    changes guard against accidents, not against the user.

    Args:
        path: of the file; it is made if it is missing, its folder is not.

    Raises:
        SoraError: it cannot be made or read, or is something else.
    """

    def __init__(self, path: Path) -> None:
        """Open it."""
        self.path = path
        try:
            # the files that sqlite puts beside it get its permissions
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), PRIVATE_FILE))
            path.chmod(PRIVATE_FILE)
        except OSError as error:
            raise SoraError(
                f"the index {path} cannot be made or opened: {error.strerror}; name another, in a folder of yours"
            ) from error
        with self._connection() as database:
            database.execute("PRAGMA journal_mode = WAL")
            if database.execute("PRAGMA user_version").fetchone()[0] not in (0, 1):
                raise SoraError(f"the index {path} was made by a newer version; update this one")
            database.executescript(_SCHEMA)

    def __len__(self) -> int:
        """Return the number of entries."""
        with self._connection() as database:
            return int(database.execute("SELECT count(*) FROM entry").fetchone()[0])

    def add(self, entry: Entry) -> None:
        """Keep an entry.

        Raises:
            SoraError: the mark's id is in it already, a hash is none, or it cannot be written.
        """
        picture = packed_words(PictureHash.from_bytes(entry.picture).words()) if entry.picture else b""
        sound = packed_words(SoundHash.from_bytes(entry.sound).words()[::SOUND_STEP]) if entry.sound else b""
        values = (
            _key(entry.mark_id),
            entry.short_id,
            entry.created_s,
            entry.title,
            entry.badge_text,
            entry.manifest_hash,
            entry.picture,
            entry.sound,
            entry.layers_json(),
        )
        with self._connection() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                done = database.execute(f"INSERT INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            except sqlite3.IntegrityError as error:
                raise SoraError(
                    f"a clip with the mark {entry.mark_id:016x} is in the index already; draw another id for this one"
                ) from error
            database.execute("INSERT INTO words VALUES (?, ?, ?)", (done.lastrowid, picture, sound))
            database.execute("COMMIT")

    def by_mark(self, mark_id: int) -> Entry | None:
        """Return the entry of a mark, or None.

        Raises:
            SoraError: the index cannot be read.
        """
        if not 0 <= mark_id < 1 << ID_BITS:
            return None
        found = self._entries("WHERE mark_id = ?", (_key(mark_id),))
        return found[0] if found else None

    def by_short(self, short_id: int) -> tuple[Entry, ...]:
        """Return the entries whose sound carries an id, the oldest first: mostly one, but 32 bits can meet by chance.

        Raises:
            SoraError: the index cannot be read.
        """
        if not 0 <= short_id < 1 << 32:
            return ()
        return self._entries("WHERE short_id = ? ORDER BY number LIMIT ?", (short_id, MOST_FOUND))

    def find(self, picture: PictureHash | None, sound: SoundHash | None, limit: int = 5) -> tuple[Found, ...]:
        """Return the entries that look or sound most like a clip, the most alike first.

        An entry that is much shorter than the clip can be missed: five places of the picture are looked for, and two of
        the sound.

        Args:
            picture: of the clip, or None.
            sound: of the clip, or None.
            limit: how many, 1 to 100.

        Raises:
            SoraError: the index cannot be read, or a limit outside of it.
        """
        if not 1 <= limit <= MOST_FOUND:
            raise SoraError(f"the limit of {limit} entries must be from 1 to {MOST_FOUND}")
        # one snapshot, so that the number of a slot means the same in both looks
        with self._connection() as database:
            database.execute("BEGIN")
            columns = f"{'picture' if picture else NOTHING}, {'sound' if sound else NOTHING}"
            rows = database.execute(f"SELECT number, {columns} FROM words ORDER BY number").fetchall()
            numbers = {rows[i][0] for i in _candidates(rows, picture, sound)}
            marks = ", ".join("?" * len(numbers))
            where = f"WHERE number IN ({marks})"
            entries = [_entry(row) for row in database.execute(f"SELECT {_COLUMNS} FROM entry {where}", tuple(numbers))]
        found = [Found(entry=entry, picture=_seen(picture, entry), sound=_heard(sound, entry)) for entry in entries]
        return tuple(sorted(found, key=_rank)[:limit])

    def _entries(self, where: str, values: tuple[object, ...]) -> tuple[Entry, ...]:
        with self._connection() as database:
            return tuple(_entry(row) for row in database.execute(f"SELECT {_COLUMNS} FROM entry {where}", values))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one task; what was not committed is undone."""
        try:
            with closing(self._open()) as database:
                yield database
        except sqlite3.Error as error:
            raise SoraError(
                f"the index {self.path} cannot be read or written ({error}); free some space, "
                "or move the file away if it is damaged"
            ) from error

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        # with FULL, what was committed stays after the power fails, also in WAL mode
        database.execute("PRAGMA synchronous = FULL")
        return database


def _key(mark_id: int) -> bytes:
    """Return the id as bytes: SQLite's whole numbers end at 63 bits."""
    return mark_id.to_bytes(ID_BITS // 8, "big")


def _entry(row: Sequence[object]) -> Entry:
    try:
        values: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
        values["mark_id"] = int.from_bytes(values["mark_id"], "big")
        values["layers"] = json.loads(values["layers"])
        return Entry(**values)
    except (TypeError, ValueError) as error:
        raise SoraError("the index is damaged; move its file away") from error


def _candidates(
    rows: Sequence[tuple[int, bytes, bytes]], picture: PictureHash | None, sound: SoundHash | None
) -> set[int]:
    """Return which rows are worth a whole comparison."""
    near: list[tuple[float, int]] = []
    if picture is not None and picture.slots:
        shelf = Shelf.of([row[1] for row in rows])
        for query in (picture, picture.flipped()):
            near += shelf.nearest(query.words(), CELLS_PER_S, groups=PICTURE_GROUPS, most=CANDIDATES)
    heard: list[tuple[float, int]] = []
    if sound is not None and sound.slots:
        shelf = Shelf.of([row[2] for row in rows])
        for first in range(SOUND_STEP):
            query = sound.words()[first::SOUND_STEP]
            heard += shelf.nearest(query, SLOTS_PER_S // SOUND_STEP, groups=SOUND_GROUPS, most=CANDIDATES)
    return {i for _, i in sorted(near)[:CANDIDATES] + sorted(heard)[:CANDIDATES]}


def _seen(picture: PictureHash | None, entry: Entry) -> Match | None:
    return PictureHash.from_bytes(entry.picture).match(picture) if picture is not None and entry.picture else None


def _heard(sound: SoundHash | None, entry: Entry) -> Match | None:
    return SoundHash.from_bytes(entry.sound).match(sound) if sound is not None and entry.sound else None


def _rank(found: Found) -> tuple[int, float]:
    order = {"same": 0, "alike": 1, "unclear": 2, "different": 2}
    matches = [match for match in (found.picture, found.sound) if match is not None]
    return min((order[m.verdict], m.cost + m.detail_cost) for m in matches)
