"""Films that are made while they are read, into files: for players, or exact for what works on them next."""

# f frames of a piece, H W pixels, C sound channels, s samples of a piece

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .encoder import LOSSLESS, MP4, Encoding, Pieces, Shape, encode

if TYPE_CHECKING:
    from ..editing.film import FilmStream


def write_film(
    target: Path | IO[bytes],
    stream: FilmStream,
    tags: Mapping[str, str] | None = None,
    *,
    encoding: Encoding = MP4,
) -> None:
    """Write a film piece by piece, by default as H.264 and AAC in MP4.

    A path is written whole or not at all. Sound at a rate that the codec lacks is resampled to the next one above;
    samples beyond 1 are cut to it, levels stay as they are.

    Raises:
        SoraError: sound that is not finite, odd sides, pieces of another size, no frame, or a file that cannot be
            written.
    """
    shape = Shape(
        width=stream.width,
        height=stream.height,
        fps=stream.fps,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
    )
    encode(target, _arrays(stream), shape, encoding=encoding, tags=tags)


def write_lossless(path: Path, stream: FilmStream) -> None:
    """Write a film so that reading it back gives the same frames and samples: 8-bit RGB and float sound in MOV.

    Raises:
        SoraError: as `write_film`, odd sides aside.
    """
    write_film(path, stream, encoding=LOSSLESS)


def _arrays(stream: FilmStream) -> Pieces:
    for piece in stream.pieces:
        yield piece.frames.cpu().numpy(), None if piece.sound is None else piece.sound.float().cpu().numpy()
