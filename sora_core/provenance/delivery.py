"""The way of a film into its file: marked while it is made, signed as the last act, indexed, and only then in place."""

# f frames of a piece, H W height and width

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic import replacing, sweep
from ..checkpoint.metadata import file_hash
from ..media.encoder import MP4, Encoding
from ..media.told_factor import SCALE_TAG, told_factor
from .home import Home
from .manifest.formats import BESIDE, EMBEDDED, sidecar_of
from .manifest.labels import PARENT
from .manifest.sign import sign
from .manifest.story import MarkClaim, Story
from .marking.layers import Layers
from .marking.mark_id import fresh_id, short_id
from .remember import remember

if TYPE_CHECKING:
    from torch import Tensor

    from ..editing.film import FilmStream, Piece
    from .manifest.identity import Identity
    from .marking.marked import Carried, MarkedFilm

MARKS_KEY = "marks"
STILL = ".png"

NO_EXTRA = 'no manifest was signed, for the extra is missing: pip install "sora-nodes[provenance]" brings it'


@dataclass(frozen=True, kw_only=True)
class Order:
    """How a film is to be saved.

    Args:
        layers: its marks. story: what its manifest says of how it was made; marks and layers are filled in here.
        home: the private folder.
        certificate: files of the user's own chain and key, or None for this machine's signer.
        allowed: told the file's SHA-256 just before it is put in place; it raises what forbids that.
        fresh: never replace a file.
        carried: marks that the film carries already, so that it gets no more; ``layers`` then says whether to sign.
    """

    layers: Layers
    story: Story
    home: Home
    certificate: tuple[Path, Path] | None = None
    allowed: Callable[[str], None] | None = None
    fresh: bool = False
    carried: Carried | None = None


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A file that is in place.

    path: of it. beside: of its manifest, where it cannot hold one. mark_id: 64 bits, None without marks.
    signed: whether it has a manifest. factor: by which it was drawn larger. width, height: of the file's picture.
    sha256: of the file. notes: sentences for the user. silent: why its sound goes without a mark, "" where it has one.
    """

    path: Path
    beside: Path | None
    mark_id: int | None
    signed: bool
    factor: int
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...]
    silent: str = ""

    @property
    def words(self) -> str:
        """Say in a few words what of marks and manifest it has."""
        told = [] if self.mark_id is None else ["marked but for its sound" if self.silent else "marked"]
        size = f"drawn at {self.width}x{self.height}, " if self.factor > 1 else ""
        return size + " and ".join([*told, "signed" if self.signed else "not signed"])


def deliver(
    path: Path,
    stream: FilmStream,
    order: Order,
    *,
    encoding: Encoding = MP4,
    tags: Mapping[str, str] | None = None,
    see: Callable[[Tensor], None] | None = None,
) -> Delivered:
    """Write a film with its marks and its manifest, whole or not at all; no unmarked file is ever on disk.

    Args:
        path: of the file; ``.png`` for a film of one frame. stream: the film, read once. order: how.
        encoding: of anything but a still. tags: what the file says of itself.
        see: shown every piece of frames as it goes into the file, uint8 ``[f, H, W, 3]``.

    Raises:
        FileExistsError: ``order.fresh``, and the file is there by now.
        SoraError: a mark does not fit, the signer refuses, or the file cannot be written.
    """
    signer, notes = _signer(order)
    marking = _marking(stream, order)
    shown = stream if marking is None else marking.marked()
    known = order.carried if marking is None else marking
    factor = 1 if known is None else known.factor
    told = dict(tags or {})
    if factor > 1:
        # what was drawn large before is drawn larger
        told[SCALE_TAG] = str(factor * told_factor(told, stream.width, stream.height))
    with _placing(path, fresh=order.fresh) as hidden:
        with _draft(hidden) as draft:
            _write(draft, _seen(shown, see), encoding, told)
            carried = order.carried if marking is None else marking.carried()
            if signer is None:
                draft.replace(hidden)
            else:
                story, more = _story(order, carried, shown.num_frames / shown.fps)
                sign(draft, hidden, story, signer)
                notes += more
        digest = file_hash(hidden)
        if order.allowed is not None:
            order.allowed(digest)
        if marking is not None:
            title, signed = order.story.title, signer is not None
            remember(order.home, marking, title=title, file_hash=digest, manifest=signed)
    beside = sidecar_of(path)
    return Delivered(
        path=path,
        beside=beside if signer is not None and path.suffix.lower() in BESIDE else None,
        mark_id=None if known is None else known.mark_id,
        signed=signer is not None,
        factor=factor,
        width=shown.width,
        height=shown.height,
        sha256=digest,
        notes=notes,
        silent="" if marking is None or marking.passed is None else marking.passed.sound_reason,
    )


def deliver_still(path: Path, image_HWC: Tensor, order: Order, *, tags: Mapping[str, str] | None = None) -> Delivered:
    """Write a picture, uint8 RGB ``[H, W, 3]``, as PNG; the rest as `deliver`."""
    from ..editing.film import FilmStream, Piece

    height, width = image_HWC.shape[:2]
    stream = FilmStream(
        pieces=iter([Piece(image_HWC[None], None)]), num_frames=1, width=width, height=height, fps=1.0, channels=0
    )
    return deliver(path, stream, order, tags=tags)


def marking_of(stream: FilmStream, layers: Layers, home: Home) -> MarkedFilm:
    """Return a film with its marks to come, under a fresh id and the owner's key.

    Raises:
        SoraError: a mark does not fit the picture.
    """
    from .marking.marked import MarkedFilm

    secret = home.secret(MARKS_KEY)
    return MarkedFilm(stream=stream, layers=layers, secret=secret, mark_id=fresh_id())


def _signer(order: Order) -> tuple[Identity | None, tuple[str, ...]]:
    """Return who signs, and what to say where nobody does; made first, so that a wrong certificate costs no clip."""
    if not order.layers.manifest:
        return None, ()
    from .manifest.native import has_manifests
    from .manifest.signer import signer_of

    if not has_manifests():
        return None, (NO_EXTRA,)
    return signer_of(order.home, order.certificate), ()


def _marking(stream: FilmStream, order: Order) -> MarkedFilm | None:
    if order.carried is not None or not order.layers.marked:
        return None
    return marking_of(stream, order.layers, order.home)


def _seen(stream: FilmStream, see: Callable[[Tensor], None] | None) -> FilmStream:
    if see is None:
        return stream

    def pieces() -> Iterator[Piece]:
        for piece in stream.pieces:
            see(piece.frames)
            yield piece

    return replace(stream, pieces=pieces())


@contextmanager
def _placing(path: Path, *, fresh: bool) -> Iterator[Path]:
    """Yield a hidden name as `replacing` does; a manifest beside it takes its place beside the file."""
    old = sidecar_of(path)
    sweep(path.parent)
    with replacing(path, fresh=fresh) as hidden:
        new = sidecar_of(hidden)
        try:
            yield hidden
            # first the manifest: a film without one would be taken for one that was never signed
            if new.is_file():
                new.replace(old)
            elif not fresh:
                old.unlink(missing_ok=True)
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def _draft(hidden: Path) -> Iterator[Path]:
    """Yield a hidden name for what is marked and not yet signed, and remove it in the end."""
    # named so that `sweep` knows it, should this process be killed
    draft = hidden.with_name(f".draft.{os.getpid()}.{secrets.token_hex(8)}.part{hidden.suffix}")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _write(draft: Path, stream: FilmStream, encoding: Encoding, tags: Mapping[str, str]) -> None:
    if draft.suffix.lower() == STILL:
        from ..media.png import write_png

        write_png(draft, stream.collect().picture[0].numpy(), tags)
        return
    from ..media.film_writer import write_film

    write_film(draft, stream, tags, encoding=encoding)


def _story(order: Order, carried: Carried | None, seconds: float) -> tuple[Story, tuple[str, ...]]:
    """Return the story with what is known now, and notes on files that cannot be named in it."""
    story = order.story
    marks: list[MarkClaim] = []
    if carried is not None and carried.invisible:
        marks.append(MarkClaim(layer="invisible", mark_id=carried.mark_id, start_s=0.0, stop_s=seconds))
    if carried is not None and carried.audio:
        marks.append(MarkClaim(layer="audio", mark_id=short_id(carried.mark_id), start_s=0.0, stop_s=seconds))
    named, notes = [], []
    for one in story.ingredients:
        if one.path.suffix.lower() in {**EMBEDDED, **BESIDE}:
            named.append(one)
        else:
            notes.append(f"{one.path.name} is not in the manifest's list of sources, for its kind can carry none")
    opened = story.made == "opened" and any(one.relationship == PARENT for one in named)
    visible = carried is not None and carried.visible
    invisible = carried is not None and carried.invisible
    story = replace(
        story,
        made="opened" if opened else "generated",
        acts=story.acts if opened else (),
        ingredients=tuple(named),
        marks=tuple(marks),
        layers_on=(*(("visible",) if visible else ()), *(mark.layer for mark in marks)),
        layers_off=(
            *(("visible",) if order.layers.badge_due and not visible else ()),
            *(() if invisible else ("invisible", "audio")),
        ),
    )
    return story, tuple(notes)
