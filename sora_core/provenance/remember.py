"""Marked films in the index: a clip whose manifest was stripped is found again, and a copied mark is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .home import Home
from .marking.mark_id import short_id

if TYPE_CHECKING:
    from .marking.marked import MarkedFilm

INDEX_NAME = "index.sqlite"


def remember(home: Home, marking: MarkedFilm, *, title: str, file_hash: str = "", manifest: bool = False) -> None:
    """Put a film that was marked and read to its end into the index.

    Args:
        home: whose index. marking: the film. title: shown. file_hash: SHA-256 of its file, "" where there is none yet.
        manifest: whether it is signed.

    Raises:
        SoraError: the index cannot be written.
    """
    from .fingerprint.index import Entry, Index

    carried, passed = marking.carried(), marking.passed
    assert passed is not None, "the film was read to its end"
    entry = Entry(
        mark_id=carried.mark_id,
        short_id=short_id(carried.mark_id),
        created_s=time.time(),
        title=title,
        badge_text=carried.badge_text,
        manifest_hash=file_hash,
        picture=passed.picture_hash,
        sound=passed.sound_hash,
        layers={
            "visible": carried.visible,
            "invisible": carried.invisible,
            "audio": carried.audio,
            "manifest": manifest,
        },
    )
    Index(home.file(INDEX_NAME)).add(entry)
