"""Certificates of a local signer: a root, an issuing authority under it, and leaves that sign for a year each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, Name

ORGANISATION = "Sora Nodes local signer"
AUTHORITY_LIFE, LEAF_LIFE = timedelta(days=30 * 365), timedelta(days=365)
BACKDATED = timedelta(days=1)
"""Clocks of other machines may be behind."""

ID_DIGITS = 8
"""Hex digits of the root key's identifier in the names, by which an owner knows the own signer."""


def new_key() -> EllipticCurvePrivateKey:
    """Return a key on the curve P-256, for ES256."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def new_authority(now: datetime) -> tuple[Certificate, Certificate, EllipticCurvePrivateKey]:
    """Return a root's certificate, the certificate of the authority that it issued, and the authority's key.

    The root's own key is forgotten here: renewing leaves needs the authority alone.
    """
    from cryptography import x509

    root_key, authority_key = new_key(), new_key()
    digest = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()).digest
    short = digest.hex()[:ID_DIGITS]
    stop = now + AUTHORITY_LIFE
    root_name = signer_name(f"{ORGANISATION} root {short}")
    root = _issue(root_name, root_key, root_name, root_key, start=now, stop=stop, depth=1)
    name = signer_name(f"{ORGANISATION} authority {short}")
    authority = _issue(name, authority_key, root_name, root_key, start=now, stop=stop, depth=0)
    return root, authority, authority_key


def new_leaf(
    authority: Certificate, authority_key: EllipticCurvePrivateKey, now: datetime, life: timedelta = LEAF_LIFE
) -> tuple[Certificate, EllipticCurvePrivateKey]:
    """Return a certificate for signing manifests and its key.

    Source: certificate profile of C2PA 2.2, section 14.5; of the purposes that it allows, e-mail protection is the one
    that every checker accepts without more settings.
    """
    from cryptography.x509.oid import NameOID

    common = authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    short = str(common).rsplit(" ", 1)[-1]
    key = new_key()
    stop = min(now + life, authority.not_valid_after_utc)
    leaf = _issue(
        signer_name(f"{ORGANISATION} {short}"), key, authority.subject, authority_key, start=now, stop=stop, depth=None
    )
    return leaf, key


def signer_name(common_name: str) -> Name:
    """Return a name for a certificate."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _issue(
    subject: Name,
    key: EllipticCurvePrivateKey,
    issuer: Name,
    issuer_key: EllipticCurvePrivateKey,
    *,
    start: datetime,
    stop: datetime,
    depth: int | None,
) -> Certificate:
    """depth: how many authorities may follow under it; None for a leaf."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority = depth is not None
    usage = x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATED)
        .not_valid_after(stop)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=depth), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
