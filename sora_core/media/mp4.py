"""Clips as files: H.264 and AAC in MP4, written frame by frame, with tags that say how to make them again."""

# F frames, H W height and width, S samples

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import SoraError
from ..types import SAMPLE_RATE

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

AUDIO_BIT_RATE = 96_000
"""As much as AAC can use at 16 kHz mono."""

PEAK = 0.98
"""Louder sound is turned down to this, so that the decoder's overshoot does not clip."""

SMALL_PIXELS = 256 * 256
CRF_SMALL, CRF_LARGE = 16, 20
"""Constant rate factor: on small pictures artefacts are large, and bytes are few."""


@dataclass(frozen=True, kw_only=True)
class ClipFile:
    """A clip read back.

    Args:
        frames: uint8 RGB ``[F, H, W, 3]``.
        audio: float32 ``[S]``, 16 kHz mono from the first frame's time on; None without a sound track.
        fps: frames per second.
        tags: what the file says of itself.
    """

    frames: NDArray[np.uint8]
    audio: NDArray[np.float32] | None
    fps: float
    tags: dict[str, str]


def write_mp4(
    path: Path,
    chunks: Iterable[NDArray[np.uint8]],
    *,
    fps: float,
    audio: NDArray[np.float32] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a clip, whole or not at all; what it holds in memory does not grow with the number of chunks.

    Args:
        path: its folder must exist.
        chunks: uint8 RGB ``[n, H, W, 3]`` each, H and W even, at least one frame in all.
        fps: frames per second, any positive number.
        audio: float32 ``[S]``, 16 kHz mono; checked before the first byte is written.
        tags: names and texts; none are written without it.

    Raises:
        SoraError: the sound holds values that are not numbers, or the file cannot be written.
    """
    import av

    sound = None if audio is None else limited(audio)
    rate = frame_rate(fps)
    waiting = iter(chunks)
    first = next(waiting)
    with replacing(path) as hidden, _container(hidden) as container:
        container.metadata.update(tags or {})
        video = _video_stream(container, rate, first.shape[2], first.shape[1])
        voice = None if sound is None else _audio_stream(container)
        written = sent = 0
        for chunk_FHWC in _chain(first, waiting):
            for image in chunk_FHWC:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts, frame.time_base = written, 1 / rate
                container.mux(video.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
                written += 1
            if voice is not None and sound is not None:
                # as far as the picture is: the muxer then holds little back
                until = round(written / rate * SAMPLE_RATE)
                _send(container, voice, sound, sent, until)
                sent = until
        container.mux(video.encode(None))
        if voice is not None and sound is not None:
            _send(container, voice, sound, sent, len(sound))
            container.mux(voice.encode(None))


def read_clip(path: Path) -> ClipFile:
    """Read any clip that PyAV reads; a JSON sidecar of the same name adds the tags that the file lacks.

    Raises:
        SoraError: the file is missing or holds no picture.
    """
    with _reading(path) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        tags = _clean(container.metadata)
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    if not images or not fps > 0:
        raise SoraError(f"{path} holds no moving picture; name an MP4 file")
    frames = np.stack(images).astype(np.uint8, copy=False)
    return ClipFile(frames=frames, audio=_read_audio(path), fps=fps, tags=_beside(path) | tags)


def read_tags(path: Path) -> dict[str, str]:
    """Return a clip's tags and its sidecar's, without decoding it; the file's own count where both have one.

    Raises:
        SoraError: the file is missing or no clip.
    """
    with _reading(path) as container:
        tags = _clean(container.metadata)
    return _beside(path) | tags


def read_sidecar(path: Path) -> dict[str, str]:
    """Return the tags of a JSON sidecar, values other than text as JSON.

    Raises:
        SoraError: it is not one JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SoraError(f"{path} is not JSON; mend it or take it away") from error
    if not isinstance(values, dict):
        raise SoraError(f"{path} must be one JSON object; mend it or take it away")
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def limited(audio_S: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sound with its peak at most `PEAK`, turned down as a whole.

    Raises:
        SoraError: a sample is not a finite number.
    """
    if broken := int((~np.isfinite(audio_S)).sum()):
        raise SoraError(
            f"the sound holds {broken} of {len(audio_S)} samples that are not numbers, so nothing was written; "
            "use a lower cfg, more steps or --dtype float32"
        )
    peak = float(np.abs(audio_S).max(initial=0))
    return np.ascontiguousarray(audio_S * min(1.0, PEAK / peak) if peak > PEAK else audio_S, dtype=np.float32)


def frame_rate(fps: float) -> Fraction:
    """Return the rate as a fraction; 23.976 and its like become the 1001sts that they stand for."""
    whole = round(fps * 1001 / 1000)
    ntsc = Fraction(whole * 1000, 1001)
    if whole and abs(float(ntsc) - fps) < 1e-3 and abs(fps - round(fps)) > 1e-6:
        return ntsc
    return Fraction(fps).limit_denominator(1001)


def write_webp(path: Path, image_HWC: NDArray[np.uint8]) -> None:
    """Write a picture as WebP, quality 90. Raises as `write_mp4`."""
    import av

    with replacing(path) as hidden, _container(hidden, "webp") as container:
        stream: Any = container.add_stream("libwebp", rate=1)
        stream.width, stream.height, stream.pix_fmt = image_HWC.shape[1], image_HWC.shape[0], "yuv420p"
        stream.options = {"quality": "90"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_HWC), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def has_webp() -> bool:
    """Say whether this PyAV was built with a WebP encoder."""
    import av

    return "libwebp" in av.codecs_available


@contextmanager
def _reading(path: Path) -> Iterator[InputContainer]:
    """Open a file to read; FFmpeg's errors come out as sentences."""
    if not path.is_file():
        raise SoraError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; name an MP4 file")
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            yield container
    except (FFmpegError, IndexError, ValueError) as error:
        raise SoraError(f"{path} cannot be read as a clip; name an MP4 file") from error


@contextmanager
def _container(hidden: Path, kind: str = "mp4") -> Iterator[OutputContainer]:
    """Open a file to write; FFmpeg's errors come out as sentences."""
    import av
    from av.error import FFmpegError

    options = {"movflags": "+faststart+use_metadata_tags"} if kind == "mp4" else {}
    try:
        with av.open(str(hidden), "w", format=kind, options=options) as container:
            yield container
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise SoraError(f"the clip could not be encoded ({error}); please report this size and frame rate") from error


def _video_stream(container: OutputContainer, rate: Fraction, width: int, height: int) -> VideoStream:
    small = width * height <= SMALL_PIXELS
    stream: Any = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.options = {"crf": str(CRF_SMALL if small else CRF_LARGE), "preset": "medium"}
    context = stream.codec_context
    context.time_base = 1 / rate
    # BT.709, limited range, said aloud: players guess BT.601 for small pictures and shift the colours
    context.color_primaries = context.color_trc = context.colorspace = 1
    context.color_range = 1
    return stream


def _audio_stream(container: OutputContainer) -> AudioStream:
    stream: Any = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
    stream.bit_rate = AUDIO_BIT_RATE
    return stream


def _send(container: OutputContainer, stream: AudioStream, audio_S: NDArray[np.float32], start: int, end: int) -> None:
    """Encode and write samples ``start`` to ``end``, or as many of them as there are."""
    import av

    piece = audio_S[start:end]
    if not len(piece):
        return
    frame = av.AudioFrame.from_ndarray(piece[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
    container.mux(stream.encode(frame))


def _read_audio(path: Path) -> NDArray[np.float32] | None:
    import av

    with _reading(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        pieces: list[NDArray[np.float32]] = []
        for frame in container.decode(stream):
            if not pieces:
                late = round((frame.time or 0) * SAMPLE_RATE)
                pieces.append(np.zeros(max(late, 0), np.float32))
            pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        pieces += [part.to_ndarray()[0] for part in resampler.resample(None)]
        # the last packet is padded; the track's length says where the sound ends
        length = stream.duration * stream.time_base * SAMPLE_RATE if stream.duration and stream.time_base else None
    audio = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return audio if length is None else audio[: round(length)]


def _beside(path: Path) -> dict[str, str]:
    sidecar = path.with_suffix(".json")
    return read_sidecar(sidecar) if sidecar.is_file() else {}


def _clean(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what was put in, without what the container adds of its own."""
    own = {"major_brand", "minor_version", "compatible_brands", "encoder"}
    return {key: value for key, value in metadata.items() if key not in own}


def _chain(first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from rest
