"""Lending a cameo, taking it back, and saying that nothing more was taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import SoraError
from . import records
from .card import Card
from .fields import shown
from .grant import EVERYONE, LEVELS, OWN, Grant, sign_grant
from .owner_key import OwnerKey
from .revocation import FRESH, Revocations, sign_revocations

if TYPE_CHECKING:
    from .ledger import Ledger


class Wish(NamedTuple):
    """What is to be lent, as in `Ledger.grant`. seconds: how long it holds."""

    level: str
    grantee: str | None
    scopes: Sequence[str] | None
    deny: tuple[str, ...]
    max_uses: int | None
    not_before: int | None
    seconds: int
    policy: str | None


def own_grant(key: OwnerKey, card: Card, now: int) -> Grant:
    """Return the grant of an owner to itself."""
    return sign_grant(
        key, card, level="only_me", grantee=key.did, scopes=card.scopes, not_before=now, not_after=now + OWN
    )


def lend(connection: sqlite3.Connection, ledger: Ledger, name: str, wish: Wish, now: int) -> Grant:
    """Sign a grant, keep it, and sign a fresh list with it."""
    card = _own(connection, ledger, name)
    if wish.level not in LEVELS[1:]:
        raise SoraError(f"{shown(wish.level)} is no level to lend at; name {', '.join(LEVELS[1:])}")
    if (wish.level == EVERYONE) != (wish.grantee is None):
        named = "names nobody" if wish.level == EVERYONE else "needs the key of who it is for"
        raise SoraError(f"a grant of level {wish.level} {named}; change one of them")
    begins = now if wish.not_before is None else wish.not_before
    grant = sign_grant(
        ledger.key,
        card,
        level=wish.level,
        grantee=wish.grantee or EVERYONE,
        scopes=card.scopes if wish.scopes is None else wish.scopes,
        deny=wish.deny,
        max_uses=wish.max_uses,
        not_before=begins,
        not_after=begins + wish.seconds,
        policy=wish.policy,
    )
    records.add_grant(connection, grant)
    refresh(connection, ledger, now)
    lent = {"cameo": card.cameo, "owner": card.owner, "grant": grant.hash, "scopes": list(grant.scopes)}
    ledger.event(connection, "grant", now, cameos=[lent], level=grant.level)
    return grant


def take_back(
    connection: sqlite3.Connection, ledger: Ledger, name: str, grant: str | None, now: int
) -> tuple[Card, Revocations]:
    """Sign a list with one grant or one cameo more."""
    card = _own(connection, ledger, name)
    if grant is not None and not any(each.hash == grant for each in records.grants_of(connection, card.cameo)):
        raise SoraError(f"the cameo {card.name} has no grant {shown(grant)}; `sora cameo list` shows its grants")
    revocations = refresh(
        connection, ledger, now, grants=[] if grant is None else [grant], cameos=[card.cameo] if grant is None else []
    )
    lent = {"cameo": card.cameo, "owner": card.owner, "grant": grant, "scopes": list(card.scopes)}
    ledger.event(connection, "revoke", now, cameos=[lent], counter=revocations.counter)
    return card, revocations


def refresh(
    connection: sqlite3.Connection,
    ledger: Ledger,
    now: int,
    *,
    grants: Sequence[str] = (),
    cameos: Sequence[str] = (),
    fresh_s: int = FRESH,
) -> Revocations:
    """Sign the next list: all of the last one, and what is new."""
    last = records.list_of(connection, ledger.did)
    revocations = sign_revocations(
        ledger.key,
        counter=last.counter + 1 if last else 1,
        issued=now,
        grants=[*(last.grants if last else ()), *grants],
        cameos=[*(last.cameos if last else ()), *cameos],
        fresh_s=fresh_s,
    )
    records.put_list(connection, revocations)
    return revocations


def _own(connection: sqlite3.Connection, ledger: Ledger, name: str) -> Card:
    """Return a card of one's own that was not taken back."""
    card = ledger.owned(connection, name)
    last = records.list_of(connection, ledger.did)
    if last and card.cameo in last.cameos:
        raise SoraError(f"the cameo {card.name} was taken back and its likeness destroyed; enrol another")
    return card
