"""Results into files: the clip itself, frame by frame as it is made and marked, and then what stands beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import SPRITES
from .outputs import Outputs
from .progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..editing.film import FilmStream, Piece
    from ..pipeline import ClipStream
    from ..provenance.delivery import Delivered, Order

SPRITE_COLUMNS = 5


class Picked:
    """The frames that are kept, as they pass by, for the pictures beside a clip.

    middle: the middle frame's number. kept: pictures by number.
    """

    def __init__(self, num_frames: int, outputs: Outputs) -> None:
        from ..media.sheet import evenly_spaced

        self.middle = num_frames // 2
        self.sprites: list[int] = []
        if outputs.spritesheet:
            self.sprites = sorted({int(index) for index in evenly_spaced(num_frames, SPRITES)})
        self.kept: dict[int, NDArray[np.uint8]] = {}
        self.seen = 0

    def see(self, chunk_FHWC: Tensor) -> None:
        """Keep copies of those among the next frames."""
        following = range(self.seen, self.seen + len(chunk_FHWC))
        for index in {self.middle, *self.sprites} & set(following):
            self.kept[index] = chunk_FHWC[index - self.seen].numpy().copy()
        self.seen = following.stop


def write_clip(clip: ClipStream, outputs: Outputs, tags: dict[str, str], order: Order, *, tagged: bool) -> Delivered:
    """Write one variation's files.

    Args:
        clip: decoded while it is written. outputs: where to. tags: what it says of itself.
        order: its marks and its manifest. tagged: whether the clip carries the tags; a sidecar always does.
    """
    from ..editing.clip_stream import stream_of

    progress = Progress("writing ")
    try:
        return write_stream(stream_of(clip), outputs, tags, order, tagged=tagged, report=progress)
    finally:
        progress.close()


def write_stream(
    stream: FilmStream,
    outputs: Outputs,
    tags: dict[str, str],
    order: Order,
    *,
    tagged: bool,
    report: Callable[[int, int], None],
) -> Delivered:
    """Write a film and what stands beside it; arguments as `write_clip`, and what is told of frames done and in all."""
    from ..provenance.delivery import deliver

    made = 0

    def pieces() -> Iterator[Piece]:
        nonlocal made
        for piece in stream.pieces:
            made += len(piece.frames)
            yield piece
            report(made, stream.num_frames)

    # pictures beside a clip show what the clip shows, its marks too
    picked = Picked(stream.num_frames, outputs)
    told = replace(stream, pieces=pieces())
    delivered = deliver(outputs.main, told, order, tags=tags if tagged else {}, see=picked.see)
    _write_beside(outputs, picked, tags)
    return delivered


def described(*, width: int, height: int, seconds: float, fps: float, sound: bool) -> str:
    """Return ``"64x64, 2.08 s at 12 fps with sound"``."""
    return f"{width}x{height}, {seconds:.2f} s at {fps:g} fps {'with' if sound else 'without'} sound"


def _write_beside(outputs: Outputs, picked: Picked, tags: Mapping[str, str]) -> None:
    from ..media.mp4 import write_webp
    from ..media.png import write_png
    from ..media.sheet import sprites

    if outputs.thumbnail:
        write: Callable[[Path, NDArray[np.uint8]], None] = write_webp
        if outputs.thumbnail.suffix == ".png":
            write = write_png
        write(outputs.thumbnail, picked.kept[picked.middle])
    if outputs.spritesheet:
        write_png(outputs.spritesheet, sprites([picked.kept[index] for index in picked.sprites], SPRITE_COLUMNS))
    if outputs.sidecar:
        _write_sidecar(outputs.sidecar, tags)


def _write_sidecar(path: Path, tags: Mapping[str, str]) -> None:
    from ..atomic import replacing

    plain = ("settings", "seed", "level")
    readable = {key: json.loads(value) if key in plain else value for key, value in tags.items()}
    with replacing(path) as hidden:
        hidden.write_text(json.dumps(readable, indent=2) + "\n", encoding="utf-8")
