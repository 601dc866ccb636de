"""The database of the ledger: one file that only its owner reads, and transactions that are whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import SoraError
from ..provenance.home import PRIVATE_FILE

WAIT_S = 20.0
"""How long one process waits for another's transaction, which takes a few milliseconds."""

SCHEMA_VERSION = 1

_FROZEN = ("log", "nodes", "heads")
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (place INTEGER PRIMARY KEY, leaf BLOB NOT NULL);
CREATE TABLE nodes (level INTEGER, place INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, place)) WITHOUT ROWID;
CREATE TABLE heads (size INTEGER PRIMARY KEY, root BLOB NOT NULL, note TEXT NOT NULL);
CREATE TABLE mentions (cameo TEXT, place INTEGER, PRIMARY KEY (cameo, place)) WITHOUT ROWID;
CREATE TABLE salts (place INTEGER PRIMARY KEY, salt BLOB NOT NULL);
CREATE TABLE cameos (id TEXT PRIMARY KEY, name TEXT, owner TEXT, revoked INTEGER DEFAULT 0, envelope BLOB);
CREATE TABLE vouches (card TEXT, by TEXT, kind TEXT, envelope BLOB, PRIMARY KEY (card, by, kind));
CREATE TABLE grants (hash TEXT PRIMARY KEY, cameo TEXT, owner TEXT, grantee TEXT, envelope BLOB);
CREATE INDEX grants_of_cameo ON grants (cameo);
CREATE INDEX grants_between ON grants (owner, grantee);
CREATE TABLE lists (owner TEXT PRIMARY KEY, counter INTEGER, envelope BLOB);
CREATE TABLE challenges (nonce TEXT PRIMARY KEY, name TEXT, issued INTEGER, used TEXT);
CREATE TABLE uses (id TEXT PRIMARY KEY, intent INTEGER, began INTEGER, state TEXT, lent BLOB);
CREATE TABLE counted (grant_hash TEXT, use TEXT, PRIMARY KEY (grant_hash, use)) WITHOUT ROWID;
CREATE TRIGGER log_in_order BEFORE INSERT ON log
WHEN NEW.place <> (SELECT COALESCE(MAX(place) + 1, 0) FROM log)
BEGIN SELECT RAISE(ABORT, 'the log grows at its end alone'); END;
""" + "".join(
    f"CREATE TRIGGER {table}_no_{act} BEFORE {act} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'the {table} of the ledger is never changed'); END;\n"
    for table in _FROZEN
    for act in ("UPDATE", "DELETE")
)


class Store:
    """The file. Each transaction has a connection of its own, so that threads and processes may share it.

    Args:
        path: made when it is not there, in a folder that is.
    """

    def __init__(self, path: Path) -> None:
        """Make the file and its tables if they are missing.

        Raises:
            SoraError: it cannot be made, or is no ledger of this version.
        """
        self.path = path
        try:
            # a file that sqlite makes has the mode that the process's mask leaves; -wal and -shm take the file's own
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), PRIVATE_FILE))
        except OSError as error:
            raise SoraError(f"the ledger {path} cannot be opened: {error.strerror}; choose another folder") from error
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            version = self._version(connection)
            if not version:
                with self._transaction(connection):
                    if not self._version(connection):
                        for statement in _statements(_SCHEMA):
                            connection.execute(statement)
                        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")
            elif version != SCHEMA_VERSION:
                raise SoraError(
                    f"the ledger {path} is of version {version} and this program knows {SCHEMA_VERSION}; update it"
                )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Have the ledger alone; what was written is kept if the block ends well, and else none of it.

        Raises:
            SoraError: the disk is full, the file is damaged, or others do not let go of it.
        """
        with self._open() as connection, self._transaction(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read one state of the ledger, whatever others write meanwhile.

        Raises:
            SoraError: the file is damaged.
        """
        with self._open() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA trusted_schema = OFF")
                yield connection
        except sqlite3.Error as error:
            raise SoraError(
                f"the ledger {self.path} cannot be used ({error}); make room on the disk or put back a whole copy, "
                "nothing was written"
            ) from error

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        finally:
            # sqlite itself rolls back when the disk is full
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one, for sqlite3's own way commits what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
