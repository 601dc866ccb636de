"""What a graph says of how a clip came to be: the files, models, seeds and texts upstream of the node that saves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host import loaded_file, model_file

MOST_NODES = 10_000
"""Nodes looked at; a graph is a stranger's."""

VIDEO_LOADERS, IMAGE_LOADERS = ("LoadVideo",), ("LoadImage", "LoadImageMask", "LoadImageOutput")
SEEDS, TEXTS = ("seed", "noise_seed"), ("text", "prompt", "subject", "action", "scene", "lyrics", "tags", "script")
MODELS = ("checkpoint", "ckpt_name", "unet_name", "model_name")


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What lies upstream of a node, in the order in which a walk from it meets it.

    videos, images: files that were loaded. models: name and file, None where it is not found. seeds: of samplers.
    texts: what was typed into prompts. workflow_hash: SHA-256 of the whole prompt's canonical JSON.
    """

    videos: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()
    models: tuple[tuple[str, Path | None], ...] = ()
    seeds: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    workflow_hash: str = ""


def upstream_of(prompt: Mapping[str, Any] | None, node_id: str | None) -> Upstream:
    """Return what a prompt says of the way to one of its nodes; nothing where there is no prompt."""
    if not prompt or node_id is None:
        return Upstream()
    videos: dict[Path, None] = {}
    images: dict[Path, None] = {}
    models: dict[str, Path | None] = {}
    seeds: dict[int, None] = {}
    texts: dict[str, None] = {}
    for node in _walk(prompt, str(node_id)):
        kind, inputs = str(node.get("class_type", "")), node.get("inputs", {})
        plain = {name: value for name, value in inputs.items() if not _is_link(value)}
        if kind in VIDEO_LOADERS and (path := loaded_file(plain.get("file"))):
            videos[path] = None
        if kind in IMAGE_LOADERS and (path := loaded_file(plain.get("image"))):
            images[path] = None
        for name, value in plain.items():
            if name in MODELS and isinstance(value, str):
                models[value] = model_file(value)
            elif name in SEEDS and isinstance(value, int):
                seeds[value] = None
            elif name in TEXTS and isinstance(value, str) and value.strip():
                texts[value] = None
    return Upstream(
        videos=tuple(videos),
        images=tuple(images),
        models=tuple(models.items()),
        seeds=tuple(seeds),
        texts=tuple(texts),
        workflow_hash=hashlib.sha256(json.dumps(prompt, sort_keys=True, default=str).encode()).hexdigest(),
    )


def _walk(prompt: Mapping[str, Any], start: str) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes upstream of one, nearest first, each once."""
    waiting, seen = [start], {start}
    for name in waiting:
        node = prompt.get(name)
        if not isinstance(node, Mapping) or not isinstance(node.get("inputs"), Mapping):
            continue
        yield node
        for value in node["inputs"].values():
            if _is_link(value) and str(value[0]) not in seen and len(seen) < MOST_NODES:
                seen.add(str(value[0]))
                waiting.append(str(value[0]))


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)
