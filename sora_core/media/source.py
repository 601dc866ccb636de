"""Files of clips to read: opened as often as wanted, their streams picked, their errors turned into sentences."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SoraError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

TEXT = ("tty", "bin", "adf", "idf", "xbin")
"""FFmpeg draws texts as moving pictures; nobody means that."""

OPTIONS = {"protocol_whitelist": "file"}
"""A playlist must not make this machine open addresses."""


class Source:
    """A file or bytes, opened as often as wanted. name: how to call it in a sentence."""

    def __init__(self, source: Path | str | io.BytesIO) -> None:
        """Bytes are shared, not copied, so that readers do not move one another."""
        self._bytes = None if isinstance(source, (str, Path)) else source.getvalue()
        self._path = Path(source) if isinstance(source, (str, Path)) else None
        self.name = "the clip" if self._path is None else str(self._path)

    @contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """Open it to read; FFmpeg's errors come out as sentences.

        Raises:
            SoraError: it is missing or no clip.
        """
        import av
        from av.error import FFmpegError

        if self._path is not None and not self._path.is_file():
            what = "is a folder" if self._path.is_dir() else "does not exist"
            raise SoraError(f"{self.name} {what}; name a video file")
        try:
            if self._path is not None:
                opened = av.open(str(self._path.absolute()), options=OPTIONS)
            else:
                opened = av.open(io.BytesIO(self._bytes or b""))
            with opened as container:
                if container.format.name in TEXT:
                    raise SoraError(f"{self.name} is a text, not a clip; name a video file")
                yield container
        except SoraError:
            raise
        except (FFmpegError, OSError, IndexError, ValueError) as error:
            raise SoraError(
                f"{self.name} cannot be read as a clip, or is cut short; name a whole video file"
            ) from error


def picture_of(container: InputContainer) -> VideoStream | None:
    """Return the stream with the moving picture; the cover of a record is none."""
    for stream in container.streams.video:
        if stream.codec_context is not None and not _is_cover(stream):
            stream.thread_type = "AUTO"
            return stream
    return None


def sound_of(container: InputContainer) -> Any | None:  # noqa: ANN401
    """Return the first stream of sound that can be decoded."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def require_sound(path: Path) -> None:
    """Refuse a file without sound.

    Raises:
        SoraError: it is silent, missing or no clip.
    """
    with Source(path).opened() as container:
        if sound_of(container) is None:
            raise SoraError(f"{path} is silent, and its sound is what the film is made to; name a file with sound")


def decode(container: InputContainer, stream: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield decoded frames; packets that are broken are left out."""
    from av.error import InvalidDataError

    for packet in container.demux(stream):
        with suppress(InvalidDataError):
            yield from packet.decode()


def own_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that were put in, without what the container adds of its own."""
    added = {"major_brand", "minor_version", "compatible_brands", "encoder"}
    return {key: value for key, value in metadata.items() if key.lower() not in added}


def seek(container: InputContainer, at: int, stream: VideoStream | None = None) -> bool:
    """Go to before ``at``, in the stream's units or else in microseconds; say whether the file lets one."""
    from av.error import FFmpegError

    try:
        container.seek(at, stream=stream)
    except FFmpegError:
        return False
    return True


def _is_cover(stream: Any) -> bool:  # noqa: ANN401
    disposition = getattr(stream, "disposition", None)
    return disposition is not None and "attached_pic" in str(getattr(disposition, "name", ""))
