"""What is found out about a file: which layers are there, whether they hold and agree, and since which second not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .marking.reading import State


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The layers of a file beside each other.

    Args:
        manifest: trusted (by a signer that this machine trusts), intact (signer not known here), broken, absent or
            unreadable.
        visible, invisible, audio: the badge, the id in the picture, the id in the sound.
        broken_at_s: seconds at which a stretch begins that lacks a mark which the rest carries.
        ingredients: what it was made from, each with title, relationship, state and its own ingredients.
        reasons: sentences, the gravest first.
        broken: whether anything that is there does not hold.
        details: mark_id and short_id (hexadecimal), signer, title, scores and whatever else a reader may want.
    """

    manifest: str
    visible: State
    invisible: State
    audio: State
    broken_at_s: tuple[float, ...] = ()
    ingredients: tuple[Mapping[str, Any], ...] = ()
    reasons: tuple[str, ...] = ()
    broken: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "manifest": self.manifest,
            "visible": self.visible,
            "invisible": self.invisible,
            "audio": self.audio,
            "broken_at_s": list(self.broken_at_s),
            "ingredients": [dict(one) for one in self.ingredients],
            "reasons": list(self.reasons),
            "broken": self.broken,
            "details": dict(self.details),
        }
