"""Proofs that leave the ledger: what it holds, that it only grew, and which grants allowed it; one file, one key."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SoraError
from . import log, records, tree
from .canonical import canonical, parse
from .card import SCOPES
from .checkpoint import Checkpoint, read_checkpoint
from .fields import DID, HASH, HEX_ID, Check, exactly, listed, matches, one_of, optional, whole
from .fields import did as checked_did
from .grant import EVERYONE, Grant, read_grant
from .words import NOT_PROVEN

KINDS = ("enroll", "grant", "revoke", "import", "intent", "result", "refusal")
ALLOWED = ("allowed", "saved", "draft")

_MOST = 2_000_000
_PATH = 64
_NOTE = 1000
_REASON = re.compile(r"[a-z_]{1,80}")


def _list_of(check: Check, most: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= most and all(check(each) for each in value)


def _note(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, str) and len(value) <= _NOTE


def _object(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict)


_SCHEMA: Mapping[str, Check] = {
    "v": one_of(1),
    "type": one_of("proof"),
    "log": matches(DID),
    "checkpoint": _note,
    "entries": _list_of(_object, _MOST),
    "grants": _list_of(_object, _MOST),
    "earlier": optional(_object),
}
_ENTRY: Mapping[str, Check] = {
    "index": whole(0, _MOST),
    "leaf": _object,
    "path": _list_of(matches(HASH), _PATH),
}
_EARLIER: Mapping[str, Check] = {"checkpoint": _note, "path": _list_of(matches(HASH), _PATH)}
_LEAF: Mapping[str, Check] = {
    "v": one_of(1),
    "kind": one_of(*KINDS),
    "time": whole(0),
    "cameos": _list_of(_object, 8),
    "use": optional(matches(HEX_ID)),
    "decision": optional(one_of("allowed", "refused", "saved", "draft", "failed")),
    "output": optional(matches(HASH)),
    "reason": optional(matches(_REASON)),
    "prompt": optional(matches(HASH)),
    "policy": optional(matches(HASH)),
    "card": optional(matches(HASH)),
    "subject": optional(one_of("person", "character")),
    "level": optional(matches(re.compile("[a-z_]{1,20}"))),
    "counter": optional(whole(1)),
}
_LENT: Mapping[str, Check] = {
    "cameo": matches(HEX_ID),
    "owner": matches(DID),
    "grant": optional(matches(HASH)),
    "scopes": listed(lambda value: value in SCOPES, 1, 2),
}


@dataclass(frozen=True, kw_only=True)
class ProofReading:
    """What a proof shows.

    log: the key that signed the log. head: its newest head in the file. earlier: an older head that it grew from, or
    None. entries: the log's entries, by place. complete: these are all entries up to the head; where False, others
    may have been left out. violations: uses in the log that the owner's grants did not allow. orphans: uses that were
    begun and have no result. words: what is not proven.
    """

    log: str
    head: Checkpoint
    earlier: Checkpoint | None
    entries: Mapping[int, Mapping[str, Any]]
    complete: bool
    violations: tuple[str, ...]
    orphans: tuple[int, ...]
    words: str = NOT_PROVEN


def export(connection: sqlite3.Connection, did: str, cameo: str | None, since: int | None) -> bytes:
    """Return a proof of the entries of a cameo, or all, under the newest head."""
    head, node = log.head(connection), log.nodes(connection)
    if not head.size:
        raise SoraError("the log has no entry yet, so there is nothing to prove; use a cameo first")
    entries, grants = [], {}
    for entry in log.entries(connection, cameo=cameo):
        leaf = entry.value
        path = [step.hex() for step in tree.inclusion(entry.place, head.size, node)]
        entries.append({"index": entry.place, "leaf": leaf, "path": path})
        for lent in leaf["cameos"]:
            if lent["grant"] and lent["grant"] not in grants and (found := records.grant_of(connection, lent["grant"])):
                grants[lent["grant"]] = found.envelope
    earlier = None
    if since is not None:
        old = log.head(connection, since)
        steps = tree.consistency(since, head.size, node)
        earlier = {"checkpoint": old.note, "path": [step.hex() for step in steps]}
    return canonical(
        {
            "v": 1,
            "type": "proof",
            "log": did,
            "checkpoint": head.note,
            "entries": entries,
            "grants": list(grants.values()),
            "earlier": earlier,
        }
    )


def verify_proof(data: bytes, owner: str, *, record: Mapping[str, Any] | None = None) -> ProofReading:
    """Check a proof with nothing but the file and the public key of the cameo's owner.

    Args:
        data: the file.
        owner: ``did:key`` of the owner whose grants are looked at; the log may be another's, whom they name.
        record: what a clip's manifest pinned, to show that the log still holds it: ``Use.record()``, or one of the
            manifest's cameos with ``log_index``, ``log_head`` and ``grant_sha256``.

    Raises:
        SoraError: the file is malformed, a hash or signature does not fit, or it does not cover ``record``.
    """
    checked_did(owner)
    value = parse(data, "the proof")
    exactly(value, _SCHEMA, "the proof")
    head = read_checkpoint(value["checkpoint"], value["log"])
    entries = _included(value["entries"], head)
    earlier = _earlier(value, head)
    grants = {grant.hash: grant for grant in map(read_grant, value["grants"])}
    _hold_together(entries)
    if record is not None:
        _pinned(record, value["log"], entries, [head, earlier] if earlier else [head])
    return ProofReading(
        log=value["log"],
        head=head,
        earlier=earlier,
        entries=entries,
        complete=len(entries) == head.size,
        violations=tuple(_violations(entries, grants, owner, value["log"])),
        orphans=tuple(_orphans(entries)),
    )


def _included(listed_entries: Sequence[Any], head: Checkpoint) -> dict[int, dict[str, Any]]:
    """Return the entries by place, after each was found in the tree."""
    found: dict[int, dict[str, Any]] = {}
    last = -1
    for entry in listed_entries:
        exactly(entry, _ENTRY, "an entry of the proof")
        index, leaf = entry["index"], entry["leaf"]
        exactly({**dict.fromkeys(_LEAF), **leaf}, _LEAF, f"entry {index} of the proof")
        for lent in leaf["cameos"]:
            exactly(lent, _LENT, f"entry {index} of the proof")
        path = [bytes.fromhex(step) for step in entry["path"]]
        root = tree.root_from_inclusion(index, head.size, tree.leaf_hash(canonical(leaf)), path)
        if index <= last or root != head.root:
            raise SoraError(f"entry {index} of the proof is not in the log that was signed; ask for an honest proof")
        found[index] = leaf
        last = index
    return found


def _earlier(value: Mapping[str, Any], head: Checkpoint) -> Checkpoint | None:
    """Return the older head, after it was shown that the log only grew from it."""
    if value["earlier"] is None:
        return None
    exactly(value["earlier"], _EARLIER, "the earlier head of the proof")
    old = read_checkpoint(value["earlier"]["checkpoint"], value["log"])
    path = [bytes.fromhex(step) for step in value["earlier"]["path"]]
    if not tree.is_consistent(old.size, head.size, old.root, head.root, path):
        raise SoraError(f"the log of {head.size} entries did not grow from the one of {old.size}; it was rewritten")
    return old


def _hold_together(entries: Mapping[int, Mapping[str, Any]]) -> None:
    """Refuse a log whose time goes back, or whose results have no intent before them."""
    time, open_uses = 0, set()
    for index, leaf in entries.items():
        use = leaf.get("use")
        wrong = leaf["time"] < time
        if leaf["kind"] == "intent":
            wrong = wrong or use is None
            open_uses.add(use)
        elif leaf["kind"] == "result":
            wrong = wrong or use not in open_uses
            open_uses.discard(use)
        if wrong:
            raise SoraError(f"entry {index} of the proof does not follow from those before; ask for an honest proof")
        time = leaf["time"]


def _pinned(
    record: Mapping[str, Any], holder: str, entries: Mapping[int, Mapping[str, Any]], heads: Sequence[Checkpoint]
) -> None:
    """Refuse a proof that does not hold what a clip's manifest pinned."""
    index, head = (record.get(key, record.get(f"log_{key}")) for key in ("index", "head"))
    if "log" in record and record["log"] != holder:
        raise SoraError("the clip names the log of another key than this proof's; ask for a proof of that one")
    leaf = entries.get(index) if isinstance(index, int) else None
    lent = leaf["cameos"] if leaf and leaf["kind"] == "intent" else []
    known = lent and record.get("cameos", lent) == lent
    if not known or record.get("grant_sha256", lent[0]["grant"]) not in [each["grant"] for each in lent]:
        raise SoraError("the proof does not hold the use that the clip names; the log was rewritten, or ask for more")
    assert isinstance(index, int)
    # the head that a clip pins was signed right after its own intent
    if record.get("size", index + 1) != index + 1 or (index + 1, head) not in [
        (one.size, one.root.hex()) for one in heads
    ]:
        raise SoraError(
            "the proof does not reach the head that the clip names, or the log was rewritten; ask for one since "
            f"{index + 1} entries"
        )


