"""By which whole factor a file's picture was drawn larger than it was made."""

from __future__ import annotations

from collections.abc import Mapping

SCALE_TAG = "sora_scale"
"""The tag in which a file keeps its factor, so that it is edited at its own size."""

LARGEST = 32


def told_factor(tags: Mapping[str, str], width: int, height: int) -> int:
    """Return the factor that a file tells of itself; 1 where it tells none, or one that cannot be."""
    text = tags.get(SCALE_TAG, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        return 1
    factor = int(text)
    fits = 1 <= factor <= LARGEST and not width % factor and not height % factor
    return factor if fits else 1
