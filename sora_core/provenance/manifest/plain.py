"""Strings of strangers made harmless: manifests and certificates are written by whoever likes to."""

from __future__ import annotations

import unicodedata

LIMIT = 200
"""Characters of a title or a name that are shown."""

MARKS_IN_A_ROW = 3
"""Combining marks that a character may carry; more of them run over the lines above and below."""


def plain(text: object, limit: int = LIMIT) -> str:
    """Return one line of visible text: no control characters, no turning of the reading direction, not too long.

    Whatever is no string gives "". Markup stays as it is: it is text, and who puts it into a page escapes it.
    """
    if not isinstance(text, str):
        return ""
    kept: list[str] = []
    marks = 0
    # four times as many are looked at as are shown, so that a gigabyte of invisible ones costs nothing
    for character in text[: 4 * limit]:
        kind = unicodedata.category(character)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if kind in ("Cf", "Cs", "Co", "Cn") or marks > MARKS_IN_A_ROW:
            continue
        kept.append(" " if kind in ("Cc", "Zl", "Zp", "Zs") else character)
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit and len(text) <= 4 * limit else line[: limit - 3] + "..."
