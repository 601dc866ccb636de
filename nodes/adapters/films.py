"""Films between ComfyUI's VIDEO and the core: read where they lie, and made into a file piece by piece."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ...sora_core.editing.film import CHUNK_BYTES, Film, FilmStream, MemoryFilm, Piece
from ...sora_core.editing.film_stream import stream_from
from ...sora_core.errors import SoraError
from ...sora_core.media.encoder import Encoding, frame_rate
from ...sora_core.media.film_file import FileFilm
from ...sora_core.media.film_writer import write_film, write_lossless
from ...sora_core.provenance.marking.marked import Carried
from ..host import Input, Types, check_interrupt, scratch_file

SURROUND = 0.7
"""Weight of further channels in a mix to two."""


def film_of(video: Any) -> Film:
    """Return a VIDEO as a film; one that lies in a file is read from there, piece by piece.

    Raises:
        SoraError: it cannot be read, or holds no frame.
    """
    if isinstance(video, FileVideo):
        return video.film
    if type(video).get_stream_source is Input.Video.get_stream_source:
        # not a file: to stream it the host would encode it first
        parts = video.get_components()
        return film_from_images(parts.images, parts.audio, float(parts.frame_rate))
    source = video.get_stream_source()
    start_s, duration_s = video.get_active_trim_window()
    return FileFilm(source, start_s, duration_s)


def film_from_images(images: Tensor, audio: Mapping[str, Any] | None, fps: float) -> MemoryFilm:
    """Return IMAGE ``[F, H, W, 3 or 4]`` in [0, 1] and AUDIO as a film.

    Raises:
        SoraError: there is no frame, or fps is not above 0.
    """
    if not len(images):
        raise SoraError("the video holds no frame; connect one with at least one")
    if not fps > 0:
        raise SoraError(f"fps {fps} must be above 0, for example 24")
    picture = torch.empty((*images.shape[:3], 3), dtype=torch.uint8)
    size = max(1, CHUNK_BYTES // picture[0].numel())
    for to, image in zip(picture.split(size), images.split(size), strict=True):
        to.copy_(image[..., :3].float().mul(255).round().clamp(0, 255))
    if audio is None:
        return MemoryFilm(picture=picture, audio=None, fps=fps)
    wave_CS = audio["waveform"][0].float().cpu()
    if len(wave_CS) > 2:
        wave_CS = (wave_CS[:2] + SURROUND * wave_CS[2:].mean(0)) / (1 + SURROUND)
    return MemoryFilm(picture=picture, audio=wave_CS, fps=fps, sample_rate=int(audio["sample_rate"]))


def track_of(audio: Mapping[str, Any] | None) -> MemoryFilm | None:
    """Return AUDIO as a sound to read, or None where there is none."""
    if audio is None or not audio["waveform"].shape[-1]:
        return None
    rate = int(audio["sample_rate"])
    # A film of one frame, as long as the sound.
    return film_from_images(torch.zeros(1, 1, 1, 3), audio, rate / audio["waveform"].shape[-1])


def video_of(stream: FilmStream) -> FileVideo:
    """Make a film, and return it as a VIDEO that lies in the host's folder for temporary files, without any loss.

    Raises:
        SoraError: sound that is not finite, or a disk that is full.
    """
    path = scratch_file(".mov")
    # what is half-written goes with the exception that stops a run
    write_lossless(path, replace(stream, pieces=stoppable(stream.pieces)))
    return FileVideo(path=path)


@dataclass(frozen=True, kw_only=True, eq=False)
class FileVideo(Input.Video):
    """A VIDEO in a file of ours. Saving encodes it anew: no browser plays what is kept without loss.

    path: of the file. start_s, duration_s: the stretch of it, 0 for all from there on. carried: marks that are in it.
    """

    path: Path
    start_s: float = 0.0
    duration_s: float = 0.0
    carried: Carried | None = None

    @cached_property
    def film(self) -> FileFilm:
        """It as a film."""
        return FileFilm(self.path, self.start_s, self.duration_s)

    def get_components(self) -> Any:
        """Return all of it in memory: images float32 ``[F, H, W, 3]``, the sound, the frame rate."""
        film = self.film
        images = torch.empty((film.num_frames, film.height, film.width, 3))
        done = 0
        for piece in film.frames():
            check_interrupt()
            torch.div(piece, 255, out=images[done : done + len(piece)])
            done += len(piece)
        sound = film.sound()
        audio = None if sound is None else {"waveform": sound[None], "sample_rate": film.sample_rate}
        return Types.VideoComponents(images=images, audio=audio, frame_rate=frame_rate(film.fps))

    def save_to(
        self,
        path: str | IO[bytes],
        format: Any = Types.VideoContainer.AUTO,  # noqa: A002
        codec: Any = Types.VideoCodec.AUTO,
        metadata: Mapping[str, Any] | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
        color_space: str | None = None,
    ) -> None:
        """Encode it as the host encodes a VIDEO made from images, but frame by frame.

        Raises:
            SoraError: odd sides with H.264, a codec that the container cannot hold, or a wish for HDR.
        """
        if color_space not in (None, "auto", "sRGB"):
            raise SoraError(f"the video is sRGB and cannot be saved as {color_space}; choose auto or sRGB")
        container, name = Types.VideoContainer(format).value, Types.VideoCodec(codec).value
        if container == "auto":
            suffix = Path(path).suffix.lower().lstrip(".") if isinstance(path, (str, PathLike)) else ""
            container = suffix if suffix in ("mkv", "webm") else "mp4"
        if name == "auto":
            name = "av1" if container == "webm" else "h264"
        stream = stoppable_from(self.film)
        tags = {key: told if isinstance(told, str) else json.dumps(told) for key, told in (metadata or {}).items()}
        write_film(
            Path(path) if isinstance(path, (str, PathLike)) else path,
            stream,
            tags,
            encoding=Encoding(container=container, codec=name, crf=crf, ten_bits=(bit_depth or 8) > 8),
        )

    def as_trimmed(
        self,
        start_time: float | None = None,
        duration: float | None = None,
        strict_duration: bool = False,
    ) -> FileVideo | None:
        """Return a stretch of it, a negative start counting from its end; None where it is too short for that."""
        length, start, wanted = self.get_duration(), start_time or 0.0, duration or 0.0
        start = max(0.0, length + start) if start < 0 else start
        rest = length - start
        if rest <= 0 or (strict_duration and rest < wanted):
            return None
        return replace(self, start_s=self.start_s + start, duration_s=min(wanted, rest) if wanted else rest)

    def get_stream_source(self) -> str:
        """Return the file; `get_active_trim_window` says which stretch of it."""
        return str(self.path)

    def get_active_trim_window(self) -> tuple[float, float]:
        """Return the start and the duration in seconds, a duration of 0 being all."""
        return self.start_s, self.duration_s

    def get_dimensions(self) -> tuple[int, int]:
        """Return width and height."""
        return self.film.width, self.film.height

    def get_frame_count(self) -> int:
        """Return the number of frames."""
        return self.film.num_frames

    def get_frame_rate(self) -> Fraction:
        """Return the frames per second."""
        return frame_rate(self.film.fps)

    def get_duration(self) -> float:
        """Return the seconds that its frames last."""
        return self.film.num_frames / self.film.fps

    def get_color_space(self) -> str:
        """Return the host's name of what its pixels are."""
        return "sRGB"


def stoppable_from(film: Film) -> FilmStream:
    """Return a film as a stream that is read as long as the user lets the run go on."""
    stream = stream_from(film)
    return replace(stream, pieces=stoppable(stream.pieces))


def stoppable(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield pieces as long as the user lets the run go on."""
    for piece in pieces:
        check_interrupt()
        yield piece
