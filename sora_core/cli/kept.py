"""Finished shots that are kept from one run to the next: where, how much of them, and how they are cleared."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from ..editing.store import ShotStore
from .arguments import Container

LIMIT = "10G"

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?)(?:i?B)?", re.IGNORECASE)


def add_shots(parser: Container) -> None:
    """Add where finished shots are kept, and for how much of them there is room."""
    folder = str(shots_folder()).replace("%", "%%")
    parser.add_argument("--shots", type=Path, metavar="DIR", help=f"where (default {folder})")
    parser.add_argument(
        "--shots-limit", type=size_of, default=LIMIT, metavar="SIZE", help=f"of them all (default {LIMIT})"
    )
    parser.add_argument("--clear-shots", action="store_true", help="remove them all")


def shots_folder() -> Path:
    """Return the folder ``sora/shots`` among this user's caches."""
    home = Path.home()
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = home / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return caches / "sora" / "shots"


def open_shots(args: argparse.Namespace) -> ShotStore:
    """Return the store that the options of `add_shots` name."""
    return ShotStore(args.shots or shots_folder(), args.shots_limit)


def clear_shots(store: ShotStore) -> str:
    """Remove all shots; return a line that says how many and how much."""
    shots, size = store.clear()
    return f"{store.folder}: {shots} shots removed, {size:,} bytes"


def size_of(text: str) -> int:
    """Return the bytes of ``"10G"``, ``"500M"``."""
    if not (found := _SIZE.fullmatch(text.strip())):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write for example 500M or 10G")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
