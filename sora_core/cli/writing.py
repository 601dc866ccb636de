"""Results into files: the clip itself, frame by frame as it is made, and then what stands beside it."""

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

    from ..editing.film import FilmStream, Piece
    from ..pipeline import ClipStream

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

    def see(self, chunk_FHWC: NDArray[np.uint8]) -> None:
        """Keep copies of those among the next frames."""
        following = range(self.seen, self.seen + len(chunk_FHWC))
        for index in {self.middle, *self.sprites} & set(following):
            self.kept[index] = chunk_FHWC[index - self.seen].copy()
        self.seen = following.stop


def write_clip(clip: ClipStream, outputs: Outputs, tags: dict[str, str], *, still: bool, tagged: bool) -> None:
    """Write one variation's files.

    Args:
        clip: decoded while it is written. outputs: where to. tags: what it says of itself.
        still: its only frame as a picture. tagged: whether the clip carries the tags; a sidecar always does.
    """
    from ..media.mp4 import write_mp4
    from ..media.png import write_png

    shown = tags if tagged else {}
    picked = Picked(clip.num_frames, outputs)
    frames = _watched(clip, picked)
    if still:
        for _ in frames:
            pass
        write_png(outputs.main, picked.kept[0], shown)
    else:
        audio = None if clip.audio is None else clip.audio.numpy()
        write_mp4(outputs.main, frames, fps=clip.fps, audio=audio, tags=shown)
    _write_beside(outputs, picked, tags)


def write_stream(
    stream: FilmStream,
    outputs: Outputs,
    tags: dict[str, str],
    *,
    tagged: bool,
    report: Callable[[int, int], None],
) -> None:
    """Write a film and what stands beside it; arguments as `write_clip`, and what is told of frames done and in all."""
    from ..media.film_writer import write_film

    picked = Picked(stream.num_frames, outputs)

    def pieces() -> Iterator[Piece]:
        for piece in stream.pieces:
            picked.see(piece.frames.numpy())
            yield piece
            report(picked.seen, stream.num_frames)

    write_film(outputs.main, replace(stream, pieces=pieces()), tags if tagged else {})
    _write_beside(outputs, picked, tags)


def described(*, width: int, height: int, seconds: float, fps: float, sound: bool) -> str:
    """Return ``"64x64, 2.08 s at 12 fps with sound"``."""
    return f"{width}x{height}, {seconds:.2f} s at {fps:g} fps {'with' if sound else 'without'} sound"


def _watched(clip: ClipStream, picked: Picked) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's chunks under a progress bar."""
    progress = Progress("writing ")
    try:
        for chunk in clip.frames:
            chunk_FHWC = chunk.numpy()
            picked.see(chunk_FHWC)
            yield chunk_FHWC
            progress(picked.seen, clip.num_frames)
    finally:
        progress.close()


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
