"""Read every layer of a file, and hold them against one another.

A mark alone proves nothing: it can be copied from one film onto another. It is believed to point to a clip only where
the picture is the one that the index knows under that id; and where a signed manifest names an id, the film must carry
it. Each of the three layers is checked against the two others (our decision).
"""

# f frames of a piece, H W height and width

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from .cross_check import Evidence, Found, judge, of_its_own
from .delivery import MARKS_KEY
from .home import Home
from .marking.layers import TEXT
from .remember import INDEX_NAME
from .verdict import Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from ..media.film_file import FileFilm
    from .fingerprint.index import Entry, Index
    from .fingerprint.picture import PictureHasher
    from .fingerprint.sound import SoundHasher
    from .manifest.reading import IngredientReading, ManifestReading

LONGEST_SOUND_S, MOST_SAMPLES = 600, 6_000_000
"""Of sound that is held in memory to be read, whatever a file says of its length and rate."""

LONGEST_REASON = 600
"""Characters: a sentence may quote names that come from strangers."""


def verify(path: Path, home: Home, *, anchors: bytes = b"", badge_text: str = "") -> Verdict:
    """Check a clip or a picture.

    Args:
        path: the file. home: whose key reads the marks, and whose index knows the clips.
        anchors: PEM certificates of signers to trust besides this machine's own.
        badge_text: of the badge to look for; by default what the index knows of the clip, or the usual one.

    Raises:
        SoraError: it holds no picture that can be read, and no manifest either; or no badge can have that text.
    """
    from .manifest.plain import plain

    if not path.is_file():
        raise SoraError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; name a clip or a picture")
    if badge_text:
        from .marking.badge_lettering import check_text

        check_text(badge_text, logo=False)
    manifest = _read_manifest(path, home, anchors)
    try:
        evidence = _read_sound_file(path, home, manifest) or _read(_film(path), home, manifest, badge_text)
    except SoraError as error:
        if manifest is None or manifest.state in ("absent", "unreadable"):
            raise
        # something is there that says what the file was, and the file is no clip any more
        whole = f"the manifest is {manifest.state}: {'; '.join(manifest.reasons) or 'its file is not whole'}"
        reasons = (whole, plain(f"the picture cannot be read: {error}", LONGEST_REASON))
        return Verdict(
            manifest=manifest.state, visible="absent", invisible="absent", audio="absent", reasons=reasons, broken=True
        )
    judged = judge(evidence)
    marks = (evidence.picture, evidence.sound, evidence.badge)
    return Verdict(
        manifest="unreadable" if manifest is None else manifest.state,
        visible=evidence.badge.state,
        invisible=evidence.picture.state,
        audio=evidence.sound.state,
        broken_at_s=tuple(sorted({round(one.start_s, 2) for found in marks for one in found.missing})),
        ingredients=tuple(_told(one) for one in manifest.ingredients) if manifest is not None else (),
        reasons=tuple(plain(one, LONGEST_REASON) for one in (*judged.broken, *judged.notes)),
        broken=bool(judged.broken),
        details=_details(evidence),
    )


def _read_manifest(path: Path, home: Home, anchors: bytes) -> ManifestReading | None:
    from .manifest.identity import local_anchors
    from .manifest.native import has_manifests
    from .manifest.read import read_manifest

    if not has_manifests():
        return None
    return read_manifest(path, anchors=local_anchors(home) + anchors)


def _film(path: Path) -> FileFilm:
    """Open the file, as the pixels lie in it.

    Raises:
        SoraError: it cannot be read, or its rate is none that a film has: all that follows is counted by it.
    """
    from ..media.encoder import FPS_RANGE
    from ..media.film_file import FileFilm

    film = FileFilm(path, as_stored=True)
    if not FPS_RANGE[0] <= film.fps <= FPS_RANGE[1]:
        raise SoraError(
            f"{path} says that it has {film.fps:g} frames per second, and {FPS_RANGE[0]:g} to {FPS_RANGE[1]} can be; "
            "name a whole video file"
        )
    return film


def _read_sound_file(path: Path, home: Home, manifest: ManifestReading | None) -> Evidence | None:
    """Read a file that holds sound and no picture; None for all others."""
    from ..media.source import Source, picture_of, sound_of

    with Source(path).opened() as container:
        if picture_of(container) is not None or sound_of(container) is None:
            return None
    from ..media.sound_file import read_track

    track = read_track(path)
    found = _heard(track.sound(), track.sample_rate, home.secret(MARKS_KEY))
    return Evidence(manifest=manifest, picture=Found(), sound=found, badge=Found(), has_sound=True)


