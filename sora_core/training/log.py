"""A training run's record: one JSON line per event, and one line on stderr for whoever watches."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


class RunLog:
    """Append events to a JSONL file and show each on stderr.

    Args:
        path: the file; its folder is made, an existing file is continued.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def write(self, **values: float | int | str) -> None:
        """Record one event; ``time`` (seconds since the epoch) is added to the file."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(time.time(), 1), **values}) + "\n")
        shown = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        # a progress bar may stand on the line
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        sys.stderr.write(start + "  ".join(shown) + "\n")
        sys.stderr.flush()
