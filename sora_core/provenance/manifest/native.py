"""The library that writes and checks manifests, asked for when it is needed, and never let near a network."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ...errors import SoraError
from .labels import CREATED_LABELS

EXTRA = 'pip install "sora-nodes[provenance]"'

CREDENTIAL_PURPOSES = (
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.36",  # document signing
    "1.3.6.1.4.1.62558.2.1",  # C2PA claim signing
    "1.3.6.1.5.5.7.3.8",  # time stamping, for time stamps alone
)
"""Extended key usages that a signer's certificate may have."""

MOST_BYTES = 2 << 30
"""Of a file that is signed or checked: the library needs two bytes of memory for each."""

MOST_UNPACKED_MIB = 32
"""Of a manifest that comes compressed: a kilobyte of it can stand for a gigabyte."""


def c2pa_module() -> ModuleType:
    """Return the library.

    Raises:
        SoraError: it is not installed, or not for this machine.
    """
    try:
        import c2pa
    except (ImportError, OSError) as error:
        raise SoraError(f"the signed manifest needs the extra: {EXTRA}") from error
    return c2pa


def cryptography_needed() -> None:
    """Say in a sentence if the library for keys and certificates is missing.

    Raises:
        SoraError: it is.
    """
    try:
        import cryptography.x509  # noqa: F401
    except (ImportError, OSError) as error:
        raise SoraError(f"the signing key needs the extra: {EXTRA}") from error


def has_manifests() -> bool:
    """Tell whether manifests can be written and read here."""
    try:
        c2pa_module()
        cryptography_needed()
    except SoraError:
        return False
    return True


def context(anchors: bytes) -> Any:  # noqa: ANN401
    """Return the library's settings: nothing is fetched, no thumbnails, what was signed is checked at once.

    anchors: PEM certificates that are trusted beside those that the library brings.
    """
    settings: dict[str, Any] = {
        # trap: by default a stranger's file makes the library connect to wherever it names
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
        "core": {"max_decompressed_manifest_size_in_mb": MOST_UNPACKED_MIB},
        "trust": {"trust_config": "\n".join(CREDENTIAL_PURPOSES)},
        "builder": {"thumbnail": {"enabled": False}, "created_assertion_labels": list(CREATED_LABELS)},
    }
    if anchors:
        settings["trust"]["user_anchors"] = anchors.decode("ascii")
    return c2pa_module().Context.from_dict(settings)
