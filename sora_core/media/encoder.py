"""Films into files: the one loop that encodes, whatever the container, holding a piece of the film at a time."""

# f frames of a piece, H W pixels, C sound channels, s samples of a piece

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import SoraError
from .colours import Colours

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

SMALL_PIXELS = 256 * 256
CRF_SMALL, CRF_LARGE = 16, 20
"""Constant rate factor: on small pictures artefacts are large, and bytes are few."""

CRF_AV1 = 24
"""For files that carry a mark; the encoder's own 35 leaves so little of it that the next encoding takes it away."""

STEADY_SIDE = 257
"""Pixels; on pictures with a smaller side x264 goes without its macroblock tree, with which the same frames gave
another file nearly every time (nine of twelve, 64x64, 4 s); a sixth more bytes, and few at that size."""

AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
OPUS_RATE = 48_000

BITS_PER_SAMPLE, BIT_RATE = 6, 96_000
"""AAC takes no more than 6 bits per sample and channel; more than 96 kbit/s per channel is not heard."""

LAYOUTS = {1: "mono", 2: "stereo"}

FPS_RANGE = (0.01, 1000)

CONTAINERS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm", "mov": "mov"}
"""FFmpeg's names by suffix."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a film is kept in a file.

    container: mp4, mkv, webm or mov. codec: h264 or av1, or lossless (8-bit RGB and float sound, for mov alone).
    crf: constant rate factor, None for what suits the picture's size. ten_bits: 10 instead of 8 bits per colour.
    """

    container: str = "mp4"
    codec: str = "h264"
    crf: float | None = None
    ten_bits: bool = False

    def __post_init__(self) -> None:
        """Refuse what players do not know."""
        if self.container not in CONTAINERS:
            raise SoraError(f"the container {self.container!r} is none of {', '.join(CONTAINERS)}; choose one of them")
        if self.codec not in ("h264", "av1", "lossless"):
            raise SoraError(f"the codec {self.codec!r} is none of h264 and av1; choose one of them")
        if self.container == "webm" and self.codec != "av1":
            raise SoraError(f"a WebM file cannot hold {self.codec}; choose the codec av1, or the container mp4")
        if self.codec == "lossless" and self.container != "mov":
            raise SoraError(f"lossless films are kept in mov, not in {self.container}; choose the container mov")

    @property
    def pixels(self) -> str:
        """FFmpeg's name of the pixel format."""
        if self.codec == "lossless":
            return "rgb24"
        return "yuv420p10le" if self.ten_bits else "yuv420p"


MP4 = Encoding()
LOSSLESS = Encoding(container="mov", codec="lossless")
"""Exact, and twice as quick both ways as FFV1 (measured); MOV keeps each sample's time, Matroska milliseconds."""


def for_file(path: Path) -> Encoding:
    """Return how a file of that name is kept, a mark in it too: H.264, and AV1 in WebM.

    Raises:
        SoraError: its ending is none of ours.
    """
    container = path.suffix.lower().lstrip(".")
    if container == "png":
        return MP4
    if container not in CONTAINERS:
        raise SoraError(f"{path} must end in .png or in one of {', '.join(f'.{name}' for name in CONTAINERS)}")
    if container == "webm":
        return Encoding(container=container, codec="av1", crf=CRF_AV1)
    return Encoding(container=container, codec="h264")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What an encoder is told of a film. fps: frames per second. sample_rate, channels: of the sound, 0 for none."""

    width: int
    height: int
    fps: float
    sample_rate: int = 0
    channels: int = 0

    def __post_init__(self) -> None:
        """Refuse what no encoder takes."""
        if not FPS_RANGE[0] <= self.fps <= FPS_RANGE[1]:
            raise SoraError(f"fps {self.fps} must be from {FPS_RANGE[0]} to {FPS_RANGE[1]}, for example 24")
        if self.channels not in (0, 1, 2):
            raise SoraError(f"the sound has {self.channels} channels and may have 1 or 2; mix them down first")
        if self.channels and self.sample_rate <= 0:
            raise SoraError(f"the sample rate {self.sample_rate} must be above 0, for example 48000")


Pieces = Iterable[tuple[NDArray[np.uint8], "NDArray[np.float32] | None"]]
"""Frames uint8 RGB ``[f, H, W, 3]`` (f may be 0), and sound float32 ``[C, s]`` or None."""


def encode(
    target: Path | IO[bytes],
    pieces: Pieces,
    shape: Shape,
    *,
    encoding: Encoding = MP4,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a film; a path is written whole or not at all, and memory does not grow with the film's length.

    Raises:
        SoraError: the sound holds values that are not numbers, the picture does not fit the encoder or changes its
            size, there is no frame, or the file cannot be written.
    """
    import av

    lossless = encoding.codec == "lossless"
    if not lossless and (shape.width % 2 or shape.height % 2):
        raise SoraError(
            f"the picture is {shape.width} x {shape.height} pixels and this codec needs even sides; scale or crop it"
        )
    rate = frame_rate(shape.fps)
    colours = Colours()
    with _opened(target, encoding.container) as container:
        container.metadata.update(tags or {})
        video = _video_stream(container, encoding, shape, rate)
        voice = _audio_stream(container, encoding, shape) if shape.channels else None
        frames = samples = 0
        for images_FHWC, sound_CS in pieces:
            if len(images_FHWC) and images_FHWC.shape[1:] != (shape.height, shape.width, 3):
                raise SoraError(
                    f"a frame is {images_FHWC.shape[2]} x {images_FHWC.shape[1]} pixels and the film "
                    f"{shape.width} x {shape.height}; scale all frames to one size"
                )
            for image in images_FHWC:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts, frame.time_base = frames, 1 / rate
                if not lossless:
                    frame = colours.to_file(frame, encoding.pixels)
                container.mux(video.encode(frame))
                frames += 1
            if voice is not None and sound_CS is not None and sound_CS.shape[1]:
                frame = av.AudioFrame.from_ndarray(_heard(sound_CS, lossless), "fltp", LAYOUTS[shape.channels])
                frame.sample_rate, frame.pts, frame.time_base = (
                    shape.sample_rate,
                    samples,
                    Fraction(1, shape.sample_rate),
                )
                container.mux(voice.encode(frame))
                samples += sound_CS.shape[1]
        if not frames:
            raise SoraError("the film holds no frame, so nothing was written; make it longer")
        for stream in (video, voice):
            if stream is not None:
                container.mux(stream.encode(None))


