"""What a cameo says of itself, signed by its owner: a name, who or what is shown, and who vouches for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import SoraError
from .canonical import digest
from .envelope import VERSION, read_envelope
from .fields import DID, HASH, HEX_ID, NAME, Check, listed, matches, one_of, optional, text, whole
from .owner_key import OwnerKey

Subject = Literal["person", "character"]
Identity = Literal["self-declared", "witnessed", "external credential"]

SUBJECTS: tuple[Subject, ...] = ("person", "character")
SCOPES = ("face", "voice")
ATTESTATION = {
    "person": "I am the person shown, and I am 18 or older",
    "character": "I am the maker of this character, which is no real person, and I am 18 or older",
}
"""What is attested, word for word, and signed with the card."""

_CARD: Mapping[str, Check] = {
    "v": one_of(VERSION),
    "type": one_of("cameo"),
    "cameo": matches(HEX_ID),
    "name": matches(NAME),
    "owner": matches(DID),
    "subject": one_of(*SUBJECTS),
    "attestation": one_of(*ATTESTATION.values()),
    "scopes": listed(lambda value: value in SCOPES, 1, 2),
    "likeness": matches(HASH),
    "challenge": optional(matches(HASH)),
    "recording": optional(matches(HASH)),
    "created": whole(0),
}

_VOUCH: Mapping[str, Check] = {
    "v": one_of(VERSION),
    "type": one_of("vouch"),
    "kind": one_of("witness", "credential"),
    "card": matches(HASH),
    "by": matches(DID),
    "statement": text(300),
    "made": whole(0),
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """A checked card.

    cameo: 32 hex digits, drawn at random. name: the owner's handle for it; two owners may use the same. owner: the
    key that signed it. subject: a person, or a character that is no real one. scopes: what the likeness holds.
    likeness: SHA-256 of the encrypted likeness. challenge, recording: hashes of the evidence, of persons.
    hash: SHA-256 of the body. envelope: as signed.
    """

    cameo: str
    name: str
    owner: str
    subject: Subject
    scopes: tuple[str, ...]
    likeness: str
    challenge: str | None
    recording: str | None
    created: int
    hash: str
    envelope: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Vouch:
    """A second key's word for a card. kind: "witness" (I know the owner) or "credential" (I checked papers)."""

    kind: Literal["witness", "credential"]
    card: str
    by: str
    statement: str
    made: int
    envelope: dict[str, Any] = field(repr=False)


def sign_card(key: OwnerKey, body: Mapping[str, Any]) -> Card:
    """Return a card; ``body`` has the fields that are not version, type, owner and attestation."""
    whole_body = dict(body) | {"v": VERSION, "type": "cameo", "owner": key.did}
    whole_body["attestation"] = ATTESTATION[whole_body["subject"]]
    return read_card(key.sign(whole_body))


def read_card(envelope: Any) -> Card:  # noqa: ANN401
    """Return a card after all of it was checked.

    Raises:
        SoraError: it is malformed, not signed by its owner, or attests something else than its subject needs.
    """
    body = read_envelope(envelope, schema=_CARD, signer="owner", what="the cameo's card")
    if body["attestation"] != ATTESTATION[body["subject"]]:
        raise SoraError(
            f"the cameo's card of a {body['subject']} attests something else than {ATTESTATION[body['subject']]!r}; "
            "it cannot be used"
        )
    if body["subject"] == "person" and not (body["challenge"] and body["recording"]):
        raise SoraError("the cameo's card of a person names no challenge and recording; it cannot be used")
    return Card(
        cameo=body["cameo"],
        name=body["name"],
        owner=body["owner"],
        subject=body["subject"],
        scopes=tuple(body["scopes"]),
        likeness=body["likeness"],
        challenge=body["challenge"],
        recording=body["recording"],
        created=body["created"],
        hash=digest(body),
        envelope=envelope,
    )


def sign_vouch(key: OwnerKey, card: Card, *, kind: str, statement: str, made: int) -> Vouch:
    """Return this key's word for another's card.

    Raises:
        SoraError: the card is one's own, or the statement is empty, long or not printable.
    """
    if card.owner == key.did:
        raise SoraError("nobody vouches for a cameo of one's own; ask somebody who holds another key")
    body = {"v": VERSION, "type": "vouch", "kind": kind, "card": card.hash}
    return read_vouch(key.sign(body | {"by": key.did, "statement": statement, "made": made}))


def read_vouch(envelope: Any) -> Vouch:  # noqa: ANN401
    """Return a vouch after all of it was checked.

    Raises:
        SoraError: it is malformed or not signed by whom it names.
    """
    body = read_envelope(envelope, schema=_VOUCH, signer="by", what="the vouch")
    kept = {key: body[key] for key in ("kind", "card", "by", "statement", "made")}
    return Vouch(**kept, envelope=envelope)


def identity_of(card: Card, vouches: Sequence[Vouch]) -> Identity:
    """Return how far the owner's word for a card is backed.

    "self-declared": by nobody. "witnessed": a second key co-signed. "external credential": a key says that it checked
    papers; whether that key can be believed is for the reader to know.
    """
    kinds = {vouch.kind for vouch in vouches if vouch.card == card.hash and vouch.by != card.owner}
    if "credential" in kinds:
        return "external credential"
    return "witnessed" if kinds else "self-declared"
