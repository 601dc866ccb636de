"""Files that owners send each other: a cameo lent, a revocation list, a word for somebody's card."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from . import likeness, records
from .canonical import canonical, parse
from .card import Card, Vouch, read_card, read_vouch, sign_vouch
from .fields import Check, exactly, one_of, shown
from .grant import EVERYONE, Grant, read_grant
from .owner_key import OwnerKey, seal
from .revocation import Revocations, read_revocations

if TYPE_CHECKING:
    from .ledger import Ledger

_DATA_KEY = 32
_MAX_SEALED = 200
_MAX_VOUCHES = 16


def _is_object(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict)


_HEAD: Mapping[str, Check] = {"v": one_of(1), "type": one_of("card", "lent", "revocations", "vouch")}
_SCHEMAS: Mapping[str, Mapping[str, Check]] = {
    "card": {"card": _is_object},
    "vouch": {"vouch": _is_object},
    "revocations": {"revocations": _is_object},
    "lent": {
        "card": _is_object,
        "vouches": lambda value: isinstance(value, list) and len(value) <= _MAX_VOUCHES,
        "grant": _is_object,
        "revocations": _is_object,
        "likeness": lambda value: isinstance(value, str) and len(value) <= likeness.MAX_BLOB * 4 // 3 + 4,
        "key": lambda value: isinstance(value, str) and len(value) <= _MAX_SEALED,
    },
}


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A file that was read and checked. sealed: the data key, for this ledger's key. blob: the encrypted likeness."""

    kind: str
    card: Card | None = None
    vouches: tuple[Vouch, ...] = ()
    grant: Grant | None = None
    revocations: Revocations | None = None
    sealed: bytes = b""
    blob: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken in. kind: "lent", "revocations" or "vouch". of: the owner's, or the voucher's, public key."""

    kind: str
    of: str
    card: Card | None = None
    grant: Grant | None = None
    revocations: Revocations | None = None


def card_file(card: Card) -> bytes:
    """Return a card as a file."""
    return canonical({"v": 1, "type": "card", "card": card.envelope})


def list_file(connection: sqlite3.Connection, ledger: Ledger) -> bytes:
    """Return the holder's revocation list as a file."""
    return canonical({"v": 1, "type": "revocations", "revocations": _newest(connection, ledger).envelope})


def grant_file(connection: sqlite3.Connection, ledger: Ledger, sha256: str) -> bytes:
    """Return a grant with all that its grantee needs."""
    grant = records.grant_of(connection, sha256)
    card = records.card_of(connection, grant.cameo) if grant else None
    if not grant or not card or grant.owner != ledger.did or grant.level == "only_me":
        raise SoraError(f"{shown(sha256)} is no grant of this ledger to others; `sora cameo list` shows them")
    revocations = _newest(connection, ledger)
    if grant.hash in revocations.grants or grant.cameo in revocations.cameos:
        raise SoraError(f"the grant {sha256} was taken back; sign another")
    data_key = likeness.data_key_of(ledger.folder, card.cameo, ledger.key)
    if grant.grantee != EVERYONE:
        data_key = seal(data_key, grant.grantee, card.cameo.encode())
    return canonical(
        {
            "v": 1,
            "type": "lent",
            "card": card.envelope,
            "vouches": [each.envelope for each in records.vouches_of(connection, card)[:_MAX_VOUCHES]],
            "grant": grant.envelope,
            "revocations": revocations.envelope,
            "likeness": base64.b64encode(likeness.blob_of(ledger.folder, card.cameo, card.likeness)).decode(),
            "key": base64.b64encode(data_key).decode(),
        }
    )


def vouch_for(key: OwnerKey, data: bytes, *, kind: str, statement: str, made: int) -> bytes:
    """Return this key's word for the card in a file."""
    value = _parsed(data)
    if "card" not in value:
        raise SoraError("this file holds no card to vouch for; ask the owner for the card of the cameo")
    vouch = sign_vouch(key, read_card(value["card"]), kind=kind, statement=statement, made=made)
    return canonical({"v": 1, "type": "vouch", "vouch": vouch.envelope})


def read(key: OwnerKey, data: bytes) -> Parcel:
    """Return a stranger's file after all of it was checked that needs no ledger; the likeness is opened as a trial.

    Raises:
        SoraError: it is malformed, badly signed, contradicts itself, or is for another key.
    """
    value = _parsed(data)
    kind = value["type"]
    if kind == "vouch":
        return Parcel(kind=kind, vouches=(read_vouch(value["vouch"]),))
    if kind == "revocations":
        return Parcel(kind=kind, revocations=read_revocations(value["revocations"]))
    if kind == "card":
        raise SoraError("this file is a card, which lends nothing; vouch for it, or ask its owner for a grant")
    card, grant = read_card(value["card"]), read_grant(value["grant"])
    revocations = read_revocations(value["revocations"])
    if not (grant.owner == card.owner == revocations.owner and grant.card == card.hash and grant.cameo == card.cameo):
        raise SoraError("the parts of this file belong to different cameos; ask the owner for a whole one")
    if grant.owner == key.did:
        raise SoraError("this file lends a cameo of this ledger's own key; it is for others")
    if grant.grantee not in (key.did, EVERYONE):
        raise SoraError(f"this grant is for {grant.grantee}, not for this ledger's key {key.did}; ask for one")
    try:
        sealed, blob = (base64.b64decode(value[part], validate=True) for part in ("key", "likeness"))
    except ValueError as error:
        raise SoraError("the likeness in this file is no base64; ask the owner for a whole one") from error
    data_key = sealed if grant.grantee == EVERYONE else key.open(sealed, card.cameo.encode())
    if len(data_key) != _DATA_KEY or likeness.sha256_of(blob) != card.likeness:
        raise SoraError("the likeness in this file is not the one that the card names; ask the owner for a whole one")
    shape = likeness.opened(blob, data_key, card.cameo)
    if tuple(sorted(shape.scopes)) != card.scopes:
        raise SoraError("the likeness in this file holds something else than the card says; ask the owner for another")
    vouches = tuple(read_vouch(each) for each in value["vouches"])
    if grant.grantee == EVERYONE:
        sealed = seal(data_key, key.did, card.cameo.encode())
    return Parcel(kind=kind, card=card, grant=grant, revocations=revocations, vouches=vouches, sealed=sealed, blob=blob)


