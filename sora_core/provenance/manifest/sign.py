"""Sign a finished file: the last thing that is done to it, for whatever touches it afterwards breaks the manifest."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...atomic import STEM
from ...errors import SoraError
from .claim import claim, ingredient_id
from .container import outer_boxes
from .formats import BESIDE, BOXED, media_type, sidecar_of
from .identity import Identity
from .labels import COMPONENT, PARENT
from .native import MOST_BYTES, c2pa_module, context
from .plain import plain
from .read import reading_of
from .reading import ManifestReading
from .store import Store, read_store
from .story import Ingredient, Story


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A file that was signed and read back. sidecar: its manifest, where it lies beside it; None where inside."""

    path: Path
    sidecar: Path | None
    reading: ManifestReading


def sign(source: Path, target: Path, story: Story, identity: Identity) -> Signed:
    """Write a signed copy of a file and read it back; nothing is left where that fails.

    A manifest that the source has already, inside or beside it, is carried on: where the story does not name it, the
    source becomes the parent, or a component beside another parent.

    Args:
        source: finished, of a kind with `media_type`; it is only read.
        target: another path of the same kind, which nobody sees yet; see `signed` for the whole.
        story: what to claim. identity: who claims it.

    Raises:
        SoraError: the file or an ingredient cannot be read, the kind carries no manifest, the certificate is refused,
            the disk is full, or what was written does not hold.
    """
    if media_type(target) != media_type(source):
        raise SoraError(f"{source.name} and {target.name} must be of one kind; end the target in {source.suffix}")
    assert not (target.exists() and target.samefile(source)), "a file is not signed into itself"
    beside = sidecar_of(target) if target.suffix.lower() in BESIDE else None
    with _left_out(target, beside):
        stores = _stores(story, identity)
        story, stores = _carried_on(story, source, stores, identity)
        manifest = _signed_bytes(source, target, story, stores, identity)
        if beside is not None:
            with _sentence(target):
                beside.write_bytes(manifest)
        reading = _held(target, beside, story, stores, identity)
    return Signed(path=target, sidecar=beside, reading=reading)


@contextmanager
def unsigned_beside(final: Path) -> Iterator[Path]:
    """Yield a hidden file name to write what `signed` takes; whatever comes of it, that file is removed.

    Trap: not `replacing`, which would at its end put the unsigned file over the signed one.
    """
    hidden = _hidden(final)
    try:
        yield hidden
    finally:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)


def signed(source: Path, final: Path, story: Story, identity: Identity) -> Signed:
    """Sign a file and put the signed one in its place at once: ``final`` is there whole and signed, or as it was.

    Args:
        source: the finished file, such as one in `unsigned_beside`; it is only read, and may be ``final`` itself.
        final: where the signed one belongs. story, identity: see `sign`.

    Raises:
        SoraError: see `sign`; or ``final`` cannot be written.
    """
    hidden = _hidden(final)
    result = sign(source, hidden, story, identity)
    try:
        if result.sidecar is None:
            hidden.replace(final)
            return replace(result, path=final)
        beside = sidecar_of(final)
        before = beside.read_bytes() if beside.is_file() else None
        # first the manifest: a film without one would be taken for one that was never signed
        result.sidecar.replace(beside)
        try:
            hidden.replace(final)
        except BaseException:
            beside.unlink(missing_ok=True)
            if before is not None:
                beside.write_bytes(before)
            raise
        return replace(result, path=final, sidecar=beside)
    except OSError as error:
        raise SoraError(f"{final} cannot be written: {error.strerror or error}; choose another folder") from error
    finally:
        hidden.unlink(missing_ok=True)
        sidecar_of(hidden).unlink(missing_ok=True)


def _hidden(final: Path) -> Path:
    # not the name that `replacing` chooses: the source may have that one
    return final.with_name(f".{final.stem[:STEM]}.{os.getpid()}.{secrets.token_hex(4)}.part{final.suffix}")


def _stores(story: Story, identity: Identity) -> list[Store]:
    """Read the ingredients. A damaged manifest of theirs does not hinder: the tree will show it."""
    for ingredient in story.ingredients:
        media_type(ingredient.path)
        if not ingredient.path.is_file():
            raise SoraError(f"the ingredient {ingredient.path} is no file; name one that is there, or leave it out")
        if ingredient.path.stat().st_size > MOST_BYTES:
            raise SoraError(f"the ingredient {ingredient.path} is larger than {MOST_BYTES >> 20} MiB; leave it out")
    return [read_store(ingredient.path, identity.anchors_pem) for ingredient in story.ingredients]


