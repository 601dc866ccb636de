"""A decision of moderation as a text that goes over a wire, sealed so that nobody but this machine can write one."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from ...sora_core.errors import SoraError
from ...sora_core.moderation.decision import Decision
from ...sora_core.provenance.home import Home

KEY = "decisions"
LONGEST = 10_000


def sealed(decision: Decision, policy_name: str, home: Home) -> str:
    """Return a decision as JSON with the policy's name and a seal under a key of this machine."""
    told: dict[str, Any] = {**decision.record(), "policy_name": policy_name}
    told["seal"] = _seal(told, home)
    return json.dumps(told, sort_keys=True)


def read_decision(text: str, home: Home) -> dict[str, Any]:
    """Return what a sealed decision says.

    Raises:
        SoraError: it is none, or was not made on this machine.
    """
    try:
        told = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        seal = told.pop("seal", None)
        if isinstance(seal, str) and hmac.compare_digest(seal.encode("utf-8", "replace"), _seal(told, home).encode()):
            return told
    raise SoraError("what is connected as decision was not decided here; connect the decision of Sora Moderate")


def told_decision(text: str, home: Home) -> dict[str, str]:
    """Return the fields of a manifest's `Generation` that stand for a decision; without one, that nobody asked.

    Raises:
        SoraError: as `read_decision`.
    """
    if not text:
        return {"policy_decision": "not asked"}
    told = read_decision(text, home)
    return {
        "policy_id": str(told["policy_name"]),
        "policy_sha256": str(told["policy"]),
        "policy_decision": f"{told['action']}{', degraded' if told['degraded'] else ''}",
    }


def policy_of_decision(text: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the hash of the policy that a decision was made by, and what it met; nothing where there is none.

    Raises:
        SoraError: as `read_decision`.
    """
    if not text:
        return None, ()
    told = read_decision(text, Home.default())
    return str(told["policy"]), tuple(str(one) for one in (*told["categories"], *told["labels"]))


def _seal(told: dict[str, Any], home: Home) -> str:
    message = json.dumps(told, sort_keys=True).encode()
    return hmac.new(home.secret(KEY), message, hashlib.sha256).hexdigest()
