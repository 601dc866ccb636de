"""Who signs: a signer that is made on this machine at first use, kept in the private folder, and renewed by itself."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...errors import SoraError
from ..home import PASSPHRASE_VARIABLE, Home, kept_once
from .native import cryptography_needed
from .plain import plain

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

AUTHORITY_FILE = "signer.pem"
"""Certificates of root and authority, and the authority's encrypted key."""
LEAF_FILE = "signer-leaf-{:04d}.pem"
_LEAVES = re.compile(r"signer-leaf-(\d{4})\.pem")

RENEWED_BEFORE = timedelta(days=30)

UNKNOWN_TO_OTHERS = (
    "the signer was made on this machine: other programs can check that nothing was changed since, "
    "but they show the signer as unknown, for nobody has vouched for who it is"
)
"""What a user is told beside "signed"."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----\s.+?-----END \1-----\s*", re.DOTALL)


class Identity:
    """A key and the certificates that stand for it. The key shows in no representation and in no pickle.

    chain_pem: the leaf's certificate first, then those that issued it, without the root.
    anchors_pem: certificates by which files of this signer are recognised when they are read back.
    algorithm: C2PA's name, such as "es256". local: made on this machine, see `UNKNOWN_TO_OTHERS`.
    """

    __slots__ = ("_key_pem", "algorithm", "anchors_pem", "chain_pem", "common_name", "local", "organisation")

    def __init__(
        self, *, key_pem: bytes, chain_pem: bytes, anchors_pem: bytes, algorithm: str, leaf: Certificate, local: bool
    ) -> None:
        """Keep them; ``key_pem`` is PKCS#8 without encryption."""
        self._key_pem = key_pem
        self.chain_pem, self.anchors_pem, self.algorithm, self.local = chain_pem, anchors_pem, algorithm, local
        self.common_name, self.organisation = names_of(leaf)

    def __repr__(self) -> str:
        """Return the name alone."""
        return f"Identity({self.common_name!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be written anywhere."""
        raise TypeError("a signing key is not written anywhere")

    def signer(self) -> Any:  # noqa: ANN401
        """Return the library's signer; it is closed by its ``with``.

        Raises:
            SoraError: the library is missing or refuses the certificate.
        """
        from .native import c2pa_module

        c2pa = c2pa_module()
        info = c2pa.C2paSignerInfo(
            alg=self.algorithm.encode(), sign_cert=self.chain_pem, private_key=self._key_pem, ta_url=None
        )
        try:
            return c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise SoraError(f"the certificate of {self.common_name!r} cannot sign ({plain(str(error))})") from error


def local_identity(home: Home, now: datetime | None = None) -> Identity:
    """Return the signer of this machine, made on first use; a leaf that ends soon is renewed.

    Args:
        home: where it is kept; however many processes come first at once, they end with one signer.
        now: the time, in UTC; by default the clock's.

    Raises:
        SoraError: it cannot be kept or opened, the clock is wrong, or the extra is missing.
    """
    cryptography_needed()
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    now = now or datetime.now(timezone.utc)
    kept = _kept(home, AUTHORITY_FILE, lambda: _new_authority_file(home, now))
    try:
        root, authority = x509.load_pem_x509_certificates(kept)
    except ValueError as error:
        raise _damaged(home.file(AUTHORITY_FILE)) from error
    if not authority.not_valid_before_utc <= now < authority.not_valid_after_utc - RENEWED_BEFORE:
        raise SoraError(
            f"the clock says {now:%Y-%m-%d} and the signer in {home.file(AUTHORITY_FILE)} serves from "
            f"{authority.not_valid_before_utc:%Y-%m-%d} to {authority.not_valid_after_utc - RENEWED_BEFORE:%Y-%m-%d}; "
            "set the clock, or move that file away for a new signer"
        )
    leaf, key_pem = _leaf(home, kept, authority, now)
    return Identity(
        key_pem=key_pem,
        chain_pem=leaf.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM),
        anchors_pem=root.public_bytes(Encoding.PEM),
        algorithm="es256",
        leaf=leaf,
        local=True,
    )


