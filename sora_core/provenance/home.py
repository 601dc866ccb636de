"""The user's private folder: keys, the index of marked clips, the ledger of consent. Nothing of it leaves."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ..errors import SoraError

VARIABLE, PASSPHRASE_VARIABLE = "SORA_HOME", "SORA_PASSPHRASE"
FOLDER = ".sora-nodes"

SECRET_BYTES = 32
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600

SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}
"""A tenth of a second and 32 MiB for each guess."""


@dataclass(frozen=True)
class Home:
    """A folder that only its owner can read, outside every folder that a workflow can name.

    folder: it is made when something is first kept in it.
    """

    folder: Path

    @staticmethod
    def default() -> Home:
        """Return ``$SORA_HOME``, or ``.sora-nodes`` in the user's own folder.

        Raises:
            SoraError: the system does not say where the user's folder is.
        """
        if named := os.environ.get(VARIABLE):
            return Home(Path(named).expanduser().absolute())
        try:
            return Home(Path.home() / FOLDER)
        except RuntimeError as error:
            raise SoraError(f"this system names no folder of the user's own; name one in {VARIABLE}") from error

    def file(self, name: str) -> Path:
        """Return where a file of that name lies, in the folder, which is made if it is missing.

        Raises:
            SoraError: the folder cannot be made or written.
        """
        assert name == Path(name).name, "names of the house, never of a stranger"
        try:
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise SoraError(
                f"the private folder {self.folder} cannot be made: {error.strerror}; name another in {VARIABLE}"
            ) from error
        return self.folder / name

    def secret(self, name: str) -> bytes:
        """Return 32 random bytes that stay the same from the first use on.

        Raises:
            SoraError: they cannot be kept, or what is kept is not 32 bytes.
        """
        path = self.file(f"{name}.key")
        try:
            kept = kept_once(path, secrets.token_bytes(SECRET_BYTES))
        except OSError as error:
            raise SoraError(
                f"the key {path} cannot be kept or read: {error.strerror}; name another folder in {VARIABLE}"
            ) from error
        if len(kept) != SECRET_BYTES:
            raise SoraError(
                f"the key {path} holds {len(kept)} bytes and must hold {SECRET_BYTES}; put back the copy that you kept"
            )
        return kept

    def passphrase(self) -> bytes:
        """Return what private keys are encrypted with: from ``$SORA_PASSPHRASE``, or random and kept beside them.

        The random one guards copies of the key files alone, not against somebody who reads the whole folder. One that
        people choose goes through scrypt (RFC 7914) first: key files spend only 2,048 rounds of PBKDF2 on it.
        """
        given = given_passphrase()
        if given is None:
            return self.secret("passphrase").hex().encode()
        return hashlib.scrypt(given, salt=self.secret("salt"), **SCRYPT).hex().encode()


def given_passphrase() -> bytes | None:
    """Return the user's own, from ``$SORA_PASSPHRASE``."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    return given.encode("utf-8", "surrogateescape") if given else None


def kept_once(path: Path, fresh: bytes) -> bytes:
    """Keep bytes in a file that only the owner reads, or return what is there: whoever comes first wins.

    Raises:
        OSError: it cannot be written or read.
    """
    if not path.exists():
        hidden = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
        try:
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(fresh)
                file.flush()
                os.fsync(file.fileno())
            try:
                # a link, unlike a rename, does not replace what another process was quicker to keep
                os.link(hidden, path)
            except FileExistsError:
                pass
            except OSError:
                # file systems without links
                if not path.exists():
                    hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)
    return path.read_bytes()
