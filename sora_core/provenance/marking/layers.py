"""Which marks a clip is to carry, and what its file's name says of those that it is to go without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import SoraError
from ...media.told_factor import LARGEST
from .endings import ending_for

if TYPE_CHECKING:
    from torch import Tensor

TEXT = "AI \u00b7 Sora Nodes"

SHORT_SIDE = 360
"""Pixels; below it a mark has too little room, so that smaller pictures are drawn larger; see docs/provenance.md."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layers:
    """Marks to put in, and the manifest to sign.

    Args:
        invisible: an id in picture and sound. manifest: a signed C2PA manifest. visible: a badge that moves.
        text: the badge's. logo: its picture, uint8 RGBA ``[h, w, 4]``, or None.
        badge_due: whether the badge is usual, as for who is lent by a cameo, so that its absence is told.
        scale: whole factor by which the picture is drawn larger first; 0 takes the least that reaches `SHORT_SIDE`.

    Raises:
        SoraError: a scale that cannot be, or a badge without text and logo.
    """

    invisible: bool = True
    manifest: bool = True
    visible: bool = False
    text: str = TEXT
    logo: Tensor | None = None
    badge_due: bool = False
    scale: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if not 0 <= self.scale <= LARGEST:
            raise SoraError(f"scale {self.scale} must be from 0 (as large as a mark needs) to {LARGEST}")
        if self.visible and not self.text.strip() and self.logo is None:
            raise SoraError(f'the badge has neither text nor logo; give it one, for example "{TEXT}"')

    @property
    def marked(self) -> bool:
        """Whether any mark goes into picture or sound."""
        return self.invisible or self.visible

    @property
    def ending(self) -> str:
        """What a file's name must end in, before its suffix."""
        return ending_for(
            invisible=self.invisible, visible=self.visible, manifest=self.manifest, badge_due=self.badge_due
        )

    def factor(self, width: int, height: int) -> int:
        """Return the factor for a picture; nothing is scaled where no mark goes in."""
        if not self.marked:
            return 1
        factor = self.scale or max(1, -(-SHORT_SIDE // min(width, height)))
        # codecs need even sides
        return factor + factor % 2 if factor > 1 and (width % 2 or height % 2) else factor


NO_MARKS = Layers(invisible=False, manifest=False)
