"""The ledger of consent on one machine: cameos, grants, revocations, and a log of every use."""

# C sound channels, S samples, H W pixels

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from ..provenance.home import Home
from . import bundle, enrolment, lending, likeness, log, proof, records, using
from .card import Card, Identity, identity_of
from .challenge import Challenge
from .checkpoint import Checkpoint, origin_of
from .fields import HEX_ID
from .grant import DAY, Grant
from .likeness import Likeness
from .owner_key import owner_key
from .revocation import FRESH, Revocations
from .rules import find
from .store import Store
from .use import Ask, Fault, Refusal, Use

if TYPE_CHECKING:
    from ..editing.film import Film

FOLDER = "cameo"
FILE = "ledger.sqlite"

_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.\d+\.part\.(key|likeness)")

SLACK_S = 5
"""How far the clock may go back: time servers set it by less."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A cameo as it stands. mine: its owner's key is this ledger's. here: its likeness can be opened here."""

    card: Card
    mine: bool
    revoked: bool
    here: bool
    identity: Identity
    grants: tuple[Grant, ...]


class Ledger:
    """Everything that a person lent or was lent, in the private folder.

    One ledger has one key, its holder's: it owns the cameos that were enrolled here, uses those that others lent, and
    signs the log. Threads and processes may share a ledger; each change is whole or not at all.

    Args:
        home: the private folder.
        clock: seconds since 1970; another one is for tests.

    Raises:
        SoraError: the extra is missing, or the folder, the key or the database cannot be used.
    """

    def __init__(self, home: Home, *, clock: Callable[[], float] = time.time) -> None:
        """Open it, make it if it is not there, and finish what an earlier process left half done."""
        self.key = owner_key(home)
        self.secret = home.secret("cameo_challenge")
        self.folder = Home(home.folder / FOLDER).file(FILE).parent
        self.store = Store(self.folder / FILE)
        self._clock = clock
        self._sweep()

    @property
    def did(self) -> str:
        """The holder's public key, as ``did:key``."""
        return self.key.did

    @property
    def origin(self) -> str:
        """The name of this log in its signed heads."""
        return origin_of(self.did)

    # -- cameos ------------------------------------------------------------------------------------------------------

    def challenge(self, name: str) -> Challenge:
        """Return what the person to be enrolled under a name must say and do; valid for one recording, 15 minutes."""
        with self.writing() as (connection, now):
            return enrolment.issue(connection, self, name, now)

    def enroll(
        self,
        name: str,
        *,
        subject: str,
        attested: bool,
        likeness: Likeness,
        recording: Film | Path | None = None,
        confirmed: bool = False,
    ) -> Card:
        """Make a cameo that its owner alone may use.

        Args:
            name: 2 to 30 of a-z, 0-9 and _.
            subject: "person" or "character" (which is no real person).
            attested: the owner said `card.ATTESTATION` of the subject; without it there is no cameo.
            likeness: from `make_likeness`.
            recording: of a person: the answer to the newest challenge of that name.
            confirmed: a human watched it: the digits and turns are right, and it is the person of the pictures.

        Raises:
            SoraError: anything of it is missing, the name is taken, or the recording cannot be an answer.
        """
        applicant = enrolment.Applicant(name, subject, attested, likeness, recording, confirmed)
        return enrolment.enroll(self, applicant)

    def standings(self) -> Sequence[Standing]:
        """Return all cameos that are known here."""
        with self.store.reading() as connection:
            return [self._standing(connection, card, gone) for card, gone in records.cards(connection)]

    def card(self, name: str) -> Card:
        """Return the card of a name or id.

        Raises:
            Refusal: there is none, or several.
        """
        with self.store.reading() as connection:
            return self.found(connection, name)

    # -- lending -----------------------------------------------------------------------------------------------------

    def grant(
        self,
        name: str,
        *,
        level: str,
        grantee: str | None = None,
        scopes: Sequence[str] | None = None,
        deny: Sequence[str] = (),
        max_uses: int | None = None,
        not_before: int | None = None,
        days: int = 30,
        policy: str | None = None,
    ) -> Grant:
        """Lend a cameo of one's own, and sign a fresh revocation list with it.

        Args:
            name: of the cameo, or its id.
            level: as in `grant.Grant`; "only_me" comes with the cameo.
            grantee: a ``did:key`` for approved and mutuals; left out for everyone.
            scopes: "face", "voice"; None for all that it holds.
            deny: words, phrases and moderation tags that refuse a use.
            max_uses: in the grantee's ledger; None for no limit.
            not_before: Unix seconds; None for now.
            days: how long it holds, up to 366.
            policy: SHA-256 of the moderation policy that must be in force; None for any.

        Raises:
            SoraError: the cameo is another's or taken back, or a value is outside its range.
        """
        wish = lending.Wish(level, grantee, scopes, tuple(deny), max_uses, not_before, days * DAY, policy)
        with self.writing() as (connection, now):
            return lending.lend(connection, self, name, wish, now)

    def revoke(self, name: str, grant: str | None = None) -> Revocations:
        """Take back one grant by its hash, or the whole cameo, whose likeness is destroyed here.

        Raises:
            SoraError: the cameo is another's, or has no such grant.
        """
        # what takes something away works whatever the clock says
        with self.writing(any_clock=True) as (connection, now):
            card, revocations = lending.take_back(connection, self, name, grant, now)
        if grant is None:
            # only after it is written that nobody may use it; `_sweep` does it if the machine stops here
            likeness.destroy(self.folder, card.cameo)
        return revocations

    def refresh(self, fresh_s: int = FRESH) -> Revocations:
        """Sign the revocation list again, so that others know that nothing more was taken back."""
        with self.writing() as (connection, now):
            return lending.refresh(connection, self, now, fresh_s=fresh_s)

    def vouch(self, data: bytes, *, kind: str, statement: str) -> bytes:
        """Return this key's word for the card in another's file (`export_card`), as a file for that card's owner."""
        with self.writing() as (_, now):
            return bundle.vouch_for(self.key, data, kind=kind, statement=statement, made=now)

    def export_card(self, name: str) -> bytes:
        """Return a cameo's card as a file, without the likeness, for others to vouch for."""
        with self.store.reading() as connection:
            return bundle.card_file(self.found(connection, name))

    def export_grant(self, grant: str) -> bytes:
        """Return a file for the grantee: card, vouches, grant, revocation list, and the likeness sealed to their key.

        A grant to everyone carries its likeness open, for everyone may see it.
        """
        with self.store.reading() as connection:
            return bundle.grant_file(connection, self, grant)

    def export_revocations(self) -> bytes:
        """Return the newest revocation list as a file for all who were lent something."""
        with self.store.reading() as connection:
            return bundle.list_file(connection, self)

    def take(self, data: bytes) -> bundle.Taken:
        """Take in a file that another owner sent: a grant, a revocation list, or a vouch.

        Raises:
            SoraError: it is malformed, badly signed, older than what is known, or not meant for this key.
        """
        parcel = bundle.read(self.key, data)
        with self.writing(any_clock=True) as (connection, now):
            taken = bundle.take(connection, self, parcel, now)
        self._sweep()
        return taken

    # -- uses --------------------------------------------------------------------------------------------------------

    def begin_use(
        self, asks: Sequence[Ask], *, prompt: str, tags: Sequence[str] = (), policy: str | None = None
    ) -> Use:
        """Allow a use and write the intent to the log, before anything is made; a refusal is written too.

        Args:
            asks: one or two cameos.
            prompt: all words that shape the clip, what is spoken included; its salted hash alone is kept.
            tags: what moderation says the clip is about, for the owners' deny lists.
            policy: SHA-256 of the moderation policy in force.

        Raises:
            Refusal: the rules do not allow it; `Refusal.reason` says why, `Refusal.place` where it is logged.
            SoraError: it could not be written, so nothing may be made.
        """
        return using.begin(self, asks, prompt, tags, policy)

    def may_use(
        self, asks: Sequence[Ask], *, prompt: str = "", tags: Sequence[str] = (), policy: str | None = None
    ) -> Fault | None:
        """Return what would refuse a use now, or None; nothing is logged or counted."""
        return using.foresee(self, asks, prompt, tags, policy)

    def check_again(self, use: Use, *, tags: Sequence[str] = ()) -> None:
        """Make sure that a use is still allowed, just before saving; ``tags`` are what moderation saw in the result.

        Raises:
            Refusal: it is not any more; the use ends as refused, and nothing may be saved.
        """
        using.check_again(self, use, tags)

    def finish_use(
        self, use: Use, *, output_sha256: str | None = None, draft: bool = False, failed: str | None = None
    ) -> Checkpoint:
        """Write what became of a use, once; a clip is checked a third time in the same transaction.

        Write the clip to a hidden file, finish the use with its hash, and only then give it its name.

        Args:
            use: from `begin_use`.
            output_sha256: 64 hex digits of the clip.
            draft: it was shown and not saved.
            failed: nothing came of it; one word such as "interrupted" (anything else is written as "other", so that no
                prompt gets into the log). It is then not counted against the grant.

        Raises:
            Refusal: it is not allowed any more; the use ends as refused.
            SoraError: it ended before, or none or several of the three are given.
        """
        return using.finish(self, use, output_sha256, draft, failed)

    def likeness(self, use: Use) -> dict[str, Likeness]:
        """Return the pictures and sounds that a live use may see and hear, by the cameo's id.

        Raises:
            Refusal: the use is not allowed any more.
            SoraError: it ended, or the likeness is not here.
        """
        return using.likeness_of(self, use)

    # -- the log -----------------------------------------------------------------------------------------------------

    def head(self) -> Checkpoint:
        """Return the newest signed head."""
        with self.store.reading() as connection:
            return log.head(connection)

    def entries(self, name: str | None = None, newest: int | None = None) -> Sequence[log.Entry]:
        """Return the log, of one cameo or all."""
        with self.store.reading() as connection:
            cameo = None if name is None else self.found(connection, name).cameo
            return list(log.entries(connection, cameo=cameo, newest=newest))

    def orphans(self) -> Sequence[log.Entry]:
        """Return the intents that have no result: uses under way, or whose program was stopped."""
        with self.store.reading() as connection:
            places = [row[0] for row in connection.execute("SELECT intent FROM uses WHERE state = 'open'")]
            return [next(log.entries(connection, start=place)) for place in sorted(places)]

    def audit(self) -> Checkpoint:
        """Compute the whole log again and check every signature.

        Raises:
            SoraError: anything of it was changed.
        """
        with self.store.reading() as connection:
            return log.audit(connection, self.did)

    def export_proof(self, name: str | None = None, *, since: int | None = None) -> bytes:
        """Return a file that `proof.verify_proof` checks with the owner's public key alone.

        Args:
            name: a cameo; None for the whole log.
            since: also show that the log began with these many entries and only grew.
        """
        with self.store.reading() as connection:
            cameo = None if name is None else self.found(connection, name).cameo
            return proof.export(connection, self.did, cameo, since)

    # -- within the package ------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, *, any_clock: bool = False) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Have the ledger alone, with the time now, or the last one known.

        Raises:
            Refusal: the clock went back, and ``any_clock`` does not allow it.
        """
        with self.store.writing() as connection:
            now, back = self.now(connection)
            if back and not any_clock:
                raise Refusal("clock", "", f"{back} s")
            yield connection, now

    def now(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Return a time that never goes back, and by how many seconds the clock did, 0 where it did not."""
        told = int(self._clock())
        found = connection.execute("SELECT value FROM meta WHERE name = 'last_seen'").fetchone()
        last = int(found[0]) if found else 0
        if told > last:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('last_seen', ?)", (str(told),))
        return max(told, last), (last - told if told < last - SLACK_S else 0)

    def found(self, connection: sqlite3.Connection, name: str) -> Card:
        """Return the card of a name or id.

        Raises:
            Refusal: there is none, or several.
        """
        card = find(connection, name, self.did)
        if isinstance(card, Fault):
            raise Refusal(card.reason, card.name, card.detail)
        return card

    def owned(self, connection: sqlite3.Connection, name: str) -> Card:
        """Return the card of a cameo of one's own.

        Raises:
            SoraError: there is none, or it is another's.
        """
        card = self.found(connection, name)
        if card.owner != self.did:
            raise SoraError(f"the cameo {card.name} belongs to another key; only its owner can do that")
        return card

    def event(self, connection: sqlite3.Connection, kind: str, now: int, **facts: Any) -> tuple[int, Checkpoint]:  # noqa: ANN401
        """Write an entry to the log."""
        return log.append(connection, self.key, {"v": 1, "kind": kind, "time": now, **facts})

    def _standing(self, connection: sqlite3.Connection, card: Card, revoked: bool) -> Standing:
        return Standing(
            card=card,
            mine=card.owner == self.did,
            revoked=revoked,
            here=likeness.is_here(self.folder, card.cameo),
            identity=identity_of(card, records.vouches_of(connection, card)),
            grants=tuple(records.grants_of(connection, card.cameo)),
        )

    def _sweep(self) -> None:
        """Destroy likenesses that were taken back, and those of an enrolment that was stopped before its end."""
        ids = {path.stem for path in self.folder.iterdir() if HEX_ID.fullmatch(path.stem)}
        parts = [path for path in self.folder.iterdir() if _UNFINISHED.fullmatch(path.name)]
        with self.store.reading() as connection:
            kept = {row[0] for row in connection.execute("SELECT id FROM cameos WHERE NOT revoked")}
        if not ids - kept and not parts:
            return
        # whoever writes a likeness has the ledger alone, so what is unfinished now was left by a process that died
        with self.store.writing() as connection:
            kept = {row[0] for row in connection.execute("SELECT id FROM cameos WHERE NOT revoked")}
            for cameo in ids - kept:
                likeness.destroy(self.folder, cameo)
            for path in parts:
                path.unlink(missing_ok=True)