def frame_rate(fps: float) -> Fraction:
    """Return the rate as a fraction; 23.976 and its like become the 1001sts that they stand for."""
    whole = round(fps * 1001 / 1000)
    ntsc = Fraction(whole * 1000, 1001)
    if whole and abs(float(ntsc) - fps) < 1e-3 and abs(fps - round(fps)) > 1e-6:
        return ntsc
    return Fraction(fps).limit_denominator(1001)


def require_finite(audio: NDArray[np.float32]) -> None:
    """Refuse sound with samples that are not numbers.

    Raises:
        SoraError: there is one.
    """
    if broken := int((~np.isfinite(audio)).sum()):
        raise SoraError(
            f"the sound holds {broken} of {audio.size} samples that are not numbers, so nothing was written; "
            "use a lower cfg, more steps or --dtype float32"
        )


@contextmanager
def writing(target: Path | IO[bytes], container: str) -> Iterator[OutputContainer]:
    """Open a file to write in FFmpeg's ``container``; FFmpeg's errors come out as sentences."""
    import av
    from av.error import FFmpegError

    options = {}
    if container in ("mp4", "mov"):
        # to bring the index to the front FFmpeg opens the file once more, by its name
        front = container == "mp4" and isinstance(target, Path)
        options["movflags"] = "+use_metadata_tags" + ("+faststart" if front else "")
    try:
        file = str(target) if isinstance(target, Path) else target
        with av.open(file, "w", format=container, options=options) as opened:
            yield opened
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise SoraError(f"the clip could not be encoded ({error}); please report this size and frame rate") from error


@contextmanager
def _opened(target: Path | IO[bytes], container: str) -> Iterator[OutputContainer]:
    if not isinstance(target, Path):
        with writing(target, CONTAINERS[container]) as opened:
            yield opened
        return
    with replacing(target) as hidden, writing(hidden, CONTAINERS[container]) as opened:
        yield opened


def _heard(sound_CS: NDArray[np.float32], lossless: bool) -> NDArray[np.float32]:
    require_finite(sound_CS)
    return np.ascontiguousarray(sound_CS if lossless else sound_CS.clip(-1, 1), dtype=np.float32)


def _video_stream(container: OutputContainer, encoding: Encoding, shape: Shape, rate: Fraction) -> VideoStream:
    crf = encoding.crf
    if encoding.codec == "lossless":
        # a key frame every second or so: a film is read from any frame on
        name, options = "libx264rgb", {"qp": "0", "preset": "ultrafast", "g": str(max(1, min(24, round(rate))))}
    elif encoding.codec == "h264":
        if crf is None:
            crf = CRF_SMALL if shape.width * shape.height <= SMALL_PIXELS else CRF_LARGE
        # colours lie in the middle of the four pixels that share one, as `Colours` makes and reads them
        name, options = "libx264", {"crf": f"{crf:g}", "preset": "medium", "x264-params": "chromaloc=1"}
        if min(shape.width, shape.height) < STEADY_SIDE:
            options["x264-params"] += ":mbtree=0"
    else:
        name = "libsvtav1"
        options = {} if crf is None else {"svtav1-params": "lossless=1"} if crf == 0 else {"crf": f"{crf:g}"}
    stream: Any = container.add_stream(name, rate=rate)
    stream.width, stream.height, stream.pix_fmt, stream.options = shape.width, shape.height, encoding.pixels, options
    context = stream.codec_context
    context.time_base = 1 / rate
    if encoding.codec != "lossless":
        # BT.709, limited range, said aloud: players guess BT.601 for small pictures and shift the colours
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
    return stream


def _audio_stream(container: OutputContainer, encoding: Encoding, shape: Shape) -> AudioStream:
    layout = LAYOUTS[shape.channels]
    if encoding.codec == "lossless":
        name, rate = "pcm_f32le", shape.sample_rate
    elif encoding.container == "webm":
        name, rate = "libopus", OPUS_RATE
    else:
        name, rate = "aac", next((known for known in AAC_RATES if known >= shape.sample_rate), OPUS_RATE)
    # it resamples what it is given
    stream: Any = container.add_stream(name, rate=rate, layout=layout)
    if name == "aac":
        stream.bit_rate = min(BITS_PER_SAMPLE * rate, BIT_RATE) * shape.channels
    return stream
