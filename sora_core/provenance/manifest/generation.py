"""What made a clip, in a form that can be shown to strangers: hashes for what is private, words for what is not."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import SoraError
from .plain import plain

SALT_BYTES = 16
LONGEST_PROMPT = 20_000
"""Characters of a prompt that is written out; a manifest is read whole by everybody who checks it."""
MOST_CAMEOS = 64


@dataclass(frozen=True, kw_only=True)
class CameoUse:
    """Consent to somebody's likeness. grant_sha256: of the signed grant. log_head, log_index: where its use is kept.

    Hashes are 64 hex digits; log_index counts from 0.
    """

    grant_sha256: str
    log_head: str
    log_index: int


@dataclass(frozen=True, kw_only=True)
class Generation:
    """How a clip came to be.

    prompt_salt, prompt_sha256: hex, "" where there was no prompt. Whoever knows the prompt can prove it with them;
        whoever guesses it can test the guess, so a short prompt is hidden from the eye and not from the stubborn.
    prompt: the words themselves, only where the user asked to show them.
    workflow_sha256, model_sha256, policy_sha256: 64 hex digits, or "" where there is none.
    seed: any whole number. policy_decision: such as "allowed".
    """

    prompt_salt: str = ""
    prompt_sha256: str = ""
    prompt: str = ""
    workflow_sha256: str = ""
    seed: int | None = None
    model_name: str = ""
    model_sha256: str = ""
    policy_id: str = ""
    policy_sha256: str = ""
    policy_decision: str = ""
    cameos: tuple[CameoUse, ...] = ()

    def __post_init__(self) -> None:
        """Refuse hashes that are none, before they are signed."""
        for name in ("prompt_sha256", "workflow_sha256", "model_sha256", "policy_sha256"):
            value = getattr(self, name)
            if value and not _is_hash(value):
                raise SoraError(f"{name} {plain(value, 80)!r} must be 64 hex digits, or empty")
        for cameo in self.cameos:
            if not (_is_hash(cameo.grant_sha256) and _is_hash(cameo.log_head) and cameo.log_index >= 0):
                raise SoraError(f"the use of a cameo {cameo!r} must hold two hashes of 64 hex digits and an index")
        if len(self.prompt) > LONGEST_PROMPT:
            raise SoraError(
                f"the prompt has {len(self.prompt)} characters and a manifest shows at most {LONGEST_PROMPT}; "
                "leave it out, its hash is kept all the same"
            )

    def proves(self, prompt: str) -> bool:
        """Tell whether these are the words that the clip was made from."""
        if not self.prompt_sha256:
            return False
        return hmac.compare_digest(salted_sha256(prompt, bytes.fromhex(self.prompt_salt)), self.prompt_sha256)


def salted(prompt: str, *, show: bool = False) -> dict[str, str]:
    """Return the fields of a `Generation` that stand for a prompt: ``Generation(**salted(prompt), seed=1)``.

    show: also the words themselves.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    fields = {"prompt_salt": salt.hex(), "prompt_sha256": salted_sha256(prompt, salt)}
    return fields | {"prompt": prompt} if show else fields


def salted_sha256(prompt: str, salt: bytes) -> str:
    """Return SHA-256 of the salt and the prompt in UTF-8, as hex: anybody can compute it with common tools."""
    return hashlib.sha256(salt + prompt.encode("utf-8", "surrogatepass")).hexdigest()


def generation_data(record: Generation) -> dict[str, Any]:
    """Return the record as it is signed; what is empty is left out."""
    data: dict[str, Any] = {
        "prompt": {"salt": record.prompt_salt, "sha256": record.prompt_sha256} if record.prompt_sha256 else None,
        "prompt_text": record.prompt,
        "workflow_sha256": record.workflow_sha256,
        # numbers above 63 bits are no numbers to the library, so seeds are written in digits
        "seed": None if record.seed is None else str(record.seed),
        "model": {"name": plain(record.model_name), "sha256": record.model_sha256} if record.model_name else None,
        "policy": {
            "id": plain(record.policy_id),
            "sha256": record.policy_sha256,
            "decision": plain(record.policy_decision),
        }
        if record.policy_id or record.policy_decision
        else None,
        "cameos": [
            {"grant_sha256": cameo.grant_sha256, "log_head": cameo.log_head, "log_index": cameo.log_index}
            for cameo in record.cameos
        ],
    }
    return {key: value for key, value in data.items() if value not in (None, "", [])}


def read_generation(data: object) -> Generation | None:
    """Return what a stranger's record says, as far as it has the form of ours; None where it has not."""
    if not isinstance(data, Mapping):
        return None
    prompt, model, policy = (_mapping(data.get(key)) for key in ("prompt", "model", "policy"))
    seed = data.get("seed")
    salt = prompt.get("salt")
    text = data.get("prompt_text")
    return Generation(
        prompt_salt=salt if isinstance(salt, str) and _is_hex(salt, 2 * SALT_BYTES) else "",
        prompt_sha256=_hash(prompt.get("sha256")),
        prompt=plain(text, LONGEST_PROMPT),
        workflow_sha256=_hash(data.get("workflow_sha256")),
        seed=int(seed)
        if isinstance(seed, str) and seed.isascii() and seed.lstrip("-").isdigit() and len(seed) < 40
        else None,
        model_name=plain(model.get("name")),
        model_sha256=_hash(model.get("sha256")),
        policy_id=plain(policy.get("id")),
        policy_sha256=_hash(policy.get("sha256")),
        policy_decision=plain(policy.get("decision")),
        cameos=_cameos(data.get("cameos")),
    )


def _cameos(entries: object) -> tuple[CameoUse, ...]:
    found: list[CameoUse] = []
    for entry in entries[:MOST_CAMEOS] if isinstance(entries, list) else ():
        uses = _mapping(entry)
        index = uses.get("log_index")
        grant, head = _hash(uses.get("grant_sha256")), _hash(uses.get("log_head"))
        if grant and head and isinstance(index, int) and not isinstance(index, bool) and index >= 0:
            found.append(CameoUse(grant_sha256=grant, log_head=head, log_index=index))
    return tuple(found)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _hash(value: object) -> str:
    return value if isinstance(value, str) and _is_hash(value) else ""


def _is_hash(value: str) -> bool:
    return _is_hex(value, 64)


def _is_hex(value: str, digits: int) -> bool:
    return len(value) == digits and all(character in "0123456789abcdef" for character in value)