def _read(film: FileFilm, home: Home, manifest: ManifestReading | None, badge_text: str) -> Evidence:
    """Read the marks, and what the index knows of the clip."""
    from .fingerprint.index import Index
    from .fingerprint.picture import PictureHash, PictureHasher
    from .fingerprint.sound import SoundHash, SoundHasher
    from .marking.badge_reader import read_badge
    from .marking.video import read_video_mark

    secret = home.secret(MARKS_KEY)
    picture_hasher = PictureHasher(film.width, film.height, film.fps)
    sound_hasher = SoundHasher(film.sample_rate) if film.channels else None
    seen = read_video_mark(_hashed(film, picture_hasher, sound_hasher), fps=film.fps, secret=secret)
    bent = not seen.geometry.upright
    picture = of_its_own(Found(state=seen.state, mark_id=seen.mark_id, seconds=seen.seconds, bent=bent), manifest)
    sound = of_its_own(_read_sound(film, secret), manifest)
    looks, sounds = picture_hasher.finish(), None if sound_hasher is None else sound_hasher.finish()
    index = Index(home.file(INDEX_NAME))
    entry = _named(index, picture, sound, manifest)
    by_looks = entry is None
    if entry is None:
        entry = next((found.entry for found in index.find(looks, sounds, 1) if found.same), None)
    badge = read_badge(
        film.frames(),
        fps=film.fps,
        secret=secret,
        mark_id=picture.mark_id,
        text=badge_text or (entry.badge_text if entry is not None else "") or TEXT,
    )
    return Evidence(
        manifest=manifest,
        picture=picture,
        sound=sound,
        badge=Found(state=badge.state, seconds=badge.seconds),
        has_sound=film.channels > 0,
        entry=entry,
        by_looks=by_looks and entry is not None,
        picture_match=None if entry is None else PictureHash.from_bytes(entry.picture).match(looks),
        sound_match=None
        if entry is None or sounds is None or not entry.sound
        else SoundHash.from_bytes(entry.sound).match(sounds),
    )


def _read_sound(film: FileFilm, secret: bytes) -> Found:
    if not film.channels:
        return Found()
    seconds = min(LONGEST_SOUND_S, round(film.num_frames / film.fps) + 1)
    sound_CS = film.sound(0, min(MOST_SAMPLES // film.channels, seconds * film.sample_rate))
    return _heard(sound_CS, film.sample_rate, secret)


def _heard(sound_CS: Tensor | None, sample_rate: int, secret: bytes) -> Found:
    from .marking.sound import read_sound_mark

    assert sound_CS is not None, "the file has sound"
    read = read_sound_mark(sound_CS, sample_rate=sample_rate, secret=secret)
    return Found(state=read.state, mark_id=read.short_id, seconds=read.seconds)


def _hashed(film: FileFilm, picture: PictureHasher, sound: SoundHasher | None) -> Iterator[Tensor]:
    """Yield a film's frames, hashed with their sound as they pass: a film is decoded once for hash and mark."""
    from ..editing.film_stream import stream_from

    for piece in stream_from(film).pieces:
        picture.see(piece.frames)
        if sound is not None and piece.sound is not None:
            sound.see(piece.sound)
        yield piece.frames


def _named(index: Index, picture: Found, sound: Found, manifest: ManifestReading | None) -> Entry | None:
    if picture.older and manifest is not None and manifest.video_id is not None:
        return index.by_mark(manifest.video_id)
    if picture.mark_id is not None:
        return index.by_mark(picture.mark_id)
    if sound.mark_id is not None:
        return next(iter(index.by_short(sound.mark_id)), None)
    return None


def _told(one: IngredientReading) -> dict[str, Any]:
    return {
        "title": one.title,
        "relationship": one.relationship,
        "state": one.state,
        "signer": one.signer.common_name,
        "actions": [action.name for action in one.actions],
        "reasons": list(one.reasons),
        "ingredients": [_told(other) for other in one.ingredients],
    }


def _details(evidence: Evidence) -> dict[str, Any]:
    from .manifest.plain import plain

    manifest, picture, sound = evidence.manifest, evidence.picture, evidence.sound
    details: dict[str, Any] = {
        "mark_id": None if picture.mark_id is None else f"{picture.mark_id:016x}",
        "short_id": None if sound.mark_id is None else f"{sound.mark_id:08x}",
        "known_as": None if evidence.entry is None else plain(evidence.entry.title),
    }
    if manifest is not None and manifest.state != "absent":
        details |= {
            "title": manifest.title,
            "signer": manifest.signer.common_name,
            "organisation": manifest.signer.organisation,
            "generator": manifest.generator,
            "actions": [action.name for action in manifest.actions],
            "layers_on": list(manifest.layers_on),
            "layers_off": list(manifest.layers_off),
            "codes": list(manifest.codes),
        }
    return details
