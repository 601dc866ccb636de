"""Who signs here: the user's own certificate, or this machine's signer."""

from __future__ import annotations

from pathlib import Path

from ..home import Home, given_passphrase
from .identity import Identity, local_identity
from .own_certificate import own_identity


def signer_of(home: Home, certificate: tuple[Path, Path] | None) -> Identity:
    """Return who signs.

    Args:
        home: where this machine's signer is kept. certificate: files of the user's own chain and key, or None.

    Raises:
        SoraError: as `own_identity` and `local_identity`.
    """
    if certificate is None:
        return local_identity(home)
    return own_identity(*certificate, passphrase=given_passphrase())
