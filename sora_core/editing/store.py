"""Finished shots on disk, each under a key of everything that decided it, so that no shot is made twice."""

from __future__ import annotations

import itertools
import os
import re
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ..errors import SoraError
from .content import content_key, file_digest
from .lease import Lease, living, locked

DIGEST = 32
"""Hex digits of a file's own hash in its name: enough against accidents."""

_KEY = re.compile(r"[0-9a-f]{64}")
_ENTRY = re.compile(rf"({_KEY.pattern})-([0-9a-f]{{{DIGEST}}})\.\w+")
_UNFINISHED = re.compile(r"\.+([0-9a-f]{16})\..*\.part\.\w+")


class _Entry(NamedTuple):
    """A finished shot. used: nanoseconds since the epoch."""

    path: Path
    key: str
    digest: str
    size: int
    used: int


class ShotStore:
    """A folder of shots, shared by any number of processes.

    A shot appears whole or not at all: it is written under a hidden name, forced to disk and renamed, and its name
    holds its hash, so that one that was damaged later is dropped instead of served. What a killed process left is swept
    by the next store that opens the folder. Above the limit the shots go that were not used for longest; one that this
    or another living store has handed out stays, so the folder may be larger while they run.

    Args:
        folder: made if it is missing.
        limit_bytes: of all finished shots together.
        suffix: of the shots' names, for writers that choose the format by it.

    Raises:
        SoraError: a negative limit, or a folder that cannot be written.
    """

    def __init__(self, folder: Path, limit_bytes: int, suffix: str = ".mov") -> None:
        """Open the folder, and sweep it."""
        if limit_bytes < 0:
            raise SoraError(f"the shots' limit of {limit_bytes} bytes must be 0 or more, for example {4 << 30}")
        self.folder, self.limit_bytes, self.suffix = folder, limit_bytes, suffix
        self._count = itertools.count()
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                self._lease = Lease(folder)
                self.close = weakref.finalize(self, self._lease.end)
                self._sweep()
                self._evict()

    def __enter__(self) -> ShotStore:
        """Use it as a block, after which its shots may go."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @staticmethod
    def key_of(values: Mapping[str, object]) -> str:
        """Return the key of a shot from everything that decides it; see `content_key`."""
        return content_key(values)

    def get(self, key: str) -> Path | None:
        """Return a shot's file, or None where there is none that is whole.

        The file stays until this store is closed, and counts as used now.

        Raises:
            SoraError: the key is none, or the folder cannot be read.
        """
        self._check(key)
        with self._writing():
            with locked(self.folder):
                self._lease.use(key)
            for entry in self._entries(key):
                with suppress(FileNotFoundError):
                    if file_digest(entry.path)[:DIGEST] == entry.digest:
                        _touch(entry.path)
                        return entry.path
                    entry.path.unlink()
        return None

    def put(self, key: str, write: Callable[[Path], None]) -> Path:
        """Make a shot and keep it.

        Args:
            key: from `key_of`.
            write: writes the file at the path that it is given.

        Returns:
            The finished file, which stays until this store is closed.

        Raises:
            SoraError: the key is none, or the folder cannot be written. What ``write`` raises is passed on.
        """
        self._check(key)
        hidden = self.folder / f".{self._lease.token}.{next(self._count)}.part{self.suffix}"
        try:
            write(hidden)
            with self._writing():
                return self._keep(key, hidden)
        finally:
            hidden.unlink(missing_ok=True)

    def size(self) -> tuple[int, int]:
        """Return the number of shots and their bytes."""
        entries = list(self._entries())
        return len(entries), sum(entry.size for entry in entries)

    def clear(self) -> tuple[int, int]:
        """Remove all shots but those that another living store has handed out; return their number and bytes."""
        with self._writing(), locked(self.folder):
            self._lease.forget()
            self._sweep()
            return self._remove(list(self._entries()), self._used())

    def _keep(self, key: str, hidden: Path) -> Path:
        """Give a finished file its name."""
        with hidden.open("r+b") as file:
            os.fsync(file.fileno())
        path = self.folder / f"{key}-{file_digest(hidden)[:DIGEST]}{self.suffix}"
        _touch(hidden)
        with locked(self.folder):
            others = self._used(others=True)
            self._remove([entry for entry in self._entries(key) if entry.path != path], others)
            self._lease.use(key)
            _rename(hidden, path)
            _sync_folder(self.folder)
            self._evict()
        return path

    def _entries(self, key: str = "") -> Iterator[_Entry]:
        """Yield the finished shots, of one key or all."""
        for path in self.folder.glob(f"{key}*"):
            if found := _ENTRY.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    yield _Entry(path, found[1], found[2], status.st_size, status.st_mtime_ns)

    def _used(self, *, others: bool = False) -> set[str]:
        """Return the keys that living stores have handed out; ``others`` leaves this one's away."""
        users = living(self.folder)
        return set().union(*(keys for token, keys in users.items() if not others or token != self._lease.token))

    def _evict(self) -> None:
        """Remove what was not used for longest until the rest is within the limit."""
        entries = sorted(self._entries(), key=lambda entry: entry.used)
        over = sum(entry.size for entry in entries) - self.limit_bytes
        if over <= 0:
            return
        used = self._used()
        for entry in entries:
            if over <= 0:
                return
            over -= self._remove([entry], used)[1]

    def _remove(self, entries: list[_Entry], spared: set[str]) -> tuple[int, int]:
        """Remove shots unless their key is spared; return how many went and their bytes."""
        shots = freed = 0
        for entry in entries:
            if entry.key in spared:
                continue
            # a file that is open cannot be removed on Windows
            with suppress(FileNotFoundError, PermissionError):
                entry.path.unlink()
                shots, freed = shots + 1, freed + entry.size
        return shots, freed

    def _sweep(self) -> None:
        """Remove the unfinished files of stores that no longer live."""
        users = living(self.folder)
        for path in self.folder.glob(".*"):
            if (found := _UNFINISHED.fullmatch(path.name)) and found[1] not in users:
                path.unlink(missing_ok=True)

    def _check(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise SoraError(f"{key!r:.80} is no key of a shot; a key is 64 hex digits from key_of")
        assert self.close.alive, "the store was closed"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise SoraError(f"shots cannot be kept in {self.folder} ({reason}); choose another folder") from error


def _touch(path: Path) -> None:
    """Say that a shot is used now; to the nanosecond, which the file system's own clock is not."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _rename(hidden: Path, path: Path) -> None:
    try:
        hidden.replace(path)
    except PermissionError:
        # a file that is open cannot be replaced on Windows; its name says that it holds the same
        if not path.is_file():
            raise


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk, where folders can be opened for it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
