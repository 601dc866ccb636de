"""What the acts of ``sora cameo`` do with the ledger, and how they tell of it."""

# C sound channels, S samples

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SoraError

if TYPE_CHECKING:
    from ..cameo.ledger import Ledger, Standing
    from ..cameo.likeness import Likeness

MAX_FILE = 96 << 20
LISTED = 20

Answer = tuple[dict[str, Any], Sequence[str]]
"""What was done, as JSON and as lines."""

Act = Callable[["Ledger", argparse.Namespace], Answer]


def enroll(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Make a cameo, or say what a person must record first."""
    from ..cameo.card import ATTESTATION
    from ..cameo.words import CHALLENGE_NOTE

    if args.subject == "person" and args.video is None:
        challenge = ledger.challenge(args.name)
        facts = {"challenge": challenge.record(), "text": challenge.text}
        return facts, [
            f"{challenge.text};",
            "watch it, and within 15 minutes run the same command again with",
            "  --video FILE --confirmed --i-am-18-or-older",
            CHALLENGE_NOTE,
        ]
    card = ledger.enroll(
        args.name,
        subject=args.subject,
        attested=args.i_am_18_or_older,
        likeness=_likeness(args),
        recording=args.video,
        confirmed=args.confirmed,
    )
    facts = {"name": card.name, "cameo": card.cameo, "owner": card.owner, "subject": card.subject}
    facts |= {"scopes": list(card.scopes), "identity": "self-declared", "attestation": ATTESTATION[card.subject]}
    return facts, [f"{card.name} ({card.cameo}) may be used by you alone; it holds {' and '.join(card.scopes)}"]


def grant(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Lend a cameo."""
    signed = ledger.grant(
        args.name,
        level=args.level,
        grantee=args.to,
        scopes=args.scope,
        deny=args.deny,
        max_uses=args.max_uses,
        days=args.days,
        policy=args.policy,
    )
    facts = dict(signed.envelope["body"]) | {
        "grant": signed.hash,
        "file": _keep(args, ledger.export_grant, signed.hash),
    }
    lines = [f"grant {signed.hash}", f"lent to {signed.grantee}, {' and '.join(signed.scopes)}, for {args.days} days"]
    if args.output is not None:
        lines.append(f"send {args.output} to whom it is for; whoever it is for can copy the likeness in it")
    return facts, lines


def export(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Write a grant's file again, with the newest list."""
    if args.output is None:
        raise SoraError("a grant is written to a file for its grantee; name one with -o")
    return {"grant": args.grant, "file": _keep(args, ledger.export_grant, args.grant)}, [f"send {args.output} to them"]


def revoke(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Take back."""
    name = ledger.card(args.name).name
    revocations = ledger.revoke(args.name, args.grant)
    done = "the grant was taken back" if args.grant else f"{name} was taken back, and its likeness destroyed here"
    facts = {"revoked": args.grant or name, "counter": revocations.counter, "next_update": revocations.next_update}
    return facts | {"file": _keep(args, ledger.export_revocations)}, [done, _tell(args)]


def refresh(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Sign the list again."""
    revocations = ledger.refresh()
    facts = {"counter": revocations.counter, "next_update": revocations.next_update}
    return facts | {"file": _keep(args, ledger.export_revocations)}, [f"list {revocations.counter} signed", _tell(args)]


def take(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Take in a file."""
    from ..cameo.words import NOT_PROVEN

    taken = ledger.take(_read(args.file))
    facts: dict[str, Any] = {"kind": taken.kind, "of": taken.of}
    line = f"a revocation list of {taken.of}"
    if taken.card:
        facts |= {"name": taken.card.name, "cameo": taken.card.cameo}
        line = f"a vouch by {taken.of} for {taken.card.name}"
    if taken.card and taken.grant:
        facts |= {"grant": taken.grant.hash, "level": taken.grant.level}
        line = f"{taken.card.name} ({taken.card.cameo}), lent by {taken.of}"
    return facts, [f"took in {line}", NOT_PROVEN]


def show_all(ledger: Ledger, args: argparse.Namespace) -> Answer:  # noqa: ARG001
    """List cameos and grants."""
    standings = ledger.standings()
    lines: list[str] = []
    for each in standings:
        lines += [
            *_described(each),
            *(f"  grant {grant['grant']}  {grant['level']}" for grant in _facts(each)["grants"]),
        ]
    return {"key": ledger.did, "cameos": [_facts(each) for each in standings]}, lines or ["no cameo is known here"]


def use_check(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Say whether a use would be allowed."""
    from ..cameo.use import Ask, Refusal

    asks = [Ask(cameo=name, scopes=tuple(args.scope or ("face",))) for name in args.names]
    fault = ledger.may_use(asks, prompt=args.prompt, tags=args.tag, policy=args.policy)
    if fault is None:
        return {"allowed": True}, ["allowed now; it is checked again before anything is saved"]
    refusal = Refusal(fault.reason, fault.name, fault.detail)
    if not args.json:
        raise refusal
    return {"allowed": False, "reason": fault.reason, "sentence": str(refusal)}, []


def show_log(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Show entries, or compute all of it again."""
    if args.audit:
        head = ledger.audit()
        facts = {"size": head.size, "root": head.root.hex(), "whole": True}
        return facts, [f"{head.size} entries, each as it was signed; head {head.root.hex()}"]
    entries = ledger.orphans() if args.orphans else ledger.entries(args.name, args.newest or LISTED)
    lines = [_entry_line(entry.place, entry.value) for entry in entries]
    head = ledger.head()
    facts = {
        "size": head.size,
        "root": head.root.hex(),
        "entries": [{"index": at, **_whole(at, leaf)} for at, leaf in entries],
    }
    return facts, lines or ["no entry"]


def export_proof(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Write a proof."""
    if args.output is None:
        raise SoraError("a proof is written to a file; name one with -o")
    file = _keep(args, lambda: ledger.export_proof(args.name, since=args.since))
    head = ledger.head()
    facts = {"file": file, "log": ledger.did, "size": head.size, "root": head.root.hex()}
    return facts, [f"{file}: the log of {ledger.did}", f"{head.size} entries, head {head.root.hex()}"]


def verify(args: argparse.Namespace) -> int:
    """Check a proof; no ledger is opened or made."""
    from ..cameo.canonical import parse
    from ..cameo.proof import verify_proof

    record = parse(_read(args.record), "the record", 1 << 16) if args.record else None
    reading = verify_proof(_read(args.file), args.owner, record=record)
    facts = {
        "log": reading.log,
        "size": reading.head.size,
        "root": reading.head.root.hex(),
        "entries": len(reading.entries),
        "complete": reading.complete,
        "violations": list(reading.violations),
        "orphans": list(reading.orphans),
        "not_proven": reading.words,
    }
    lines = [f"{len(reading.entries)} of {reading.head.size} entries, each in the log that {reading.log} signed"]
    if not reading.complete:
        lines.append("others were left out of this file, so it does not show that there were no more uses")
    lines += [f"against its grants: {each}" for each in reading.violations]
    lines += [f"entry {place} was begun and has no result" for place in reading.orphans]
    print(json.dumps(facts, indent=2) if args.json else "\n".join([*lines, reading.words]))
    return 0


def show(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Show the key, or a cameo."""
    if args.name is None:
        if args.output is not None:
            raise SoraError("the card of a cameo is written, and none is named; name one, or leave -o out")
        return {"key": ledger.did, "log": ledger.origin}, [ledger.did]
    card = ledger.card(args.name)
    found = next(each for each in ledger.standings() if each.card.cameo == card.cameo)
    return _facts(found) | {"file": _keep(args, ledger.export_card, args.name)}, _described(found)


def vouch(ledger: Ledger, args: argparse.Namespace) -> Answer:
    """Put this key behind another's card."""
    if args.output is None:
        raise SoraError("a vouch is written to a file for the owner of the card; name one with -o")
    data = ledger.vouch(_read(args.file), kind=args.kind, statement=args.statement)
    return {"file": _keep(args, lambda: data), "by": ledger.did}, [f"send {args.output} to the owner of the card"]


def _described(standing: Standing) -> list[str]:
    """Return a cameo's lines."""
    from ..cameo.words import standing as words

    state = "taken back" if standing.revoked else "yours" if standing.mine else "lent to you"
    return [
        f"{words(standing.card, standing.identity)}; {state}",
        f"  id {standing.card.cameo}  of {standing.card.owner}",
    ]


def _facts(standing: Standing) -> dict[str, Any]:
    card = standing.card
    kept = ("cameo", "name", "owner", "subject", "created")
    shown = ("level", "grantee", "max_uses", "not_before", "not_after")
    grants = [
        {"grant": grant.hash, "scopes": list(grant.scopes), "deny": list(grant.deny)}
        | {key: getattr(grant, key) for key in shown}
        for grant in standing.grants
    ]
    facts = {key: getattr(card, key) for key in kept} | {"scopes": list(card.scopes), "identity": standing.identity}
    return facts | {"mine": standing.mine, "revoked": standing.revoked, "here": standing.here, "grants": grants}


def _whole(place: int, leaf: bytes) -> dict[str, Any]:
    from ..cameo.log import Entry

    return Entry(place, leaf).value


def _entry_line(place: int, value: Mapping[str, Any]) -> str:
    import time

    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(value["time"]))
    cameos = " ".join(lent["cameo"] for lent in value["cameos"])
    said = " ".join(str(value[key]) for key in ("decision", "reason", "output") if value.get(key))
    return f"{place:>6}  {at}  {value['kind']:<8} {cameos}  {said}".rstrip()


def _likeness(args: argparse.Namespace) -> Likeness:
    """Read the pictures and the sound."""
    from ..cameo.likeness import MAX_PICTURES, make_likeness
    from ..media.image import read_image

    if len(args.image) > MAX_PICTURES:
        raise SoraError(f"a cameo has 1 or {MAX_PICTURES} pictures, not {len(args.image)}; choose the best")
    pictures = [read_image(path) for path in args.image]
    if args.sound is None:
        return make_likeness(pictures)
    from ..media.sound_file import read_track

    track = read_track(args.sound)
    sound_CS = track.sound()
    if sound_CS is None:
        raise SoraError(f"{args.sound} holds no sound; name a file with a voice")
    return make_likeness(pictures, sound_CS.numpy(), track.sample_rate)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise SoraError(f"{path} has more than {MAX_FILE >> 20} MiB, which no file of a cameo has; name another")
        return path.read_bytes()
    except OSError as error:
        raise SoraError(f"{path} cannot be read: {error.strerror}; name a file that was sent to you") from error


def _keep(args: argparse.Namespace, make: Callable[..., bytes], *values: str) -> str | None:
    """Write the act's file, if one was asked for."""
    if args.output is None:
        return None
    from ..atomic import replacing

    data = make(*values)
    with replacing(args.output) as hidden:
        hidden.write_bytes(data)
    return str(args.output)


def _tell(args: argparse.Namespace) -> str:
    if args.output is not None:
        return f"send {args.output} to all who were lent something; until it, or a stale list, reaches them they go on"
    return "others know of it once they import the list, which -o writes; without one they must stop within a week"
