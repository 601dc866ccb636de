"""Finished shots in ComfyUI: what decides one, and where it is kept over interrupts, crashes and restarts."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import folder_paths
from comfy_execution.graph import nodes as host_nodes

from ...sora_core import __version__
from ...sora_core.editing.content import content_key
from ...sora_core.editing.film import FilmStream
from ...sora_core.editing.store import ShotStore
from ...sora_core.editing.storyboard_plan import FORMAT_VERSION
from ...sora_core.errors import SoraError
from ...sora_core.media.film_writer import write_lossless
from ..host import model_files, scratch_file
from .films import FileVideo, stoppable, video_of

NO_PART = frozenset({"limit"})
"""Inputs of a shot that do not change it."""

LONGEST_NAME = 200
"""Characters of a text that may name a file: file systems know no longer ones."""


class Kept(NamedTuple):
    """A shot as a VIDEO, and what became of it: ``found``, ``made and kept``, or why it was not kept."""

    video: FileVideo
    told: str


class UntracedError(Exception):
    """A shot depends on something that no key can name; the text says on what."""


def shots_folder() -> Path:
    """Return where finished shots are kept: ``sora/shots`` in the host's folder of users."""
    return Path(folder_paths.get_user_directory()) / "sora" / "shots"


def kept_shot(make: Callable[[], FilmStream], dynprompt: Any, node_id: str, limit_bytes: int) -> Kept:
    """Return a shot from the store, or make it and keep it.

    What is returned is a file of its own (a link, where the disk knows links), so that shots can be cleared at any time.

    Args:
        make: the shot. dynprompt, node_id: the node that makes it, and the prompt that it stands in.
        limit_bytes: of all shots that are kept.

    Raises:
        SoraError: what ``make`` raises, or a disk that is full.
    """
    try:
        key = key_of(dynprompt, node_id)
    except UntracedError as reason:
        return Kept(video_of(make()), f"made, not kept: {reason}")

    def write(path: Path) -> None:
        stream = make()
        write_lossless(path, replace(stream, pieces=stoppable(stream.pieces)))

    with ShotStore(shots_folder(), limit_bytes) as store:
        found = store.get(key)
        own = scratch_file(store.suffix)
        _link(found or store.put(key, write), own)
    return Kept(FileVideo(path=own), "found" if found else "made and kept")


def shots_kept() -> tuple[int, int]:
    """Return the number of shots that are kept and their bytes."""
    with ShotStore(shots_folder(), 1 << 62) as store:
        return store.size()


def clear_shots() -> tuple[int, int]:
    """Remove all shots that are kept; return their number and bytes."""
    with ShotStore(shots_folder(), 1 << 62) as store:
        return store.clear()


def key_of(dynprompt: Any, node_id: str) -> str:
    """Return the key of everything that decides what a node makes: the nodes that lead to it, and their files.

    Node ids are no part of it, so a shot is found again where its place in the graph has changed.

    Raises:
        UntracedError: a node or value that has no content to go by.
    """
    pack = {"pack": __version__, "format": FORMAT_VERSION}
    try:
        return content_key({**pack, "shot": _node(dynprompt, node_id, {}, model_files(), NO_PART)})
    except SoraError as error:
        raise UntracedError(str(error)) from error


def _node(
    dynprompt: Any, node_id: str, known: dict[str, str], files: Mapping[str, Path], left: frozenset[str] = frozenset()
) -> str:
    """Return the key of a node with all that leads to it. known: keys by id. left: inputs that do not count."""
    if node_id in known:
        return known[node_id]
    if not dynprompt.has_node(node_id):
        raise UntracedError(f"node {node_id} is not part of the workflow")
    node = dynprompt.get_node(node_id)
    kind = node["class_type"]
    if getattr(host_nodes.NODE_CLASS_MAPPINGS.get(kind), "NOT_IDEMPOTENT", False):
        raise UntracedError(f"{kind} gives something else each time")
    # what the node itself says of files and the like; set by the host where it caches
    state = node.get("is_changed", False)
    inputs = {
        name: _value(dynprompt, value, kind, known, files) for name, value in node["inputs"].items() if name not in left
    }
    known[node_id] = content_key({"class": kind, "state": _state(state, kind), "inputs": inputs})
    return known[node_id]


def _value(dynprompt: Any, value: Any, kind: str, known: dict[str, str], files: Mapping[str, Path]) -> object:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
        return {"node": _node(dynprompt, value[0], known, files), "output": value[1]}
    if isinstance(value, str):
        return {"text": value, "files": [[stat.st_size, stat.st_mtime_ns] for stat in _named(value, files)]}
    if isinstance(value, dict):
        return {str(name): _value(dynprompt, each, kind, known, files) for name, each in value.items()}
    if isinstance(value, list):
        return [_value(dynprompt, each, kind, known, files) for each in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise UntracedError(f"{kind} is given a {type(value).__name__} that no other node made")


def _state(state: Any, kind: str) -> object:
    """Return what a node says of its state as text."""
    if any(isinstance(each, float) and math.isnan(each) for each in (state if isinstance(state, list) else [state])):
        raise UntracedError(f"{kind} asks to be run each time")
    return repr(state)


def _named(text: str, files: Mapping[str, Path]) -> list[os.stat_result]:
    """Return the state of each file that a text names: of the input folder, or of a folder of models."""
    if not text or len(text) > LONGEST_NAME or "\n" in text or "\0" in text:
        return []
    places = [files[text]] if text in files else []
    if ".." not in text:
        places.append(Path(text) if Path(text).is_absolute() else Path(folder_paths.get_annotated_filepath(text)))
    for folder in sorted(folder_paths.folder_names_and_paths):
        if folder != "custom_nodes" and (found := folder_paths.get_full_path(folder, text)):
            places.append(Path(found))
    return [place.stat() for place in places if place.is_file()]


def _link(path: Path, own: Path) -> None:
    try:
        own.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, own)
