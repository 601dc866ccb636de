"""What a running process says of itself in a shared folder: that it lives, and which entries it uses."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

RUN_SUFFIX = ".run"
LOCK_NAME = ".lock"

_FAR = 1 << 30
"""Byte that is locked on Windows, where a locked byte cannot be read: past all that is written."""


class Lease:
    """A hidden file that is locked as long as its process lives, and lists the keys that it uses.

    The system takes the lock back when the process ends, however it ends, so a lease that can be locked is a dead one.
    Everything here but `end` is done while the folder is `locked`.

    Args:
        folder: exists and can be written.
    """

    def __init__(self, folder: Path) -> None:
        """Write and lock it."""
        self.token = secrets.token_hex(8)
        self._process = os.getpid()
        self._path = folder / f".{self.token}{RUN_SUFFIX}"
        self._file = self._path.open("x+b", buffering=0)
        with suppress(OSError):
            _try_lock(self._file)

    def use(self, key: str) -> None:
        """Say that a key is used from now on."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(f"{key}\n".encode())

    def forget(self) -> None:
        """Say that no key is used any more."""
        self._file.truncate(0)

    def end(self) -> None:
        """Take the lease back, unless this process only inherited it."""
        if not self._file.closed and os.getpid() == self._process:
            self._file.close()
            self._path.unlink(missing_ok=True)


def living(folder: Path) -> dict[str, set[str]]:
    """Return the keys that each living process uses, by its lease's token; leases of dead ones are removed."""
    found: dict[str, set[str]] = {}
    for path in folder.glob(f".*{RUN_SUFFIX}"):
        try:
            with path.open("r+b") as file:
                dead = _try_lock(file)
            if dead:
                path.unlink()
                continue
            keys = path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            continue
        except OSError:
            keys = []  # locks are unknown here: it may live, so what it writes is spared
        found[path.name[1 : -len(RUN_SUFFIX)]] = set(keys)
    return found


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the folder alone, among processes and threads; as far as its file system knows locks."""
    with (folder / LOCK_NAME).open("a+b") as file:
        with suppress(OSError):
            while not _try_lock(file):
                time.sleep(0.002)
        yield


def _try_lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another one has it.

    Raises:
        OSError: the file system knows no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
