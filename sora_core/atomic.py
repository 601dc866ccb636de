"""Files that are either there in full or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SoraError

STEM = 40


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden file name beside ``path`` to write to, and move it there when the block ends well.

    On any exception, an interrupt included, the hidden file is removed and what was at ``path`` stays as it was.

    Raises:
        SoraError: the folder does not exist or cannot be written.
    """
    # the suffix stays last, for writers choose the format by it; the stem is cut, for names have a longest length
    hidden = path.with_name(f".{path.stem[:STEM]}.{os.getpid()}.part{path.suffix}")
    try:
        yield hidden
        hidden.replace(path)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise SoraError(f"{path} cannot be written: {error.strerror or error}; choose another folder") from error
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
