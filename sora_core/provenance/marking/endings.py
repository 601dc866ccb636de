"""What a file's name says of the marks that it goes without."""

from __future__ import annotations

UNMARKED = "_unmarked"


def ending_for(*, invisible: bool, visible: bool, manifest: bool) -> str:
    """Return what a name ends in, before its suffix: ``""`` where nothing that is usual was switched off."""
    if not (invisible or visible or manifest):
        return UNMARKED
    return ("" if invisible else "_no-invisible") + ("" if manifest else "_no-manifest")
