"""The signed head of a log: so many entries, this root, this key."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from ..errors import SoraError
from .owner_key import OwnerKey, raw_of, verify_bytes

_DASH = "\u2014"
_ED25519 = b"\x01"
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A head. size: entries. root: 32 bytes. note: the signed text, of C2SP tlog-checkpoint in a signed-note."""

    size: int
    root: bytes
    note: str


def origin_of(did: str) -> str:
    """Return the name of a holder's log, which is the name of the key in its notes too."""
    return f"sora-nodes/cameo/{hashlib.sha256(raw_of(did)).hexdigest()[:32]}"


def sign_checkpoint(key: OwnerKey, size: int, root: bytes) -> Checkpoint:
    """Return the signed head of a tree."""
    origin = origin_of(key.did)
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = base64.b64encode(_key_hash(origin, key.raw) + key.sign_bytes(text.encode())).decode()
    return Checkpoint(size=size, root=root, note=f"{text}\n{_DASH} {origin} {signature}\n")


def read_checkpoint(note: str, did: str) -> Checkpoint:
    """Return the head that a note signs.

    Raises:
        SoraError: it is no note of that key's log, or the signature does not fit.

    Source: C2SP signed-note (Ed25519, type 0x01) and tlog-checkpoint; one signature, no extension lines.
    """
    origin = origin_of(did)
    try:
        if len(note) > _LONGEST:
            raise ValueError("too long")
        text, _, rest = note.partition("\n\n")
        text += "\n"
        named, size, root64 = text.splitlines()
        dash, signer, signature64 = rest.removesuffix("\n").split(" ")
        root, signature = base64.b64decode(root64, validate=True), base64.b64decode(signature64, validate=True)
        whole = int(size)
        good = (
            named == signer == origin
            and dash == _DASH
            and size == str(whole)
            and whole >= 0
            and len(root) == 32
            and signature[:4] == _key_hash(origin, raw_of(did))
            and verify_bytes(text.encode(), signature[4:], did)
        )
    except ValueError:
        good, whole, root = False, 0, b""
    if not good:
        raise SoraError(f"the head of the log is not signed by {did}, or was changed after; ask for an honest copy")
    return Checkpoint(size=whole, root=root, note=note)


def _key_hash(name: str, raw: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]
