"""The list of what an owner has taken back: counted, dated, and worthless once it is stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SoraError
from .envelope import VERSION, read_envelope
from .fields import DID, HASH, HEX_ID, Check, listed, matches, one_of, whole
from .grant import DAY
from .owner_key import OwnerKey

FRESH = 7 * DAY
"""How long a list counts as fresh (our decision: a week without word from the owner stops the use)."""

LONGEST_FRESH = 31 * DAY
MOST = 10_000

_SCHEMA: Mapping[str, Check] = {
    "v": one_of(VERSION),
    "type": one_of("revocations"),
    "owner": matches(DID),
    "counter": whole(1),
    "issued": whole(0),
    "next_update": whole(0),
    "grants": listed(matches(HASH), 0, MOST),
    "cameos": listed(matches(HEX_ID), 0, MOST),
}


@dataclass(frozen=True, kw_only=True)
class Revocations:
    """A checked list of one owner.

    counter: grows by one with each list; an older one is never taken after a newer one. issued, next_update: Unix
    seconds; it is fresh from the one to the other. grants: hashes taken back. cameos: ids taken back as a whole.
    """

    owner: str
    counter: int
    issued: int
    next_update: int
    grants: frozenset[str]
    cameos: frozenset[str]
    envelope: dict[str, Any] = field(repr=False)

    def fresh(self, now: int) -> bool:
        """Return whether it may still be relied on."""
        return self.issued <= now <= self.next_update


def sign_revocations(
    key: OwnerKey, *, counter: int, issued: int, grants: Sequence[str], cameos: Sequence[str], fresh_s: int = FRESH
) -> Revocations:
    """Return a signed list.

    Raises:
        SoraError: it would hold more than 10000 entries, or be fresh for more than 31 days.
    """
    body = {
        "v": VERSION,
        "type": "revocations",
        "owner": key.did,
        "counter": counter,
        "issued": issued,
        "next_update": issued + fresh_s,
        "grants": sorted(set(grants)),
        "cameos": sorted(set(cameos)),
    }
    return read_revocations(key.sign(body))


def read_revocations(envelope: Any) -> Revocations:  # noqa: ANN401
    """Return a list after all of it was checked.

    Raises:
        SoraError: it is malformed, not signed by the owner it names, or stays fresh for longer than 31 days.
    """
    body = read_envelope(envelope, schema=_SCHEMA, signer="owner", what="the revocation list")
    if not 0 <= body["next_update"] - body["issued"] <= LONGEST_FRESH:
        days = (body["next_update"] - body["issued"]) / DAY
        raise SoraError(f"a revocation list cannot be fresh for {days:g} days; it is for 0 to {LONGEST_FRESH // DAY}")
    return Revocations(
        owner=body["owner"],
        counter=body["counter"],
        issued=body["issued"],
        next_update=body["next_update"],
        grants=frozenset(body["grants"]),
        cameos=frozenset(body["cameos"]),
        envelope=envelope,
    )
