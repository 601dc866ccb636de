"""Clips as files: H.264 and AAC in MP4, written frame by frame, with tags that say how to make them again."""

# F frames, H W height and width, S samples

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import SoraError
from ..types import SAMPLE_RATE
from .encoder import Pieces, Shape, encode, frame_rate, require_finite, writing
from .source import Source, own_tags
from .told_factor import told_factor

PEAK = 0.98
"""Louder sound is turned down to this, so that the decoder's overshoot does not clip."""


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
    sound = None if audio is None else limited(audio)
    waiting = iter(chunks)
    first = next(waiting)
    shape = Shape(
        width=first.shape[2],
        height=first.shape[1],
        fps=fps,
        sample_rate=SAMPLE_RATE,
        channels=0 if sound is None else 1,
    )
    encode(path, _with_sound(itertools.chain([first], waiting), sound, fps), shape, tags=tags)


def read_clip(path: Path) -> ClipFile:
    """Read any clip that PyAV reads, at the size that it was made in, however large it was drawn to carry a mark.

    A JSON sidecar of the same name adds the tags that the file lacks.

    Raises:
        SoraError: the file is missing or holds no picture.
    """
    with Source(path).opened() as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        tags = own_tags(container.metadata)
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    if not images or not fps > 0:
        raise SoraError(f"{path} holds no moving picture; name an MP4 file")
    frames = np.stack(images).astype(np.uint8, copy=False)
    if (factor := told_factor(tags, frames.shape[2], frames.shape[1])) > 1:
        import torch

        from .whole_factor import shrink

        frames = shrink(torch.from_numpy(frames), factor).numpy()
    return ClipFile(frames=frames, audio=_read_audio(path), fps=fps, tags=_beside(path) | tags)


def read_tags(path: Path) -> dict[str, str]:
    """Return a clip's tags and its sidecar's, without decoding it; the file's own count where both have one.

    Raises:
        SoraError: the file is missing or no clip.
    """
    with Source(path).opened() as container:
        tags = own_tags(container.metadata)
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
    require_finite(audio_S)
    peak = float(np.abs(audio_S).max(initial=0))
    return np.ascontiguousarray(audio_S * min(1.0, PEAK / peak) if peak > PEAK else audio_S, dtype=np.float32)


def write_webp(path: Path, image_HWC: NDArray[np.uint8]) -> None:
    """Write a picture as WebP, quality 90. Raises as `write_mp4`."""
    import av

    with replacing(path) as hidden, writing(hidden, "webp") as container:
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


def _with_sound(chunks: Iterable[NDArray[np.uint8]], sound_S: NDArray[np.float32] | None, fps: float) -> Pieces:
    """Pair frames with the sound up to where they end: the muxer then holds little back."""
    rate = frame_rate(fps)
    frames = sent = 0
    for chunk_FHWC in chunks:
        frames += len(chunk_FHWC)
        until = round(frames / rate * SAMPLE_RATE)
        yield chunk_FHWC, None if sound_S is None else sound_S[None, sent:until]
        sent = until
    if sound_S is not None:
        yield np.empty((0, 0, 0, 3), np.uint8), sound_S[None, sent:]


def _read_audio(path: Path) -> NDArray[np.float32] | None:
    import av

    with Source(path).opened() as container:
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