def local_anchors(home: Home) -> bytes:
    """Return the PEM certificate by which this machine's own files are recognised; empty if it never signed.

    Nothing is made.

    Raises:
        SoraError: it cannot be read.
    """
    path = home.folder / AUTHORITY_FILE
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SoraError(f"the signer {path} cannot be read: {error.strerror}") from error
    first = next((block[0] for block in _BLOCK.finditer(kept) if block[1] == b"CERTIFICATE"), None)
    if first is None:
        raise _damaged(path)
    return first


def names_of(certificate: Certificate) -> tuple[str, str]:
    """Return the common name and the organisation of a certificate's subject, made harmless."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def named(kind: x509.ObjectIdentifier) -> str:
        found = certificate.subject.get_attributes_for_oid(kind)
        return plain(found[0].value) if found else ""

    return named(NameOID.COMMON_NAME), named(NameOID.ORGANIZATION_NAME)


def pem_keys(data: bytes) -> list[bytes]:
    """Return the private keys in a PEM file, as they are."""
    return [block[0] for block in _BLOCK.finditer(data) if block[1].endswith(b"PRIVATE KEY")]


def bare(key: Any) -> bytes:  # noqa: ANN401
    """Return a private key as PEM PKCS#8 without encryption: for memory alone."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _leaf(home: Home, authority_file: bytes, authority: Certificate, now: datetime) -> tuple[Certificate, bytes]:
    numbers = sorted(
        int(found[1]) for path in home.folder.iterdir() if (found := _LEAVES.fullmatch(path.name)) is not None
    )
    for number in reversed(numbers):
        path = home.file(LEAF_FILE.format(number))
        kept = _kept(home, path.name, None)
        leaf = _certificate(kept, path)
        if leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - RENEWED_BEFORE:
            return leaf, bare(_open(home, kept, path))
    name = LEAF_FILE.format(numbers[-1] + 1 if numbers else 1)
    kept = _kept(home, name, lambda: _new_leaf_file(home, authority_file, authority, now))
    path = home.file(name)
    fresh = _certificate(kept, path), bare(_open(home, kept, path))
    for number in numbers:
        # the one before may be in use by another process, and is spared until it has ended
        old = home.file(LEAF_FILE.format(number))
        if number < numbers[-1]:
            old.unlink(missing_ok=True)
    return fresh


def _new_authority_file(home: Home, now: datetime) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    from .certificate import new_authority

    root, authority, key = new_authority(now)
    return root.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM) + _sealed(home, key)


def _new_leaf_file(home: Home, authority_file: bytes, authority: Certificate, now: datetime) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    from .certificate import new_leaf

    leaf, key = new_leaf(authority, _open(home, authority_file, home.file(AUTHORITY_FILE)), now)
    return leaf.public_bytes(Encoding.PEM) + _sealed(home, key)


def _sealed(home: Home, key: Any) -> bytes:  # noqa: ANN401
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(home.passphrase()))


def _open(home: Home, kept: bytes, path: Path) -> Any:  # noqa: ANN401
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    keys = pem_keys(kept)
    if len(keys) != 1:
        raise _damaged(path)
    passphrase = home.passphrase()
    try:
        return load_pem_private_key(keys[0], passphrase)
    except (ValueError, TypeError) as error:
        raise SoraError(
            f"the signing key {path} does not open with this passphrase; set {PASSPHRASE_VARIABLE} to the one it was "
            "made with, or move the signer's files away for a new signer"
        ) from error


def _certificate(kept: bytes, path: Path) -> Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(kept)
    except ValueError as error:
        raise _damaged(path) from error


def _kept(home: Home, name: str, fresh: Any) -> bytes:  # noqa: ANN401
    """fresh: makes what is kept if nothing is there; None for files that are there."""
    path = home.file(name)
    try:
        return path.read_bytes() if fresh is None or path.exists() else kept_once(path, fresh())
    except OSError as error:
        raise SoraError(
            f"the signer {path} cannot be kept or read: {error.strerror}; mend the folder's rights or free some space"
        ) from error


def _damaged(path: Path) -> SoraError:
    return SoraError(f"the signer {path} is damaged; put back the copy that you kept, or move it away for a new signer")