def take(connection: sqlite3.Connection, ledger: Ledger, parcel: Parcel, now: int) -> Taken:
    """Keep what a file brought."""
    if parcel.kind == "vouch":
        return _take_vouch(connection, parcel.vouches[0])
    assert parcel.revocations is not None
    if parcel.card is None or parcel.grant is None:
        _take_list(connection, ledger, parcel.revocations, older_is_wrong=True)
        return Taken(kind=parcel.kind, of=parcel.revocations.owner, revocations=parcel.revocations)
    card, grant = parcel.card, parcel.grant
    known = records.card_of(connection, card.cameo)
    if known and known.hash != card.hash:
        raise SoraError(f"the id {card.cameo} belongs to another cameo here; ask the owner to enrol it again")
    _take_list(connection, ledger, parcel.revocations, older_is_wrong=False)
    newest = records.list_of(connection, card.owner)
    if newest and (grant.hash in newest.grants or grant.cameo in newest.cameos):
        raise SoraError(f"the owner of the cameo {card.name} took this grant back; ask for another")
    records.add_card(connection, card)
    records.add_grant(connection, grant)
    connection.execute("UPDATE cameos SET revoked = 0 WHERE id = ?", (card.cameo,))
    for vouch in parcel.vouches:
        if vouch.card == card.hash:
            records.add_vouch(connection, vouch)
    likeness.put(ledger.folder, card.cameo, parcel.blob, parcel.sealed)
    lent = {"cameo": card.cameo, "owner": card.owner, "grant": grant.hash, "scopes": list(grant.scopes)}
    ledger.event(connection, "import", now, cameos=[lent], level=grant.level)
    return Taken(kind=parcel.kind, of=card.owner, card=card, grant=grant, revocations=parcel.revocations)


def _take_vouch(connection: sqlite3.Connection, vouch: Vouch) -> Taken:
    card = next((card for card, _ in records.cards(connection) if card.hash == vouch.card), None)
    if card is None:
        raise SoraError("this vouch is for a card that is not known here; take it in where the cameo is")
    if vouch.by == card.owner:
        raise SoraError("this vouch is by the owner of the cameo, whose own word does not count")
    records.add_vouch(connection, vouch)
    return Taken(kind="vouch", of=vouch.by, card=card)


def _take_list(
    connection: sqlite3.Connection, ledger: Ledger, revocations: Revocations, *, older_is_wrong: bool
) -> None:
    """Keep a list if it is newer; what it takes back loses its likeness."""
    owner = revocations.owner
    if owner == ledger.did:
        raise SoraError("this revocation list is this ledger's own; it is for others")
    known = records.list_of(connection, owner)
    if known and known.counter > revocations.counter:
        if older_is_wrong:
            raise SoraError(
                f"this revocation list has number {revocations.counter} and number {known.counter} is known; ask its "
                "owner for the newest"
            )
        return
    if known and known.counter == revocations.counter:
        if known.envelope["body"] != revocations.envelope["body"]:
            raise SoraError(f"the owner signed two revocation lists of number {known.counter}; neither can be believed")
        return
    if known and not (known.grants <= revocations.grants and known.cameos <= revocations.cameos):
        raise SoraError("this revocation list leaves out what an older one took back; ask its owner for a whole one")
    records.put_list(connection, revocations)
    for card, gone in records.cards(connection):
        held = records.grants_to(connection, card.cameo, ledger.did)
        if card.owner == owner and not gone and all(grant.hash in revocations.grants for grant in held):
            connection.execute("UPDATE cameos SET revoked = 1 WHERE id = ?", (card.cameo,))


def _newest(connection: sqlite3.Connection, ledger: Ledger) -> Revocations:
    found = records.list_of(connection, ledger.did)
    if found is None:
        raise SoraError("this ledger has no cameo of its own yet; enrol one first")
    return found


def _parsed(data: bytes) -> dict[str, Any]:
    value = parse(data, "the file")
    kind = value.get("type")
    schema = _SCHEMAS.get(kind, {}) if isinstance(kind, str) else {}
    exactly(value, {**_HEAD, **schema}, "the file")
    return value
