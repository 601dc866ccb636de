"""Which files carry their manifest inside, and where it lies for those that cannot."""

from __future__ import annotations

from pathlib import Path

from ...errors import SoraError

EMBEDDED = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".m4a": "audio/mp4",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
}
BESIDE = {".webm": "video/webm", ".mkv": "video/x-matroska"}
"""Containers for which C2PA has no place inside: the manifest is a file of its own."""

SIDECAR = ".c2pa"

BOXED = (".mp4", ".m4v", ".mov", ".m4a")
"""Containers made of ISO boxes."""


def media_type(path: Path) -> str:
    """Return the media type that the suffix stands for.

    Raises:
        SoraError: files of that kind carry no manifest.
    """
    suffix = path.suffix.lower()
    known = EMBEDDED | BESIDE
    if suffix not in known:
        raise SoraError(
            f"{path.name} cannot carry a manifest, for its kind is none of {', '.join(sorted(known))}; "
            "convert it to one of them"
        )
    return known[suffix]


def sidecar_of(path: Path) -> Path:
    """Return where the manifest of a file lies that cannot carry it: ``clip.webm`` has ``clip.webm.c2pa``.

    The suffix stays in the name, for otherwise the manifests of clip.webm and clip.mkv would replace one another.
    """
    return path.with_name(path.name + SIDECAR)


def find_sidecar(path: Path) -> Path | None:
    """Return the manifest beside a file; for WebM and Matroska also as others name it, ``clip.c2pa``; None without."""
    names = [sidecar_of(path)]
    if path.suffix.lower() in BESIDE:
        names.append(path.with_suffix(SIDECAR))
    return next((name for name in names if name.is_file()), None)
