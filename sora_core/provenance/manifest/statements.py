"""The statements of one manifest, taken out of the library's JSON: whatever has another form than ours is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .labels import SOFT_BINDING, SOUND_MARK, VIDEO_MARK
from .plain import plain
from .reading import ActionReading, SignerReading
from .story import MarkClaim

MOST_ACTIONS = 200
MOST_MARKS = 64
MOST_NAMES = 16

_LAYERS = {VIDEO_MARK: "invisible", SOUND_MARK: "audio"}


def mapping(value: object) -> Mapping[str, Any]:
    """Return it if it is a mapping, and an empty one if not."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object, most: int) -> list[Any]:
    """Return the first of its entries if it is a list, and none if not."""
    return value[:most] if isinstance(value, list) else []


def texts(value: object, most: int = MOST_NAMES) -> tuple[str, ...]:
    """Return the strings of a list, made harmless."""
    return tuple(plain(one) for one in sequence(value, most) if isinstance(one, str))


def assertions_of(manifest: Mapping[str, Any], label: str) -> Iterator[Mapping[str, Any]]:
    """Yield the data of the assertions of that label."""
    for one in sequence(manifest.get("assertions"), 10_000):
        entry = mapping(one)
        if entry.get("label") == label:
            yield mapping(entry.get("data"))


def first_of(manifest: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    """Return the data of the first assertion of that label, empty where there is none."""
    return next(assertions_of(manifest, label), {})


def signer_of(manifest: Mapping[str, Any]) -> SignerReading:
    """Return whose certificate it is."""
    info = mapping(manifest.get("signature_info"))
    return SignerReading(
        common_name=plain(info.get("common_name")),
        organisation=plain(info.get("issuer")),
        serial=plain(info.get("cert_serial_number"), 80),
        algorithm=plain(info.get("alg"), 20),
    )


def generator_of(manifest: Mapping[str, Any]) -> str:
    """Return the program that made the manifest, with its version."""
    info = mapping(next(iter(sequence(manifest.get("claim_generator_info"), 1)), None))
    return plain(f"{plain(info.get('name'))} {plain(info.get('version'), 40)}".strip())


def actions_of(manifest: Mapping[str, Any]) -> tuple[ActionReading, ...]:
    """Return what is said to have been done, in order."""
    found: list[ActionReading] = []
    for label in ("c2pa.actions.v2", "c2pa.actions"):
        for data in assertions_of(manifest, label):
            for one in sequence(data.get("actions"), MOST_ACTIONS):
                action = mapping(one)
                agent = action.get("softwareAgent")
                found.append(
                    ActionReading(
                        name=plain(action.get("action"), 80),
                        source=plain(action.get("digitalSourceType")).rsplit("/", 1)[-1],
                        agent=plain(agent) or plain(mapping(agent).get("name")),
                        description=plain(action.get("description")),
                        when=plain(action.get("when"), 40),
                    )
                )
    return tuple(found[:MOST_ACTIONS])


def marks_of(manifest: Mapping[str, Any]) -> tuple[tuple[MarkClaim, ...], tuple[str, ...]]:
    """Return the soft bindings of our kind, and the names of those of other kinds."""
    found: list[MarkClaim] = []
    others: list[str] = []
    for data in assertions_of(manifest, SOFT_BINDING):
        name = data.get("alg")
        if name not in _LAYERS:
            others.append(plain(name, 80))
            continue
        layer = "invisible" if name == VIDEO_MARK else "audio"
        for one in sequence(data.get("blocks"), MOST_MARKS):
            block = mapping(one)
            span = mapping(mapping(block.get("scope")).get("timespan"))
            start, stop = (_seconds(span.get(key)) for key in ("start", "end"))
            mark_id = _id(block.get("value"), 16 if layer == "invisible" else 8)
            if mark_id is not None and 0 <= start <= stop:
                found.append(MarkClaim(layer=layer, mark_id=mark_id, start_s=start, stop_s=stop))
    return tuple(found[:MOST_MARKS]), tuple(dict.fromkeys(others[:MOST_NAMES]))


def _id(value: object, digits: int) -> int | None:
    if isinstance(value, str) and len(value) == digits and all(one in "0123456789abcdef" for one in value):
        return int(value, 16)
    return None


def _seconds(value: object) -> float:
    """Milliseconds as C2PA has them; below zero where it is no time."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value >= 1e12:
        return -1.0
    return value / 1000
