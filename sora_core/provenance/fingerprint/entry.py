"""What is kept of a marked clip."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import SoraError
from ..marking.mark_id import ID_BITS, SHORT_ID_BITS, short_id

TEXT_CHARS = 200
LAYERS_BYTES = 4096
HASH_BYTES = 16 << 20
"""Of one hash: seven hours of picture."""

_HEX = re.compile(r"[0-9a-f]{0,128}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A clip that was marked here.

    mark_id: 64 bits. short_id: its upper 32, which the sound carries. created_s: seconds since 1970.
    title, badge_text: control characters are taken out and what is longer than 200 characters is cut.
    manifest_hash: lower-case hex digits, or empty. picture, sound: hashes as bytes, empty where there is none.
    layers: what was marked how; plain JSON of at most 4 kB.

    Raises:
        SoraError: a value outside of it.
    """

    mark_id: int
    short_id: int
    created_s: float
    title: str = ""
    badge_text: str = ""
    manifest_hash: str = ""
    picture: bytes = b""
    sound: bytes = b""
    layers: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be kept, and tidy the texts."""
        if not 0 <= self.mark_id < 1 << ID_BITS:
            raise SoraError(f"the mark's id {self.mark_id} must have {ID_BITS} bits")
        if self.short_id != short_id(self.mark_id):
            raise SoraError(f"the short id {self.short_id} must be the upper {SHORT_ID_BITS} bits of the mark's id")
        if not (math.isfinite(self.created_s) and self.created_s >= 0):
            raise SoraError(f"a clip cannot be made at {self.created_s}; give seconds since 1970")
        if not _HEX.fullmatch(self.manifest_hash):
            raise SoraError(f"{self.manifest_hash!r:.80} is no hash of a manifest; give at most 128 hex digits")
        for name in ("picture", "sound"):
            if len(getattr(self, name)) > HASH_BYTES:
                raise SoraError(f"a {name} hash of {len(getattr(self, name))} bytes is too long; {HASH_BYTES} is most")
        for name in ("title", "badge_text"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if len(self.layers_json().encode()) > LAYERS_BYTES:
            raise SoraError(f"what is said of the layers takes more than {LAYERS_BYTES} bytes; say less")

    def layers_json(self) -> str:
        """Return the layers as they are kept.

        Raises:
            SoraError: they are not plain JSON.
        """
        try:
            return json.dumps(dict(self.layers), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise SoraError(f"what is said of the layers is not plain JSON: {error}; give texts and numbers") from error


def plain(text: str) -> str:
    """Return at most 200 characters of one line, without control, direction and other invisible characters."""
    cut = text[: 8 * TEXT_CHARS]
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in cut)[:TEXT_CHARS].strip()
