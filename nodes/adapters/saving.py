"""VIDEO into marked and signed files of the output folder, and marks into a VIDEO."""

# F frames, H W height and width

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...sora_core.checkpoint.metadata import file_hash
from ...sora_core.errors import SoraError
from ...sora_core.media.encoder import for_file
from ...sora_core.media.film_writer import write_lossless
from ...sora_core.provenance.delivery import Delivered, Order, deliver, marking_of
from ...sora_core.provenance.home import Home
from ...sora_core.provenance.manifest.generation import Generation, salted
from ...sora_core.provenance.manifest.story import Act, Disclosure, Ingredient, Story
from ...sora_core.provenance.marking.layers import Layers
from ...sora_core.provenance.remember import remember
from ..host import Place, metadata_wanted, output_place, saved_video, scratch_file
from .cameos import using
from .decisions import told_decision
from .films import FileVideo, film_of, stoppable_from
from .lineage import Upstream, upstream_of

STILL = "png"
FORMATS = ("mp4", "mov", "mkv", "webm", STILL)
HASHED_BYTES = 512 << 20
"""Model files up to this size are hashed at every save; of larger ones the name alone is told."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a clip is to be saved.

    prefix: of the name, with folders. kind: one of `FORMATS`. layers: marks and manifest. metadata: whether the graph
    goes into the file. prompt: what was asked for, "" to take the graph's texts. shown: whether it is told in words.
    decision: of Sora Moderate, as it came over the wire. use: of cameos, None without.
    """

    prefix: str
    kind: str
    layers: Layers
    metadata: bool = True
    prompt: str = ""
    shown: bool = False
    decision: str = ""
    use: Any = None


def logo_of(image: Tensor | None) -> Tensor | None:
    """Return IMAGE ``[1, H, W, 3 or 4]`` in [0, 1] as a badge's logo, uint8 RGBA ``[H, W, 4]``."""
    if image is None:
        return None
    picture = (image[0].float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    if picture.shape[-1] == 4:
        return picture
    return torch.cat([picture, torch.full_like(picture[..., :1], 255)], -1)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A file in the output folder, and what came of saving it."""

    place: Place
    delivered: Delivered

    @property
    def words(self) -> str:
        """What the node shows."""
        made = self.delivered
        told = [] if made.mark_id is None else [f"marked {made.mark_id:016x}"]
        told += ["signed by this machine's own signer, whom others do not know"] if made.signed else ["not signed"]
        silent = [f"the sound goes without its mark: {made.silent}"] if made.silent else []
        return "\n".join([f"{made.path.name}: {', '.join(told)}", *silent, *made.notes])

    @property
    def video(self) -> Any:
        """It as VIDEO."""
        return saved_video(self.place)[0]

    @property
    def shown(self) -> Any:
        """What the front end shows of it."""
        return saved_video(self.place)[1]


def mark_video(video: Any, layers: Layers) -> FileVideo:
    """Return a VIDEO with its marks, without loss, in the host's folder for temporary files.

    Raises:
        SoraError: it is marked already, or a mark does not fit.
    """
    if isinstance(video, FileVideo) and video.carried is not None:
        raise SoraError("the video carries marks already; connect one that Sora Watermark has not marked yet")
    film, home = film_of(video), Home.default()
    marking = marking_of(stoppable_from(film), layers, home)
    path = scratch_file(".mov")
    write_lossless(path, marking.marked())
    remember(home, marking, title="marked in ComfyUI")
    return FileVideo(path=path, carried=marking.carried())


def save_video(video: Any, wish: Wish, *, prompt: Mapping[str, Any] | None, extra: Any, node_id: str | None) -> Saved:
    """Mark, write and sign a VIDEO in one step, under the next free name.

    Args:
        video: native VIDEO. wish: how. prompt, extra: the graph, as the host hands it to the node. node_id: its own.

    Raises:
        SoraError: a name that leads out of the folder, marks that do not fit, a still of several frames, or a use of a
            cameo that is not allowed any more.
    """
    film = film_of(video)
    if wish.kind == STILL and film.num_frames != 1:
        raise SoraError(f"the video has {film.num_frames} frames and a PNG holds one; choose another format")
    carried = video.carried if isinstance(video, FileVideo) else None
    layers = wish.layers
    if carried is not None:
        layers = replace(layers, invisible=carried.invisible, visible=carried.visible)
    if wish.use is not None and not (layers.marked or layers.manifest):
        raise SoraError("who is lent by a cameo is never saved without any mark; switch one of them on")
    upstream, home = upstream_of(prompt, node_id), Home.default()
    told = _tags(wish, prompt, extra)
    while True:
        with using(wish.use) as finish:
            place = output_place(wish.prefix, f"{layers.ending}.{wish.kind}", film.width, film.height)
            order = Order(
                layers=layers,
                story=_story(place.path.stem, wish, upstream, home),
                home=home,
                allowed=finish,
                fresh=True,
                carried=carried,
            )
            kept = for_file(place.path)
            try:
                delivered = deliver(place.path, stoppable_from(film), order, encoding=kept, tags=told)
            except FileExistsError:
                # another process took the name meanwhile
                continue
            return Saved(place=place, delivered=delivered)


def _story(title: str, wish: Wish, upstream: Upstream, home: Home) -> Story:
    """Return what the manifest says of how the clip was made, as far as the graph tells."""
    words = wish.prompt or "\n".join(upstream.texts)
    name, path = next(iter(upstream.models), ("", None))
    known = path is not None and path.stat().st_size <= HASHED_BYTES
    model_hash = file_hash(path) if known and path is not None else ""
    opened = [
        Ingredient(path=file, relationship="componentOf" if place else "parentOf")
        for place, file in enumerate(upstream.videos)
    ]
    seen = [Ingredient(path=file, relationship="inputTo") for file in upstream.images]
    generation = Generation(
        **(salted(words, show=wish.shown) if words else {}),
        **told_decision(wish.decision, home),
        workflow_sha256=upstream.workflow_hash,
        seed=next(iter(upstream.seeds), None),
        model_name=Path(name).name,
        model_sha256=model_hash,
        cameos=() if wish.use is None else wish.use.use.claims(),
    )
    return Story(
        title=title,
        made="opened" if opened else "generated",
        ingredients=(*opened, *seen),
        acts=(Act(description="edited in ComfyUI", by_model=bool(upstream.models)),) if opened else (),
        disclosure=Disclosure(name=Path(name).name, identifier=model_hash) if name else None,
        generation=generation,
    )


def _tags(wish: Wish, prompt: Mapping[str, Any] | None, extra: Any) -> dict[str, str]:
    """Return the graph as core's Save Video writes it, if it is wanted."""
    if not (wish.metadata and metadata_wanted()):
        return {}
    told = dict(extra) if isinstance(extra, Mapping) else {}
    if prompt is not None:
        told["prompt"] = prompt
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
