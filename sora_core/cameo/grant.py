"""Permission to use a cameo: who, what of it, how often, until when; signed by the owner of the cameo."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import SoraError
from .canonical import digest
from .card import SCOPES, Card
from .envelope import VERSION, read_envelope
from .fields import DID, HASH, HEX_ID, Check, exactly, listed, matches, one_of, optional, shown, text, whole
from .fields import did as checked_did
from .owner_key import OwnerKey

Level = Literal["only_me", "approved", "mutuals", "everyone"]
LEVELS: tuple[Level, ...] = ("only_me", "approved", "mutuals", "everyone")

EVERYONE = "everyone"
"""What stands for the grantee's key where anybody may use the cameo."""

MAX_DENIED, DENIED_LETTERS = 50, 60
MAX_USES = 1_000_000
DAY = 86_400
LONGEST = 366 * DAY
"""Longest time that a grant to others holds (our decision: consent is asked for again each year)."""
OWN = 100 * 366 * DAY

_SCHEMA: Mapping[str, Check] = {
    "v": one_of(VERSION),
    "type": one_of("grant"),
    "cameo": matches(HEX_ID),
    "card": matches(HASH),
    "owner": matches(DID),
    "grantee": lambda value: value == EVERYONE or matches(DID)(value),
    "level": one_of(*LEVELS),
    "scopes": listed(lambda value: value in SCOPES, 1, 2),
    "deny": listed(lambda value: text(DENIED_LETTERS)(value) and any(map(str.isalnum, value)), 0, MAX_DENIED),
    "max_uses": optional(whole(1, MAX_USES)),
    "not_before": whole(0),
    "not_after": whole(0),
    "nonce": matches(HEX_ID),
    "policy": optional(matches(HASH)),
    "delegation": one_of(False),
}


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A checked grant.

    level: what it asks of who uses it:
        only_me   the owner's key, on the owner's machine; made with the cameo, no limits.
        approved  the one key named.
        mutuals   the one key named, as long as it has itself lent one of its cameos to the owner: at each use there
                  must be a live grant (dates, uses, fresh list) by the grantee that names the owner's key.
        everyone  whoever has the grant and the owner's fresh revocation list.
    grantee: a ``did:key``, or "everyone". scopes: "face", "voice". deny: words and moderation tags that refuse a use.
    max_uses: counted by the grantee's own ledger; None for no limit. not_before, not_after: Unix seconds, both
    included. policy: SHA-256 of the moderation policy that must be in force, or None for any. Nobody can pass a grant
    on. hash: SHA-256 of the body. envelope: as signed.
    """

    cameo: str
    card: str
    owner: str
    grantee: str
    level: Level
    scopes: tuple[str, ...]
    deny: tuple[str, ...]
    max_uses: int | None
    not_before: int
    not_after: int
    nonce: str
    policy: str | None
    hash: str
    envelope: dict[str, Any] = field(repr=False)


def sign_grant(
    key: OwnerKey,
    card: Card,
    *,
    level: str,
    grantee: str,
    scopes: Sequence[str],
    not_before: int,
    not_after: int,
    deny: Sequence[str] = (),
    max_uses: int | None = None,
    policy: str | None = None,
) -> Grant:
    """Return a signed grant.

    Raises:
        SoraError: the cameo is another's, or a value is outside what `Grant` allows.
    """
    if card.owner != key.did:
        raise SoraError(f"the cameo {card.name} belongs to another key, and what was lent cannot be lent on")
    if missing := sorted(set(scopes) - set(card.scopes)):
        raise SoraError(f"the cameo {card.name} holds no {shown(missing[0])}; it holds {' and '.join(card.scopes)}")
    body = {
        "v": VERSION,
        "type": "grant",
        "cameo": card.cameo,
        "card": card.hash,
        "owner": key.did,
        "grantee": grantee if grantee == EVERYONE else checked_did(grantee),
        "level": level,
        "scopes": sorted(set(scopes)),
        "deny": sorted({unicodedata.normalize("NFC", each.strip()) for each in deny}),
        "max_uses": max_uses,
        "not_before": not_before,
        "not_after": not_after,
        "nonce": secrets.token_hex(16),
        "policy": policy,
        "delegation": False,
    }
    exactly(body, _SCHEMA, "the grant")
    return read_grant(key.sign(body))


def read_grant(envelope: Any) -> Grant:  # noqa: ANN401
    """Return a grant after all of it was checked.

    Raises:
        SoraError: it is malformed, not signed by the owner it names, or contradicts itself.
    """
    body = read_envelope(envelope, schema=_SCHEMA, signer="owner", what="the grant")
    own, longest = body["level"] == "only_me", OWN if body["level"] == "only_me" else LONGEST
    if own != (body["grantee"] == body["owner"]) or (body["level"] == "everyone") != (body["grantee"] == EVERYONE):
        raise SoraError(
            f"a grant of level {body['level']} cannot name {body['grantee']:.60}; only_me names the owner, approved "
            "and mutuals another key, everyone nobody"
        )
    if not 0 <= body["not_after"] - body["not_before"] <= longest:
        days = (body["not_after"] - body["not_before"]) / DAY
        raise SoraError(f"a grant cannot hold for {days:g} days; it holds for 0 to {longest // DAY}")
    kept = {key: body[key] for key in _SCHEMA if key not in ("v", "type", "delegation")}
    kept |= {"scopes": tuple(body["scopes"]), "deny": tuple(body["deny"])}
    return Grant(**kept, hash=digest(body), envelope=envelope)
