"""One use of cameos in one clip: asked for, allowed or refused, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SoraError
from ..provenance.manifest.generation import CameoUse
from .card import SCOPES, Subject
from .checkpoint import Checkpoint
from .fields import shown
from .grant import Level
from .words import REASONS

MOST_CAMEOS = 2
"""In one scene."""

LONGEST_USE = 24 * 3600
"""Seconds after which a use that was begun gives no likeness and saves nothing any more."""


class Refusal(SoraError):  # noqa: N818  it is what the log calls it
    """A use that the rules do not allow.

    reason: a key of `words.REASONS`. place: of the entry in the log, or None where nothing could be logged.
    """

    def __init__(self, reason: str, name: str, detail: str = "", place: int | None = None) -> None:
        super().__init__(REASONS[reason].format(name=shown(name), detail=detail))
        self.reason = reason
        self.place = place


@dataclass(frozen=True)
class Fault:
    """Why a use is not allowed, before it is logged. reason: a key of `words.REASONS`."""

    reason: str
    name: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A cameo that is wanted. cameo: its name, or its id of 32 hex digits. scopes: "face", "voice" or both."""

    cameo: str
    scopes: tuple[str, ...] = ("face",)

    def __post_init__(self) -> None:
        """Refuse scopes that there are not."""
        if not self.scopes or set(self.scopes) - set(SCOPES):
            raise SoraError(f"{shown(list(self.scopes))} is not what a cameo can be used for; name face, voice or both")


@dataclass(frozen=True, kw_only=True)
class Lent:
    """A cameo as it was allowed. grant: hash. The rest as in `Card` and `Grant`."""

    cameo: str
    name: str
    owner: str
    subject: Subject
    grant: str
    level: Level
    scopes: tuple[str, ...]

    def entry(self) -> dict[str, Any]:
        """Return what the log says of it."""
        return {"cameo": self.cameo, "owner": self.owner, "grant": self.grant, "scopes": list(self.scopes)}


@dataclass(frozen=True, kw_only=True)
class Use:
    """A use that was allowed and begun.

    id: 32 hex digits, random. lent: one or two. index: of the intent in the log. head: signed after it. holder: the
    key whose log it is. prompt_hash: HMAC-SHA256 of the prompt under a salt that stays in the ledger. time: Unix s.
    """

    id: str
    lent: tuple[Lent, ...]
    index: int
    head: Checkpoint
    holder: str
    prompt_hash: str
    time: int

    def claims(self) -> tuple[CameoUse, ...]:
        """Return what the record of how a clip was made says of it, one for each cameo."""
        head = self.head.root.hex()
        return tuple(CameoUse(grant_sha256=each.grant, log_head=head, log_index=self.index) for each in self.lent)

    def record(self) -> dict[str, Any]:
        """Return what a manifest says of it, under ``org.soranodes.cameo``: JSON without any name or prompt."""
        return {
            "v": 1,
            "log": self.holder,
            "index": self.index,
            "size": self.head.size,
            "head": self.head.root.hex(),
            "cameos": [lent.entry() for lent in self.lent],
        }


def merged(asks: Sequence[Ask]) -> tuple[Ask, ...]:
    """Return what is asked for, each cameo once.

    Raises:
        SoraError: none, or more than two in a scene.
    """
    scopes: dict[str, set[str]] = {}
    for ask in asks:
        scopes.setdefault(ask.cameo, set()).update(ask.scopes)
    if not 1 <= len(scopes) <= MOST_CAMEOS:
        raise SoraError(f"{len(scopes)} cameos in one scene; there are 1 or {MOST_CAMEOS}, leave the others out")
    return tuple(Ask(cameo=cameo, scopes=tuple(sorted(each))) for cameo, each in scopes.items())
