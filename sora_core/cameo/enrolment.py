"""How a cameo comes to be: an attestation, for a person a challenge and its recording, and a first grant to oneself."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import SoraError
from . import lending, likeness, records
from .canonical import canonical, digest
from .card import ATTESTATION, SUBJECTS, Card, sign_card
from .challenge import HAND_IN, Challenge, Checks, challenge_of, check_recording, draw_challenge
from .fields import name as checked_name
from .fields import shown
from .likeness import Likeness

if TYPE_CHECKING:
    from ..editing.film import Film
    from .ledger import Ledger


def issue(connection: sqlite3.Connection, ledger: Ledger, name: str, now: int) -> Challenge:
    """Draw a challenge and keep it."""
    challenge = draw_challenge(ledger.secret, now)
    connection.execute(
        "INSERT INTO challenges VALUES (?, ?, ?, NULL)", (challenge.nonce, checked_name(name), challenge.issued)
    )
    return challenge


class Applicant(NamedTuple):
    """What is to be enrolled, as in `Ledger.enroll`."""

    name: str
    subject: str
    attested: bool
    likeness: Likeness
    recording: Film | Path | None
    confirmed: bool


class Answer(NamedTuple):
    """A recording that was examined. sha256: of the file, or of pixels and samples in memory."""

    checks: Checks
    sha256: str


def enroll(ledger: Ledger, applicant: Applicant) -> Card:
    """Make a cameo, as `Ledger.enroll` says."""
    name, subject, attested, shape, recording, confirmed = applicant
    checked_name(name)
    if subject not in SUBJECTS:
        raise SoraError(f"{shown(subject)} is nothing that a cameo shows; name person or character")
    if not attested:
        raise SoraError(f"without the attestation {ATTESTATION[subject]!r} there is no cameo, and nothing replaces it")
    if subject == "character" and recording is not None:
        raise SoraError("a character has no recording, for it is no real person; leave it out, or enrol a person")
    seen: Answer | None = None
    if subject == "person":
        if recording is None:
            raise SoraError("a person is enrolled with a recording that answers a challenge; ask for one and record it")
        if not confirmed:
            raise SoraError(
                "nobody confirmed the recording; watch it, and confirm that the digits, the turns and the person are "
                "right"
            )
        seen = _examined(recording)
    cameo = secrets.token_hex(16)
    try:
        with ledger.writing() as (connection, now):
            answered = _answered(connection, ledger, name, cameo, seen, now) if seen else None
            evidence = {"challenge": answered, "recording": seen.sha256 if seen else None}
            body = {"cameo": cameo, "name": name, "subject": subject, "created": now} | evidence
            return _written(connection, ledger, body, shape)
    except BaseException:
        likeness.destroy(ledger.folder, cameo)
        raise


def _written(connection: sqlite3.Connection, ledger: Ledger, body: dict[str, Any], shape: Likeness) -> Card:
    """Keep the likeness, sign the card and the first grant, and write both down."""
    name, cameo, now = body["name"], body["cameo"], body["created"]
    taken = connection.execute(
        "SELECT 1 FROM cameos WHERE name = ? AND owner = ? AND NOT revoked", (name, ledger.did)
    ).fetchone()
    if taken:
        raise SoraError(f"there is a cameo {name} of yours already; take it back first, or choose another name")
    kept = likeness.keep(ledger.folder, cameo, shape, ledger.key)
    card = sign_card(ledger.key, body | {"scopes": sorted(shape.scopes), "likeness": kept})
    records.add_card(connection, card)
    own = lending.own_grant(ledger.key, card, now)
    records.add_grant(connection, own)
    lending.refresh(connection, ledger, now)
    lent = {"cameo": cameo, "owner": ledger.did, "grant": own.hash, "scopes": list(card.scopes)}
    ledger.event(connection, "enroll", now, cameos=[lent], card=card.hash, subject=card.subject)
    return card


def _examined(recording: Film | Path) -> Answer:
    """Return what a recording holds, and its hash: of the file, or of pixels and samples in memory."""
    if not isinstance(recording, Path):
        return Answer(check_recording(recording), _hash(recording))
    from ..media.film_file import FileFilm

    checks = check_recording(FileFilm(recording))
    with recording.open("rb") as file:
        sha = hashlib.sha256()
        while piece := file.read(1 << 20):
            sha.update(piece)
    return Answer(checks, sha.hexdigest())


def _hash(film: Film) -> str:
    sha = hashlib.sha256(f"{film.width} {film.height} {film.fps} {film.sample_rate}\n".encode())
    for piece_fHWC in film.frames():
        sha.update(piece_fHWC.contiguous().numpy().tobytes())
    sound_CS = film.sound()
    if sound_CS is not None:
        sha.update(sound_CS.contiguous().numpy().tobytes())
    return sha.hexdigest()


def _answered(  # noqa: PLR0917
    connection: sqlite3.Connection, ledger: Ledger, name: str, cameo: str, seen: Answer, now: int
) -> str:
    """Use up the newest challenge of a name and keep the evidence; return the challenge's hash."""
    found = connection.execute(
        "SELECT nonce, issued FROM challenges WHERE name = ? AND used IS NULL ORDER BY issued DESC, rowid DESC LIMIT 1",
        (name,),
    ).fetchone()
    if not found:
        raise SoraError(f"no challenge was asked for {name}; ask for one and record the answer")
    nonce, issued = found
    if now > issued + HAND_IN:
        raise SoraError(
            f"the challenge for {name} is older than {HAND_IN // 60} minutes; ask for another and record it"
        )
    challenge = challenge_of(ledger.secret, nonce, issued)
    kept = {"cameo": cameo, "challenge": challenge.record(), "checks": seen.checks.record(), "recording": seen.sha256}
    connection.execute(
        "UPDATE challenges SET used = ? WHERE nonce = ?", (canonical(kept | {"confirmed": True}).decode(), nonce)
    )
    return digest(challenge.record())
