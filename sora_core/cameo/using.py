"""A use from intent to result: checked when it begins, before it is saved, and when it is written down."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from . import likeness, log, records
from .canonical import canonical, parse
from .checkpoint import Checkpoint
from .fields import HASH, HEX_ID, shown
from .likeness import Likeness
from .rules import Moment, decide, weigh
from .use import LONGEST_USE, Ask, Fault, Lent, Refusal, Use, merged

if TYPE_CHECKING:
    from .ledger import Ledger

_REASON = re.compile(r"[a-z]{1,20}(_[a-z]{1,20}){0,2}")
_MOST_PROMPT = 1 << 20


def begin(ledger: Ledger, asks: Sequence[Ask], prompt: str, tags: Sequence[str], policy: str | None) -> Use:
    """Decide, write the intent or the refusal, and only then answer."""
    asks = merged(asks)
    if policy is not None and not HASH.fullmatch(policy):
        raise SoraError(f"{shown(policy)} is no SHA-256 of a moderation policy; give 64 hex digits in lower case")
    salt, prompt_hash = _salted(prompt)
    with ledger.store.writing() as connection:
        now, back = ledger.now(connection)
        moment = Moment(me=ledger.did, now=now, prompt=prompt, tags=frozenset(tags), policy=policy)
        fault = Fault("clock", asks[0].cameo, f"{back} s") if back else None
        lent, fault = ([], fault) if fault else _decided(connection, ledger, asks, moment)
        common = {"prompt": prompt_hash, "policy": policy}
        if fault:
            asked = _asked(connection, ledger, asks)
            place, _ = ledger.event(
                connection, "refusal", now, cameos=asked, decision="refused", reason=fault.reason, **common
            )
            answer = _refusal(fault, place)
        else:
            answer = _intended(connection, ledger, lent, now, common)
            place = answer.index
        connection.execute("INSERT INTO salts VALUES (?, ?)", (place, salt))
    if isinstance(answer, Refusal):
        raise answer
    return answer


def _intended(
    connection: sqlite3.Connection, ledger: Ledger, lent: Sequence[Lent], now: int, common: dict[str, Any]
) -> Use:
    """Write the intent and count it."""
    identity, entry = secrets.token_hex(16), [each.entry() for each in lent]
    place, head = ledger.event(connection, "intent", now, use=identity, cameos=entry, decision="allowed", **common)
    connection.execute("INSERT INTO uses VALUES (?, ?, ?, 'open', ?)", (identity, place, now, canonical(entry)))
    connection.executemany("INSERT OR IGNORE INTO counted VALUES (?, ?)", [(each.grant, identity) for each in lent])
    return Use(
        id=identity,
        lent=tuple(lent),
        index=place,
        head=head,
        holder=ledger.did,
        prompt_hash=common["prompt"],
        time=now,
    )


def foresee(ledger: Ledger, asks: Sequence[Ask], prompt: str, tags: Sequence[str], policy: str | None) -> Fault | None:
    """Return what would refuse a use."""
    asks = merged(asks)
    with ledger.store.writing() as connection:
        now, back = ledger.now(connection)
        if back:
            return Fault("clock", asks[0].cameo, f"{back} s")
        moment = Moment(me=ledger.did, now=now, prompt=prompt, tags=frozenset(tags), policy=policy)
        return _decided(connection, ledger, asks, moment)[1]


def check_again(ledger: Ledger, use: Use, tags: Sequence[str]) -> None:
    """Weigh the same grants once more; where one does not hold, end the use as refused."""
    with ledger.store.writing() as connection:
        refusal = _refused(connection, ledger, use, tags)
    if refusal:
        raise refusal


def finish(ledger: Ledger, use: Use, output_sha256: str | None, draft: bool, failed: str | None) -> Checkpoint:
    """Write the result, once."""
    if (output_sha256 is not None and failed is not None) or not (output_sha256 or draft or failed):
        raise SoraError("a use ends with the hash of its clip, as a draft, or with why it failed; give one of them")
    if output_sha256 is not None and not HASH.fullmatch(output_sha256):
        raise SoraError(f"{shown(output_sha256)} is no SHA-256 of a clip; give 64 hex digits in lower case")
    refusal = None
    with ledger.store.writing() as connection:
        if failed is not None:
            _opened(connection, use)
            connection.execute("DELETE FROM counted WHERE use = ?", (use.id,))
            # a clock that is wrong must not keep a failure out of the log
            now = ledger.now(connection)[0]
            reason = failed if _REASON.fullmatch(failed) else "other"
            head = _end(connection, ledger, use, now, "failed", reason=reason)[1]
        elif refusal := _refused(connection, ledger, use, (), output_sha256):
            head = log.head(connection)
        else:
            now = ledger.now(connection)[0]
            head = _end(connection, ledger, use, now, "draft" if draft else "saved", output=output_sha256)[1]
    if refusal:
        raise refusal
    return head


def likeness_of(ledger: Ledger, use: Use) -> dict[str, Likeness]:
    """Open what a live use may see and hear."""
    found: dict[str, Likeness] = {}
    with ledger.store.writing() as connection:
        refusal = _refused(connection, ledger, use, ())
        if not refusal:
            # inside the transaction, so that nobody takes it back between the check and the opening
            for each in _lent(connection, use):
                card = records.card_of(connection, each["cameo"])
                assert card is not None, "it was checked just now"
                whole = likeness.load(ledger.folder, card.cameo, card.likeness, ledger.key)
                found[card.cameo] = whole.only(each["scopes"])
    if refusal:
        raise refusal
    return found


def _decided(
    connection: sqlite3.Connection, ledger: Ledger, asks: Sequence[Ask], moment: Moment
) -> tuple[list[Lent], Fault | None]:
    lent: list[Lent] = []
    for ask in asks:
        found = decide(connection, ask, moment)
        if isinstance(found, Fault):
            return [], found
        if not likeness.is_here(ledger.folder, found.cameo):
            return [], Fault("gone", found.name)
        lent.append(found)
    if len({each.cameo for each in lent}) < len(lent):
        raise SoraError("one cameo is named twice, by its name and by its id; name it once")
    return lent, None


def _refused(
    connection: sqlite3.Connection, ledger: Ledger, use: Use, tags: Sequence[str], output: str | None = None
) -> Refusal | None:
    """Check an open use once more; where it is not allowed any more, end it and return why."""
    now, fault = _again(connection, ledger, use, tags)
    if not fault:
        return None
    place, _ = _end(connection, ledger, use, now, "refused", output=output, reason=fault.reason)
    return _refusal(fault, place)


def _refusal(fault: Fault, place: int) -> Refusal:
    return Refusal(fault.reason, fault.name, fault.detail, place)


def _again(connection: sqlite3.Connection, ledger: Ledger, use: Use, tags: Sequence[str]) -> tuple[int, Fault | None]:
    """Return the time, and what is wrong by now with a use that is open."""
    began = _opened(connection, use)
    now, back = ledger.now(connection)
    if back:
        return now, Fault("clock", use.lent[0].name, f"{back} s")
    if now > began + LONGEST_USE:
        return now, Fault("expired", use.lent[0].name, "the end of its day")
    policy = _intent(connection, use)["policy"]
    moment = Moment(me=ledger.did, now=now, tags=frozenset(tags), policy=policy)
    for each in _lent(connection, use):
        card, grant = records.card_of(connection, each["cameo"]), records.grant_of(connection, each["grant"])
        if card is None or grant is None:
            return now, Fault("not_lent", each["cameo"])
        for fault in weigh(connection, card, grant, each["scopes"], moment, counted=True):
            if fault:
                return now, fault
    return now, None


def _opened(connection: sqlite3.Connection, use: Use) -> int:
    """Return when an open use began; the ledger is asked, never the object that a caller holds."""
    found = None
    if HEX_ID.fullmatch(use.id):
        found = connection.execute("SELECT state, began FROM uses WHERE id = ?", (use.id,)).fetchone()
    if not found:
        raise SoraError("this use was never begun in this ledger; begin it first")
    if found[0] != "open":
        raise SoraError(f"this use has ended ({found[0]}); begin another")
    return found[1]


def _lent(connection: sqlite3.Connection, use: Use) -> list[dict[str, Any]]:
    found = connection.execute("SELECT lent FROM uses WHERE id = ?", (use.id,)).fetchone()
    return parse(b'{"lent":' + found[0] + b"}", "a use")["lent"]


def _intent(connection: sqlite3.Connection, use: Use) -> dict[str, Any]:
    found = connection.execute("SELECT intent FROM uses WHERE id = ?", (use.id,)).fetchone()
    return next(log.entries(connection, start=found[0])).value


def _end(
    connection: sqlite3.Connection,
    ledger: Ledger,
    use: Use,
    now: int,
    decision: str,
    *,
    output: str | None = None,
    reason: str | None = None,
) -> tuple[int, Checkpoint]:
    """Write how a use ended."""
    connection.execute("UPDATE uses SET state = ? WHERE id = ?", (decision, use.id))
    facts = {"use": use.id, "cameos": _lent(connection, use), "decision": decision, "output": output, "reason": reason}
    intent = _intent(connection, use)
    return ledger.event(connection, "result", now, prompt=intent["prompt"], **facts)


def _asked(connection: sqlite3.Connection, ledger: Ledger, asks: Sequence[Ask]) -> list[dict[str, Any]]:
    """Return what a refusal says of what was asked for: ids of known cameos, never a stranger's words."""
    found = [(ask, records.named(connection, ask.cameo, ledger.did)) for ask in asks]
    return [
        {"cameo": card.cameo, "owner": card.owner, "grant": None, "scopes": list(ask.scopes)}
        for ask, cards in found
        for card in cards[:2]
    ]


def _salted(prompt: str) -> tuple[bytes, str]:
    """Return a fresh salt, and the hash of a prompt under it; without the salt nobody can try prompts out."""
    data = prompt.encode("utf-8", "surrogatepass")
    if len(data) > _MOST_PROMPT:
        raise SoraError(f"the prompt has {len(data)} bytes and may have {_MOST_PROMPT}; shorten it")
    salt = secrets.token_bytes(16)
    return salt, hmac.new(salt, data, hashlib.sha256).hexdigest()
