"""The local log of decisions: lines of JSON that are only ever added, and never hold a prompt."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..editing.lease import locked
from ..errors import SoraError
from .decision import Decision

FOLDER = "decisions"
"""Where the log usually lies, in the private folder."""

PREFIX, SUFFIX = "decisions-", ".jsonl"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600

LIMIT_BYTES, FILES = 4 << 20, 16
"""Of one file, and how many are kept (our decision: a hundred thousand decisions or so)."""


class DecisionLog:
    """Files of decisions in a folder, shared by any number of processes.

    A line is handed to the system in one piece, so a process that is killed leaves whole lines; what a full disk cut
    short is taken back. The system itself going down may lose the last lines.

    Args:
        folder: made if it is missing, for its owner alone.
        limit_bytes: from which size the next file is begun.
        files: how many are kept; the oldest go.

    Raises:
        SoraError: a limit below one, or a folder that cannot be made.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES, files: int = FILES) -> None:
        """Open the folder."""
        if limit_bytes < 1 or files < 1:
            raise SoraError(f"a log of {files} files of {limit_bytes} bytes can hold nothing; both must be 1 or more")
        self.folder, self.limit_bytes, self.files = folder, limit_bytes, files
        try:
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise SoraError(f"the log {folder} cannot be made: {error.strerror}; choose another folder") from error

    def append(self, decision: Decision, *, now: datetime | None = None) -> None:
        """Add a decision.

        Raises:
            SoraError: it cannot be written; nothing of it stays then.
        """
        time = (now or datetime.now(timezone.utc)).isoformat(timespec="milliseconds")
        line = json.dumps({"v": 1, "time": time, **decision.record()}, allow_nan=False, separators=(",", ":")) + "\n"
        try:
            with locked(self.folder):
                self._write(line.encode())
        except OSError as error:
            raise SoraError(
                f"the decision cannot be logged in {self.folder}: {error.strerror}; free space or choose another folder"
            ) from error

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what is kept, the oldest first; a line that was damaged is left out."""
        for path in self.paths():
            for line in path.read_bytes().split(b"\n"):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry

    def paths(self) -> list[Path]:
        """Return the files, the oldest first."""
        found = [path for path in self.folder.glob(f"{PREFIX}*{SUFFIX}") if _number(path) > 0]
        return sorted(found, key=_number)

    def _write(self, line: bytes) -> None:
        paths = self.paths()
        path = paths[-1] if paths else self._file(1)
        if paths and path.stat().st_size + len(line) > self.limit_bytes and path.stat().st_size:
            path = self._file(_number(path) + 1)
            for old in [*paths, path][: -self.files]:
                old.unlink(missing_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            size = os.fstat(handle).st_size
            if size and not _ends_line(handle, size):
                line = b"\n" + line
            written = -1
            try:
                written = os.write(handle, line)
            finally:
                if written != len(line):
                    os.ftruncate(handle, size)
            if written != len(line):
                raise OSError(28, "no space left on the device")
        finally:
            os.close(handle)

    def _file(self, number: int) -> Path:
        return self.folder / f"{PREFIX}{number:06d}{SUFFIX}"


def _ends_line(handle: int, size: int) -> bool:
    os.lseek(handle, size - 1, os.SEEK_SET)
    return os.read(handle, 1) == b"\n"


def _number(path: Path) -> int:
    digits = path.name[len(PREFIX) : -len(SUFFIX)]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