def _carried_on(story: Story, source: Path, stores: list[Store], identity: Identity) -> tuple[Story, list[Store]]:
    """Return the story with the source among its ingredients, where it has a history that would be lost without."""
    store = read_store(source, identity.anchors_pem)
    if store.trouble:
        raise SoraError(f"{source.name} cannot be signed: {store.trouble}; nothing was written")
    known = frozenset[str]().union(*(one.labels for one in stores))
    lost = bool(store.active) and store.active not in known
    orphan = story.made == "opened" and story.parent is None
    if not lost and not orphan:
        return story, stores
    data: Any = store.data.get("manifests", {}).get(store.active, {}) if store.active else {}
    added = Ingredient(
        path=source,
        title=plain(data.get("title")) or plain(story.title),
        relationship=PARENT if story.parent is None else COMPONENT,
    )
    return replace(story, ingredients=(*story.ingredients, added)), [*stores, store]


def _signed_bytes(source: Path, target: Path, story: Story, stores: list[Store], identity: Identity) -> bytes:
    c2pa, media = c2pa_module(), media_type(source)
    size = source.stat().st_size
    if size > MOST_BYTES:
        raise SoraError(f"{source.name} has {size >> 20} MiB and at most {MOST_BYTES >> 20} can be signed; shorten it")
    outer = outer_boxes(source) if source.suffix.lower() in BOXED else None
    definition = claim(story, media, outer_sha256=outer.sha256 if outer else "")
    with ExitStack() as stack, _sentence(target):
        try:
            builder = stack.enter_context(c2pa.Builder(definition, context(identity.anchors_pem)))
            if target.suffix.lower() in BESIDE:
                builder.set_no_embed()
            for place, (ingredient, store) in enumerate(zip(story.ingredients, stores, strict=True)):
                _add(builder, place, ingredient, store)
            signer = stack.enter_context(identity.signer())
            file = stack.enter_context(source.open("rb"))
            with target.open("w+b") as output:
                return builder.sign(signer, media, file, output)
        except c2pa.C2paError as error:
            raise SoraError(
                f"{source.name} could not be signed ({plain(str(error), 160)}); nothing was written"
            ) from error


def _add(builder: Any, place: int, ingredient: Ingredient, store: Store) -> None:  # noqa: ANN401
    entry: dict[str, Any] = {
        "title": plain(ingredient.title) or plain(ingredient.path.name),
        "relationship": ingredient.relationship,
        "label": ingredient_id(place),
    }
    if store.place == "sidecar" and store.data:
        # the library does not look beside files: it is handed the manifest, and what was found in checking it
        name = f"{ingredient_id(place)}.c2pa"
        builder.add_resource(name, io.BytesIO(store.sidecar))
        entry["active_manifest"] = store.active
        entry["validation_results"] = store.data.get("validation_results", {})
        entry["manifest_data"] = {"format": "application/c2pa", "identifier": name}
    with ingredient.path.open("rb") as file:
        builder.add_ingredient(entry, media_type(ingredient.path), file)


def _held(target: Path, beside: Path | None, story: Story, stores: list[Store], identity: Identity) -> ManifestReading:
    """Read back what was written, and refuse what does not hold or has lost something."""
    store = read_store(target, identity.anchors_pem, beside)
    reading = reading_of(store, target, identity.anchors_pem)
    good = ("trusted",) if identity.local else ("trusted", "intact")
    missing = frozenset[str]().union(*(one.labels for one in stores)) - store.labels
    if reading.state not in good or missing or len(reading.ingredients) != len(story.ingredients):
        why = "; ".join(reading.reasons) or ("its history is not whole" if missing else reading.state)
        raise SoraError(f"what was signed does not hold when it is read back ({why}), so it was removed again")
    return reading


@contextmanager
def _left_out(target: Path, beside: Path | None) -> Iterator[None]:
    """Remove what was begun if the block fails."""
    try:
        yield
    except BaseException:
        for path in (target, beside):
            if path is not None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        raise


@contextmanager
def _sentence(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SoraError(
            f"{target.parent} cannot be written: {error.strerror or error}; free some space or choose another folder"
        ) from error
