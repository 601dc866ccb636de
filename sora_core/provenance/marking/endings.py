"""What a file's name says of the marks that it goes without."""

from __future__ import annotations

UNMARKED = "_unmarked"


def ending_for(*, invisible: bool, visible: bool, manifest: bool, badge_due: bool = False) -> str:
    """Return what a name ends in, before its suffix: ``""`` where nothing that is usual was switched off.

    Args:
        invisible, visible, manifest: layers that are on. badge_due: whether the badge is usual, as for a cameo.
    """
    if not (invisible or visible or manifest):
        return UNMARKED
    missing = {"_no-invisible": not invisible, "_no-badge": badge_due and not visible, "_no-manifest": not manifest}
    return "".join(name for name, missed in missing.items() if missed)
