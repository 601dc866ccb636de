"""A signer with the user's own certificate: what is wrong with it is said before anything is signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import SoraError
from ..home import PASSPHRASE_VARIABLE
from .identity import Identity, bare, names_of, pem_keys
from .native import CREDENTIAL_PURPOSES, cryptography_needed

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, ExtensionType

_Kind = TypeVar("_Kind", bound="ExtensionType")

MOST_PEM_BYTES = 1 << 20

SIGNING_PURPOSES = CREDENTIAL_PURPOSES[:3]
"""Extended key usages of which a leaf needs one: e-mail protection, document signing, C2PA claim signing."""

EXCLUSIVE_PURPOSES = {"1.3.6.1.5.5.7.3.8": "time stamping", "1.3.6.1.5.5.7.3.9": "OCSP signing"}
ANY_PURPOSE = "2.5.29.37.0"

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
LEAST_RSA_BITS = 2048


def own_identity(
    chain: Path, key: Path, *, passphrase: bytes | None = None, anchors: Path | None = None, now: datetime | None = None
) -> Identity:
    """Return a signer with a certificate that an authority gave the user.

    Args:
        chain: PEM certificates, the leaf first, then those that issued it; the root may be left out.
        key: PEM PKCS#8 private key of the leaf.
        passphrase: of an encrypted key.
        anchors: PEM certificates to trust when reading back; by default the last one of the chain.
        now: the time, in UTC; by default the clock's.

    Raises:
        SoraError: they cannot be read, do not belong together, or may not sign manifests.
    """
    cryptography_needed()
    from cryptography.hazmat.primitives.serialization import Encoding

    certificates = _certificates(chain)
    private = _private_key(key, passphrase)
    algorithm = _algorithm(private, key)
    _check_match(certificates, private, chain, key)
    _check_times(certificates, now or datetime.now(timezone.utc), chain)
    _check_profile(certificates[0], chain)
    _check_issued(certificates, chain)
    if certificates[-1].issuer == certificates[-1].subject:
        sent, trusted = certificates[:-1], certificates[-1:]
    else:
        sent, trusted = certificates, certificates[-1:]
    if anchors is not None:
        trusted = _certificates(anchors)
    return Identity(
        key_pem=bare(private),
        chain_pem=b"".join(one.public_bytes(Encoding.PEM) for one in sent),
        anchors_pem=b"".join(one.public_bytes(Encoding.PEM) for one in trusted),
        algorithm=algorithm,
        leaf=certificates[0],
        local=False,
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_PEM_BYTES + 1)
    except OSError as error:
        raise SoraError(f"{path} cannot be read: {error.strerror}; name a PEM file") from error
    if len(data) > MOST_PEM_BYTES:
        raise SoraError(f"{path} is larger than any certificate or key; name a PEM file")
    return data


def _certificates(path: Path) -> list[Certificate]:
    from cryptography import x509

    data = _read(path)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise SoraError(f"{path} holds no certificates in PEM (-----BEGIN CERTIFICATE-----)") from error


def _private_key(path: Path, passphrase: bytes | None) -> Any:  # noqa: ANN401
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    keys = pem_keys(_read(path))
    if not keys:
        raise SoraError(f"{path} holds no private key in PEM; it must begin with -----BEGIN PRIVATE KEY-----")
    if not keys[0].startswith((b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----")):
        raise SoraError(
            f"{path} holds a key in an old form, and PKCS#8 is needed; convert it with "
            "openssl pkcs8 -topk8 -in OLD -out NEW"
        )
    if b"ENCRYPTED" in keys[0] and not passphrase:
        raise SoraError(f"the key {path} is encrypted; give its passphrase in {PASSPHRASE_VARIABLE}")
    try:
        return load_pem_private_key(keys[0], passphrase if b"ENCRYPTED" in keys[0] else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SoraError(f"the key {path} does not open; it is damaged, or the passphrase is another") from error


def _algorithm(key: Any, path: Path) -> str:  # noqa: ANN401
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= LEAST_RSA_BITS:
        return "ps256"
    raise SoraError(
        f"the key {path} is of a kind that cannot sign manifests; use P-256, P-384, P-521, Ed25519, "
        f"or RSA of {LEAST_RSA_BITS} bits or more"
    )


def _check_match(certificates: list[Certificate], key: Any, chain: Path, path: Path) -> None:  # noqa: ANN401
    public = key.public_key()
    matching = [place for place, one in enumerate(certificates) if one.public_key() == public]
    if not matching:
        raise SoraError(f"the key {path} belongs to none of the certificates in {chain}; name the key of the leaf")
    if matching[0]:
        raise SoraError(
            f"the key {path} belongs to certificate {matching[0] + 1} in {chain}; put that one first, it signs"
        )


def _check_times(certificates: list[Certificate], now: datetime, chain: Path) -> None:
    for one in certificates:
        start, stop = one.not_valid_before_utc, one.not_valid_after_utc
        if not start <= now <= stop:
            word = "expired" if now > stop else "not valid yet"
            raise SoraError(
                f"the certificate of {names_of(one)[0]!r} in {chain} is {word}: it serves from {start:%Y-%m-%d} to "
                f"{stop:%Y-%m-%d} and today is {now:%Y-%m-%d}; have it renewed, or set the clock"
            )


def _check_profile(leaf: Certificate, chain: Path) -> None:
    """Source: certificate profile of C2PA 2.2, section 14.5, as the library enforces it."""
    from cryptography import x509

    constraints = _extension(leaf, x509.BasicConstraints)
    if leaf.issuer == leaf.subject:
        raise SoraError(
            f"the certificate in {chain} is signed by itself, which nobody can trust; have an authority sign it, or "
            "leave it out for the local signer"
        )
    if constraints is not None and constraints.ca:
        raise SoraError(f"the first certificate in {chain} is an authority's; put the leaf first")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature or usage.key_cert_sign:
        raise SoraError(
            f"the leaf in {chain} may not sign: its key usage must name digitalSignature, and not keyCertSign"
        )
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    named = [] if purposes is None else [one.dotted_string for one in purposes]
    if not any(one in SIGNING_PURPOSES for one in named) or ANY_PURPOSE in named:
        raise SoraError(
            f"the leaf in {chain} has the extended key usage {', '.join(named) or 'none'}; one of "
            f"{', '.join(SIGNING_PURPOSES)} (e-mail protection, document signing, C2PA claim signing) is needed, "
            "and any-purpose is forbidden"
        )
    if mixed := [EXCLUSIVE_PURPOSES[one] for one in named if one in EXCLUSIVE_PURPOSES]:
        raise SoraError(f"the leaf in {chain} is also for {mixed[0]}, which excludes signing; have another one made")
    if _extension(leaf, x509.AuthorityKeyIdentifier) is None:
        raise SoraError(
            f"the leaf in {chain} lacks its issuer's key identifier (authorityKeyIdentifier), which C2PA needs"
        )


def _check_issued(certificates: list[Certificate], chain: Path) -> None:
    from cryptography.exceptions import InvalidSignature

    if len(certificates) == 1:
        raise SoraError(
            f"{chain} holds the leaf alone; add the certificate of the authority that issued it, after the leaf"
        )
    for one, issuer in pairwise(certificates):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise SoraError(
                f"in {chain} the certificate of {names_of(one)[0]!r} was not issued by the next one, "
                f"{names_of(issuer)[0]!r}; put them in order, the leaf first"
            ) from error


def _extension(certificate: Certificate, kind: Callable[..., _Kind] | type[_Kind]) -> _Kind | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value  # type: ignore[arg-type]
    except (x509.ExtensionNotFound, ValueError):
        return None
