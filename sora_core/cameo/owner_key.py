"""The key of the person whose private folder it is: it signs grants, revocations and the log, and opens likenesses."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from ..provenance.home import Home, kept_once
from .canonical import canonical
from .fields import did as checked_did

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

FILE = "cameo_owner.pem"

_EXTRA = 'the consent ledger needs the extra: pip install "sora-nodes[provenance]"'
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MULTICODEC = b"\xed\x01"
_PRIME = 2**255 - 19
_SEALED = b"sora-nodes cameo sealed v1"
_NONCE = 12


@dataclass(frozen=True)
class OwnerKey:
    """An Ed25519 key pair whose private half is in memory.

    did: the public half as ``did:key`` (W3C, multicodec ed25519-pub). raw: its 32 bytes.
    """

    private: Ed25519PrivateKey
    did: str
    raw: bytes

    def sign_bytes(self, data: bytes) -> bytes:
        """Return 64 bytes of Ed25519 (RFC 8032)."""
        return self.private.sign(data)

    def sign(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return ``{"body", "signature"}``: base64 over the type of the body and its canonical JSON."""
        signature = self.private.sign(_signed(body))
        return {"body": body, "signature": base64.b64encode(signature).decode()}

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed to this key with `seal`.

        Raises:
            SoraError: it is for another key, or was changed.
        """
        _require()
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sender, nonce, rest = sealed[:32], sealed[32 : 32 + _NONCE], sealed[32 + _NONCE :]
        try:
            shared = self._exchange().exchange(X25519PublicKey.from_public_bytes(sender))
            return AESGCM(_derived(shared, sender, self.raw)).decrypt(nonce, rest, context)
        except (InvalidTag, ValueError) as error:
            raise SoraError(
                "a sealed likeness does not open with this key; ask its owner for one that is sealed to it"
            ) from error

    def _exchange(self) -> X25519PrivateKey:
        """Return the key for sealing that belongs to the same secret (the map of RFC 7748, 4.1)."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        seed = self.private.private_bytes_raw()
        return X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])


def owner_key(home: Home) -> OwnerKey:
    """Return the key of a private folder, made on first use: encrypted PKCS#8, readable by its owner alone.

    Raises:
        SoraError: the extra is missing, the file cannot be kept, or the passphrase does not open it.
    """
    _require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path, passphrase = home.file(FILE), home.passphrase()
    try:
        if path.exists():
            kept = path.read_bytes()
        else:
            fresh = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase),
            )
            kept = kept_once(path, fresh)
    except OSError as error:
        raise SoraError(f"the owner's key {path} cannot be kept or read: {error.strerror}; mend the folder") from error
    return _opened(kept, passphrase, path)


def seal(data: bytes, did: str, context: bytes) -> bytes:
    """Return bytes that only the holder of a key can open.

    X25519 with a fresh key, HKDF-SHA256, AES-256-GCM (RFC 7748, 5869, 5116); the recipient's key is the Montgomery form
    of the ``did:key``.

    Args:
        data: the secret, such as a data key.
        did: for whom.
        context: what it is for; opening with another context fails.
    """
    _require()
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    raw = raw_of(did)
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    u = (1 + y) * pow(1 - y, _PRIME - 2, _PRIME) % _PRIME
    fresh = X25519PrivateKey.generate()
    try:
        shared = fresh.exchange(X25519PublicKey.from_public_bytes(u.to_bytes(32, "little")))
    except ValueError as error:
        raise SoraError(f"{did} is no key that anything can be sealed to; ask for another") from error
    sender = fresh.public_key().public_bytes_raw()
    nonce = secrets.token_bytes(_NONCE)
    return sender + nonce + AESGCM(_derived(shared, sender, raw)).encrypt(nonce, data, context)


def verify(envelope: dict[str, Any], did: str, what: str) -> dict[str, Any]:
    """Return the body of a signed thing.

    Raises:
        SoraError: the signature is not that key's over this body.
    """
    body, signature = envelope["body"], envelope["signature"]
    try:
        good = verify_bytes(_signed(body), base64.b64decode(signature, validate=True), did)
    except (ValueError, TypeError):
        good = False
    if not good:
        raise SoraError(f"{what} is not signed by {did}, or was changed after; ask for an honest copy")
    return body


def verify_bytes(data: bytes, signature: bytes, did: str) -> bool:
    """Return whether a signature of Ed25519 is that key's."""
    _require()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(raw_of(did)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def did_of(raw: bytes) -> str:
    """Return 32 bytes of a public key as ``did:key``."""
    number, text = int.from_bytes(_MULTICODEC + raw, "big"), ""
    while number:
        number, place = divmod(number, 58)
        text = _ALPHABET[place] + text
    return f"did:key:z{text}"


def raw_of(did: str) -> bytes:
    """Return the 32 bytes of a ``did:key``.

    Raises:
        SoraError: it is no Ed25519 key.
    """
    number = 0
    for letter in checked_did(did).removeprefix("did:key:z"):
        number = number * 58 + _ALPHABET.index(letter)
    # 48 letters of base 58 reach further than 34 bytes
    data = number.to_bytes(40, "big").lstrip(b"\0")
    if len(data) != 34 or data[:2] != _MULTICODEC:
        raise SoraError(f"{did} is no public key of Ed25519; copy it whole")
    return data[2:]


def _opened(kept: bytes, passphrase: bytes, path: Path) -> OwnerKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        private = serialization.load_pem_private_key(kept, passphrase)
    except (ValueError, TypeError) as error:
        raise SoraError(
            f"the owner's key {path} does not open with this passphrase; give the one that it was made with "
            "in SORA_PASSPHRASE"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SoraError(f"{path} holds a key of another kind than Ed25519; put back the one that was there")
    public: Ed25519PublicKey = private.public_key()
    raw = public.public_bytes_raw()
    return OwnerKey(private, did_of(raw), raw)


def _signed(body: dict[str, Any]) -> bytes:
    """Return what is signed: the type stands before the body, so that no thing can be taken for another."""
    return b"sora-nodes cameo " + str(body["type"]).encode() + b"\n" + canonical(body)


def _derived(shared: bytes, sender: bytes, recipient: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, None, _SEALED + sender + recipient).derive(shared)


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise SoraError(_EXTRA) from error