def _violations(
    entries: Mapping[int, Mapping[str, Any]], grants: Mapping[str, Grant], owner: str, holder: str
) -> Iterable[str]:
    """Yield what the log itself shows against the owner's grants."""
    failed = {leaf["use"] for leaf in entries.values() if leaf["kind"] == "result" and leaf.get("decision") == "failed"}
    used: dict[str, int] = {}
    for index, leaf in entries.items():
        if leaf.get("decision") not in ALLOWED:
            continue
        for lent in leaf["cameos"]:
            if lent["owner"] != owner:
                continue
            grant = grants.get(lent["grant"] or "")
            if grant is None or (grant.owner, grant.cameo) != (owner, lent["cameo"]):
                yield f"entry {index} names no grant by this owner"
                continue
            if grant.grantee not in (holder, EVERYONE):
                yield f"entry {index} uses a grant that was given to another key"
            if not grant.not_before <= leaf["time"] <= grant.not_after:
                yield f"entry {index} is outside the dates of its grant"
            if set(lent["scopes"]) - set(grant.scopes):
                yield f"entry {index} uses more than its grant covers"
            if leaf["kind"] == "intent" and leaf["use"] not in failed:
                used[grant.hash] = used.get(grant.hash, 0) + 1
                if grant.max_uses is not None and used[grant.hash] > grant.max_uses:
                    yield f"entry {index} is one use more than its grant allows"


def _orphans(entries: Mapping[int, Mapping[str, Any]]) -> Iterable[int]:
    ended = {leaf["use"] for leaf in entries.values() if leaf["kind"] == "result"}
    return (index for index, leaf in entries.items() if leaf["kind"] == "intent" and leaf["use"] not in ended)
