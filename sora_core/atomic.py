"""Files that are either there in full or not there at all."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import SoraError

STEM = 40

QUIET_S = 60
"""Seconds that a left-over file must not have changed: another machine may be writing into the same folder."""

_LEFT = re.compile(r"\.+.{0,300}\.(\d{1,10})\.(?:[0-9a-f]{4,16}\.)?part(?:\.\w{1,8}){1,2}")


@contextmanager
def replacing(path: Path, *, fresh: bool = False) -> Iterator[Path]:
    """Yield a hidden file name beside ``path`` to write to, and move it there when the block ends well.

    On any exception, an interrupt included, the hidden file is removed and what was at ``path`` stays as it was.

    Args:
        path: of the finished file.
        fresh: never replace what is there by then, even if another process was quicker.

    Raises:
        FileExistsError: it is there, and ``fresh`` was asked for.
        SoraError: the folder does not exist or cannot be written.
    """
    # the suffix stays last, for writers choose the format by it; the stem is cut, for names have a longest length
    hidden = path.with_name(f".{path.stem[:STEM]}.{os.getpid()}.part{path.suffix}")
    try:
        yield hidden
        if fresh:
            _place(hidden, path)
        else:
            hidden.replace(path)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        if fresh and isinstance(error, FileExistsError):
            raise
        raise SoraError(f"{path} cannot be written: {error.strerror or error}; choose another folder") from error
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise


def _place(hidden: Path, path: Path) -> None:
    """Move a file to a name that is free."""
    try:
        # a link, unlike a rename, never replaces
        os.link(hidden, path)
    except FileExistsError:
        raise
    except OSError:
        # file systems without links: a name is taken first, and then replaced
        path.touch(exist_ok=False)
        hidden.replace(path)
    else:
        hidden.unlink()


def sweep(folder: Path) -> int:
    """Remove hidden files that killed processes left in a folder, and return how many."""
    removed = 0
    with suppress(OSError):
        for path in folder.glob(".*.part*"):
            found = _LEFT.fullmatch(path.name)
            with suppress(OSError):
                quiet = time.time() - path.stat().st_mtime > QUIET_S
                if found and quiet and not _lives(int(found[1])):
                    path.unlink()
                    removed += 1
    return removed


def _lives(process: int) -> bool:
    """Say whether a process of that number may be running."""
    if os.name != "posix":
        # there, asking a process in this way would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
