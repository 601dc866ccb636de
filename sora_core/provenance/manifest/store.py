"""The manifests of a file as the library hands them over: JSON from a stranger, or a reason why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .formats import BESIDE, BOXED, EMBEDDED, find_sidecar
from .native import MOST_BYTES, c2pa_module, context
from .plain import plain

MOST_SIDECAR_BYTES = 64 << 20
MOST_JSON_BYTES = 32 << 20

_ELSEWHERE = "Remote"
"""How the library's message begins when it would have to fetch a manifest."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """What was found. place: "file", "sidecar" or "". data: the library's report, empty where there is none.

    trouble: why nothing can be said, as a sentence; "" where something can, or where there is nothing.
    sidecar: the bytes of the manifest beside the file.
    """

    place: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""
    note: str = ""
    sidecar: bytes = field(default=b"", repr=False)

    @property
    def active(self) -> str:
        """Label of the file's own manifest; "" without one."""
        label = self.data.get("active_manifest")
        return label if isinstance(label, str) else ""

    @property
    def labels(self) -> frozenset[str]:
        """Labels of all manifests in it, those of ingredients included."""
        manifests = self.data.get("manifests")
        return frozenset(manifests) if isinstance(manifests, dict) else frozenset()


def read_store(path: Path, anchors: bytes, sidecar: Path | None = None) -> Store:
    """Read the manifests of a file, from inside it or from beside it; whatever the file is, this returns.

    Args:
        path: the file.
        anchors: PEM certificates to trust.
        sidecar: where to look beside it; by default where `find_sidecar` says.

    Raises:
        SoraError: the extra is missing.
    """
    c2pa = c2pa_module()
    suffix = path.suffix.lower()
    media = (EMBEDDED | BESIDE).get(suffix)
    try:
        if not path.is_file():
            return Store(trouble=f"{plain(path.name)} is no file")
        if (size := path.stat().st_size) > MOST_BYTES:
            return Store(trouble=f"the file has {size >> 20} MiB, and more than {MOST_BYTES >> 20} are not read")
        found = Store() if suffix in BESIDE else _native(c2pa, path, media, anchors, None)
        beside = sidecar or find_sidecar(path)
        if found.data or found.trouble or beside is None:
            return found
        with beside.open("rb") as file:
            data = file.read(MOST_SIDECAR_BYTES + 1)
        if 0 < len(data) <= MOST_SIDECAR_BYTES:
            return _native(c2pa, path, media, anchors, data)
        return Store(place="sidecar", trouble=f"the manifest beside it is empty or over {MOST_SIDECAR_BYTES >> 20} MiB")
    except OSError as error:
        return Store(trouble=f"{plain(path.name)} cannot be read: {error.strerror or 'unknown'}")


def _native(c2pa: Any, path: Path, media: str | None, anchors: bytes, sidecar: bytes | None) -> Store:  # noqa: ANN401
    place = "file" if sidecar is None else "sidecar"
    try:
        with path.open("rb") as file:
            if sidecar is None:
                reader = c2pa.Reader.try_create(media, file, context=context(anchors))
            else:
                reader = c2pa.Reader(media, file, manifest_data=sidecar, context=context(anchors))
            if reader is None:
                return _none(path)
            with reader:
                text = reader.json()
        if len(text) > MOST_JSON_BYTES:
            return Store(place=place, trouble="its manifest is larger than any that is read")
        data = json.loads(text)
    except (c2pa.C2paError, ValueError, RecursionError, TypeError, MemoryError) as error:
        return _refused(error, place, media)
    if not isinstance(data, dict) or not isinstance(data.get("manifests"), dict):
        return Store(place=place, trouble="its manifest has no form that is known")
    return Store(place=place, data=data, sidecar=sidecar or b"")


def _refused(error: Exception, place: str, media: str | None) -> Store:
    kind = type(error).__name__
    if str(error).startswith(_ELSEWHERE):
        return Store(note="the file says that its manifest lies elsewhere, and nothing is fetched from there")
    if "NotSupported" in kind or media is None:
        return Store(trouble="the file is of no kind that carries a manifest, or it is damaged")
    # what the library says may quote the file
    return Store(place=place, trouble=f"the file or its manifest is damaged ({plain(str(error), 120)})")


def _none(path: Path) -> Store:
    """The library found nothing; a file that has a place for it all the same is a damaged one."""
    from .container import outer_boxes

    if path.suffix.lower() in BOXED and (outer := outer_boxes(path)) is not None and outer.stores:
        return Store(place="file", trouble="the file has a place for a manifest that holds none; it was damaged")
    return Store()
