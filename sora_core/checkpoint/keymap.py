"""Old tensor names and what they are called now: data only, so that files written by older versions still load."""

from __future__ import annotations

RENAMES: tuple[tuple[str, str], ...] = ()
"""``(old, new)`` beginnings of names, part included (``"dit.block_"``, ``"dit.blocks."``); the first that fits counts.

A rename is added here in the same change that renames the module, and is never taken out."""


def current_name(name: str) -> str:
    """Return the name that this version uses for a tensor of a file."""
    for old, new in RENAMES:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
