"""Files that are either there in full or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SoraError

STEM = 40


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
