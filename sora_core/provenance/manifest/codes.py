"""C2PA's codes for what failed, and what they mean for a file, in sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .plain import plain
from .reading import ManifestState

TRUSTED = "signingCredential.trusted"
UNTRUSTED = "signingCredential.untrusted"

SIGNER_ONLY = {
    UNTRUSTED: "the signer is not known here",
    "signingCredential.expired": "the signer's certificate has ended, so nobody can tell when this was signed",
    "claimSignature.outsideValidity": "the signer's certificate did not serve at the time of signing",
}
"""Failures that say something of the signer and nothing against the file."""

SENTENCES = SIGNER_ONLY | {
    "assertion.bmffHash.mismatch": "the picture, the sound or the file's frame was changed after signing",
    "assertion.dataHash.mismatch": "the file was changed after signing",
    "assertion.boxesHash.mismatch": "the file was changed after signing",
    "assertion.hashedURI.mismatch": "a statement in the manifest was changed after signing",
    "assertion.missing": "a statement is missing from the manifest",
    "claimSignature.mismatch": "the signature does not fit the manifest",
    "claimSignature.missing": "the manifest's signature is missing",
    "signingCredential.invalid": "the signer's certificate may not sign manifests",
    "signingCredential.ocsp.revoked": "the signer's certificate was taken back",
    "ingredient.manifest.mismatch": "the manifest of an ingredient was changed after signing",
    "ingredient.manifest.missing": "the manifest of an ingredient is missing",
}

OUTER_CHANGED = "org.soranodes.container.mismatch"
"""Our own, in the form of theirs."""
SELF_SIGNED = "org.soranodes.signer.selfSigned"

MOST_CODES = 50
_LONGEST = 100


def failures(results: object) -> list[str]:
    """Return the codes of what failed in a "validation results" of C2PA's, each once."""
    return _codes(results, "failure")


def successes(results: object) -> list[str]:
    """Return the codes of what held."""
    return _codes(results, "success")


def state_of(failed: Iterable[str], held: Iterable[str]) -> ManifestState:
    """Return the state that codes amount to; never "absent" or "unreadable"."""
    failed = set(failed)
    if failed - set(SIGNER_ONLY):
        return "broken"
    return "trusted" if TRUSTED in held and not failed else "intact"


def sentences(codes: Iterable[str]) -> tuple[str, ...]:
    """Return what the codes mean, each sentence once."""
    found = [SENTENCES.get(code, f"the check {code} failed") for code in codes]
    return tuple(dict.fromkeys(found))


def _codes(results: object, kind: str) -> list[str]:
    entries: Any = results.get(kind) if isinstance(results, dict) else None
    found = [
        plain(entry.get("code"), _LONGEST) or "unknown"
        for entry in (entries[: 100 * MOST_CODES] if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    return list(dict.fromkeys(found))[:MOST_CODES]
