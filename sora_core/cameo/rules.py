"""Whether a key may use a cameo now: the one place where grants, lists and dates are weighed."""

from __future__ import annotations

import re
import sqlite3
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from . import records
from .card import Card
from .grant import LEVELS, Grant
from .use import Ask, Fault, Lent

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7a3]")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When and for what is asked. me: the key that asks. now: Unix s. policy: hash of the moderation policy in force,
    or None. prompt: the words, empty where they were checked before. tags: what moderation says the clip is about."""

    me: str
    now: int
    prompt: str = ""
    tags: frozenset[str] = frozenset()
    policy: str | None = None


def find(connection: sqlite3.Connection, name: str, me: str) -> Card | Fault:
    """Return the cameo that a name or id means here."""
    found = records.named(connection, name, me)
    if len(found) == 1:
        return found[0]
    return Fault("ambiguous" if found else "unknown", name)


def decide(connection: sqlite3.Connection, ask: Ask, moment: Moment) -> Lent | Fault:
    """Return what allows a use, or why nothing does: of several grants the one that came nearest says why."""
    card = find(connection, ask.cameo, moment.me)
    if isinstance(card, Fault):
        return card
    held = records.grants_to(connection, card.cameo, moment.me)
    held.sort(key=lambda grant: (LEVELS.index(grant.level), grant.hash))
    nearest, reached = Fault("not_lent", card.name), -1
    for grant in held:
        faults = weigh(connection, card, grant, ask.scopes, moment)
        found = next(((step, fault) for step, fault in enumerate(faults) if fault), None)
        if found is None:
            return Lent(
                cameo=card.cameo,
                name=card.name,
                owner=card.owner,
                subject=card.subject,
                grant=grant.hash,
                level=grant.level,
                scopes=ask.scopes,
            )
        if found[0] > reached:
            reached, nearest = found
    return nearest


def weigh(
    connection: sqlite3.Connection,
    card: Card,
    grant: Grant,
    scopes: Iterable[str],
    moment: Moment,
    *,
    counted: bool = False,
) -> Iterable[Fault | None]:
    """Yield the result of one check after another: None where it holds.

    Args:
        connection: of a transaction that is open.
        card: of the cameo.
        grant: one that names this key or everyone.
        scopes: what is wanted.
        moment: when, and for what.
        counted: this use is counted already, as at the second check.
    """
    name = card.name
    yield from live(connection, card, grant, moment.now, counted=counted)
    missing = sorted(set(scopes) - set(grant.scopes))
    yield Fault("scope", name, missing[0]) if missing else None
    denied = next((each for each in grant.deny if _mentions(moment, each)), None)
    yield Fault("denied", name, ascii(denied)) if denied is not None else None
    yield Fault("policy", name) if grant.policy not in (None, moment.policy) else None
    yield Fault("mutual", name) if grant.level == "mutuals" and not _lent_back(connection, grant, moment) else None


def live(
    connection: sqlite3.Connection, card: Card, grant: Grant, now: int, *, counted: bool = False
) -> Iterable[Fault | None]:
    """Yield whether a grant holds at all: its card, its owner's list, its dates, its number of uses."""
    name, owner = card.name, grant.owner
    fits = (grant.owner, grant.card, grant.cameo) == (card.owner, card.hash, card.cameo)
    yield None if fits else Fault("not_lent", name)
    revoked = records.list_of(connection, owner)
    gone = revoked is not None and (grant.hash in revoked.grants or grant.cameo in revoked.cameos)
    yield Fault("revoked", name) if gone else None
    if grant.level != "only_me":
        if revoked is None:
            yield Fault("list_missing", name)
        elif not revoked.fresh(now):
            yield Fault("stale", name, _at(revoked.next_update))
    yield Fault("not_yet", name, _at(grant.not_before)) if now < grant.not_before else None
    yield Fault("expired", name, _at(grant.not_after)) if now > grant.not_after else None
    over = not counted and grant.max_uses is not None and records.uses_of(connection, grant.hash) >= grant.max_uses
    yield Fault("used_up", name, str(grant.max_uses)) if over else None


def _lent_back(connection: sqlite3.Connection, grant: Grant, moment: Moment) -> bool:
    """Return whether the key that asks has lent one of its own cameos to the owner, by name and still."""
    for own in records.grants_between(connection, moment.me, grant.owner):
        card = records.card_of(connection, own.cameo)
        if card and not any(live(connection, card, own, moment.now)):
            return True
    return False


def _mentions(moment: Moment, denied: str) -> bool:
    """Return whether a denied word or phrase is a tag, or stands in the prompt as whole words."""
    wanted = _words(denied)
    if not wanted or any(_words(tag) == wanted for tag in moment.tags):
        return True
    prompt = _words(moment.prompt)
    # scripts that put no space between words
    return wanted in prompt if _UNSPACED.search(wanted) else f" {wanted} " in f" {prompt} "


def _words(text: str) -> str:
    """Return words in lower case with one space between, without accents' variants and invisible letters."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORD.findall("".join(each for each in plain if unicodedata.category(each) != "Cf")))


def _at(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
