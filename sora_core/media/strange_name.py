"""Names that come out of a stranger's workflow: turned into a file inside one folder, or refused."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from ..errors import SoraError

LONGEST_PART, LONGEST_NAME = 120, 400
"""Characters of a part and of all."""

LONGEST_BYTES = 240
"""Of a part in UTF-8; file systems take 255, and a number and a suffix follow."""

RESERVED = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | frozenset(
    f"{kind}{digit}" for kind in ("com", "lpt") for digit in "0123456789\u00b9\u00b2\u00b3"
)
"""Names that are devices on Windows, with any suffix."""

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of signs that do not show: control, direction, halves of pairs, line ends."""

_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')


def file_inside(folder: Path, name: str) -> Path:
    """Return the file that a name with folders in it, ``"video/ball"``, stands for within a folder.

    The rules are the same on every system, so that a workflow which runs here does not write elsewhere there. Both
    slashes part folders. Links inside the folder are followed and must not lead out of it.

    Args:
        folder: where it has to lie. name: a relative path without ``..``, as it was typed.

    Raises:
        SoraError: it names nothing, or something outside the folder, or what some system takes for a device.
    """
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:80])
    if len(name) > LONGEST_NAME:
        raise SoraError(f"the file name {shown!r}... has {len(name)} characters; give at most {LONGEST_NAME}")
    parts = re.split(r"[/\\]", unicodedata.normalize("NFC", name))
    for part in parts:
        if (wrong := _wrong(part)) is not None:
            raise SoraError(f"the file name {shown!r} {wrong}; give a plain name, for example 'video/ball'")
    target = folder.joinpath(*parts)
    # links are followed to where they really lead, the name itself included
    base, real = os.path.realpath(folder), os.path.realpath(target)
    if os.path.commonpath([base, real]) != base or real == base:
        raise SoraError(f"the file name {shown!r} leads out of the folder it belongs to; give a plain name")
    return target


def _wrong(part: str) -> str | None:
    """Say what is wrong with a part of a name."""
    device = part.split(".", maxsplit=1)[0].rstrip().lower() in RESERVED
    hidden = any(unicodedata.category(letter) in UNSEEN for letter in part)
    too_long = len(part.encode("utf-8", "replace")) > LONGEST_BYTES
    found = {
        "has an empty part, or begins or ends with a slash": part in ("", "."),
        "climbs out of its folder with dots": bool(part) and not part.strip(". "),
        "holds a sign that no file name may hold": hidden or _FORBIDDEN.search(part) is not None,
        "has a part that begins with a space, or ends with a space or a dot": part != part.lstrip(" ").rstrip(" ."),
        "has a part that begins with ~ or -": part.startswith(("~", "-")),
        "has the name of a device": device,
        f"has a part of more than {LONGEST_PART} characters": len(part) > LONGEST_PART or too_long,
    }
    return next((words for words, wrong in found.items() if wrong), None)
