"""What the ledger's tables hold, read back as checked things: a signature that does not fit is found here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from .card import Card, Vouch, read_card, read_vouch
from .envelope import packed, unpacked
from .fields import HEX_ID, NAME
from .grant import EVERYONE, Grant, read_grant
from .revocation import Revocations, read_revocations


def add_card(connection: sqlite3.Connection, card: Card) -> None:
    """Keep a card, once."""
    connection.execute(
        "INSERT OR IGNORE INTO cameos (id, name, owner, envelope) VALUES (?, ?, ?, ?)",
        (card.cameo, card.name, card.owner, packed(card.envelope)),
    )


def card_of(connection: sqlite3.Connection, cameo: str) -> Card | None:
    """Return the card of an id."""
    found = connection.execute("SELECT envelope FROM cameos WHERE id = ?", (cameo,)).fetchone()
    return read_card(unpacked(found[0], "a card")) if found else None


def cards(connection: sqlite3.Connection) -> Iterator[tuple[Card, bool]]:
    """Yield all cards, by name, and whether each was taken back."""
    for envelope, revoked in connection.execute("SELECT envelope, revoked FROM cameos ORDER BY name, id").fetchall():
        yield read_card(unpacked(envelope, "a card")), bool(revoked)


def named(connection: sqlite3.Connection, name: str, me: str) -> list[Card]:
    """Return the cards that a name or id means.

    One's own comes before others', so that nobody's import can stand in for it; what was taken back comes last.
    """
    if HEX_ID.fullmatch(name):
        found = card_of(connection, name)
        return [found] if found else []
    if not NAME.fullmatch(name):
        return []
    rows = connection.execute("SELECT envelope, revoked FROM cameos WHERE name = ? ORDER BY id", (name,)).fetchall()
    read = [(read_card(unpacked(envelope, "a card")), revoked) for envelope, revoked in rows]
    for mine, revoked in ((True, 0), (False, 0), (True, 1), (False, 1)):
        if some := [card for card, gone in read if (card.owner == me, gone) == (mine, revoked)]:
            return some
    return []


def add_vouch(connection: sqlite3.Connection, vouch: Vouch) -> None:
    """Keep a vouch, the newest of each key and kind."""
    connection.execute(
        "INSERT OR REPLACE INTO vouches VALUES (?, ?, ?, ?)",
        (vouch.card, vouch.by, vouch.kind, packed(vouch.envelope)),
    )


def vouches_of(connection: sqlite3.Connection, card: Card) -> list[Vouch]:
    """Return the vouches for a card."""
    rows = connection.execute("SELECT envelope FROM vouches WHERE card = ? ORDER BY by, kind", (card.hash,)).fetchall()
    return [read_vouch(unpacked(envelope, "a vouch")) for (envelope,) in rows]


def add_grant(connection: sqlite3.Connection, grant: Grant) -> None:
    """Keep a grant, once."""
    connection.execute(
        "INSERT OR IGNORE INTO grants VALUES (?, ?, ?, ?, ?)",
        (grant.hash, grant.cameo, grant.owner, grant.grantee, packed(grant.envelope)),
    )


def grant_of(connection: sqlite3.Connection, sha256: str) -> Grant | None:
    """Return the grant of a hash."""
    found = connection.execute("SELECT envelope FROM grants WHERE hash = ?", (sha256,)).fetchone()
    return read_grant(unpacked(found[0], "a grant")) if found else None


def grants_of(connection: sqlite3.Connection, cameo: str) -> list[Grant]:
    """Return all grants of a cameo."""
    rows = connection.execute("SELECT envelope FROM grants WHERE cameo = ? ORDER BY hash", (cameo,)).fetchall()
    return [read_grant(unpacked(envelope, "a grant")) for (envelope,) in rows]


def grants_to(connection: sqlite3.Connection, cameo: str, me: str) -> list[Grant]:
    """Return the grants of a cameo that name a key, or everyone."""
    return [grant for grant in grants_of(connection, cameo) if grant.grantee in (me, EVERYONE)]


def grants_between(connection: sqlite3.Connection, owner: str, grantee: str) -> list[Grant]:
    """Return what one key lent to another by name, of any cameo."""
    rows = connection.execute(
        "SELECT envelope FROM grants WHERE owner = ? AND grantee = ? ORDER BY hash", (owner, grantee)
    ).fetchall()
    return [read_grant(unpacked(envelope, "a grant")) for (envelope,) in rows]


def put_list(connection: sqlite3.Connection, revocations: Revocations) -> None:
    """Keep a list in place of the owner's older one, and mark what it takes back."""
    connection.execute(
        "INSERT OR REPLACE INTO lists VALUES (?, ?, ?)",
        (revocations.owner, revocations.counter, packed(revocations.envelope)),
    )
    connection.executemany(
        "UPDATE cameos SET revoked = 1 WHERE id = ? AND owner = ?",
        [(cameo, revocations.owner) for cameo in revocations.cameos],
    )


def list_of(connection: sqlite3.Connection, owner: str) -> Revocations | None:
    """Return an owner's newest list that is known here."""
    found = connection.execute("SELECT envelope FROM lists WHERE owner = ?", (owner,)).fetchone()
    return read_revocations(unpacked(found[0], "a revocation list")) if found else None


def uses_of(connection: sqlite3.Connection, grant: str) -> int:
    """Return how often a grant was used here; what failed is not counted, what was left unfinished is."""
    return connection.execute("SELECT COUNT(*) FROM counted WHERE grant_hash = ?", (grant,)).fetchone()[0]
