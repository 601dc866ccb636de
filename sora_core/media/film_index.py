"""Where the frames and the sound of a file are: one pass over its packets, decoding where that is not to be trusted."""

# F frames, A packets of sound

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SoraError
from .source import Source, decode, own_tags, picture_of, sound_of

if TYPE_CHECKING:
    from av.container import InputContainer

PROBE = 8
"""Frames decoded to see whether the packets tell the truth."""

LENGTHS = (120, 240, 480, 576, 960, 1024, 1152, 1536, 1920, 2048, 2880)
"""Samples of a packet of Opus, MP3, AAC, AC-3 and their like."""

NEAR = 2
"""Units of time, and samples, that a container's clock may be off."""

CUT_SECONDS = 0.25
"""Times at the end of a whole file are less off than this."""

HIDDEN = ("vp8",)
"""Codecs with packets of their own for pictures that are never shown."""


@dataclass(frozen=True, kw_only=True)
class SoundIndex:
    """The sound of a file.

    position: int64 ``[A]``, the sample at which each packet begins, in time order, counted from time 0 of the file.
    channels: 1 or 2; more are mixed to 2.
    """

    sample_rate: int
    channels: int
    time_base: Fraction
    position: NDArray[np.int64]

    def place(self, frame: Any) -> int:  # noqa: ANN401
        """Return the sample at which decoded sound begins.

        It is found by its end: codecs cut the beginning off what they decode first, wherever that is.
        """
        end = round(frame.pts * frame.time_base * self.sample_rate) + frame.samples
        after = int(np.searchsorted(self.position, end))
        near = self.position[max(0, after - 1) : after + 1]
        known = int(near[np.abs(near - end).argmin()])
        return (
            known if abs(known - end) <= max(NEAR, NEAR * self.time_base * self.sample_rate) else end
        ) - frame.samples


@dataclass(frozen=True, kw_only=True)
class FilmIndex:
    """The picture of a file, and its sound if it has any.

    pts: int64 ``[F]`` in units of ``time_base``, in the order of showing. keys: the same of the frames that decoding
    can begin with; without any, each frame is reached from the first one on. fps: frames per second on the whole.
    """

    width: int
    height: int
    fps: float
    time_base: Fraction
    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    sound: SoundIndex | None
    tags: dict[str, str]

    def key_before(self, frame: int, more: int) -> int | None:
        """Return the pts of the key frame at or before a frame, ``more`` key frames earlier; None is the beginning."""
        place = int(np.searchsorted(self.keys, self.pts[frame], "right")) - 1 - more
        return int(self.keys[place]) if place > 0 else None


@dataclass(kw_only=True)
class _Packets:
    """What the packets say. shown, keys, heard: the pts of frames, of key frames and of sound.

    timed: each frame has a pts. first_sound: the first sound decoded. silent: packets of sound before that.
    missing: seconds of the picture that the file announces and does not hold.
    """

    shown: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    timed: bool = True
    first_sound: Any = None
    silent: int = 0
    missing: float = 0.0


def scan(source: Source) -> FilmIndex:
    """Read a file's packets once.

    Raises:
        SoraError: it cannot be read, or holds no moving picture.
    """
    with source.opened() as container:
        video, audio = picture_of(container), sound_of(container)
        if video is None:
            raise SoraError(f"{source.name} holds no moving picture; name a video file")
        packets = _packets(container, video, audio)
        if packets.missing > CUT_SECONDS:
            raise SoraError(
                f"{source.name} is cut short, the last {packets.missing:.1f} s are missing; name a whole video file"
            )
        base, tags = video.time_base or Fraction(1, 1000), own_tags(container.metadata)
        nominal, codec = video.average_rate or video.guessed_rate, video.codec_context.name
        sound = None if audio is None else _sound_index(packets, audio.time_base)
    with source.opened() as container:
        stream = picture_of(container)
        assert stream is not None
        pts, keys = np.unique(np.array(packets.shown, np.int64)), packets.keys
        timed = packets.timed and len(pts) == len(packets.shown) and codec not in HIDDEN
        first = None
        decoded = []
        for frame in decode(container, stream):
            first = first or frame
            decoded.append(frame.pts)
            if timed and len(decoded) == min(PROBE, len(pts)):
                if np.array_equal(decoded, pts[: len(decoded)]):
                    break
                timed = False
        else:
            timed = False
    if first is None:
        raise SoraError(f"{source.name} holds no picture that can be decoded; name a whole video file")
    if not timed:
        pts, keys = _counted(decoded, keys, base, float(nominal or 1))
    return FilmIndex(
        width=first.width,
        height=first.height,
        fps=_fps(pts, base, nominal),
        time_base=base,
        pts=pts,
        keys=np.unique(np.array(keys, np.int64)),
        sound=sound,
        tags=tags,
    )


def _packets(container: InputContainer, video: Any, audio: Any) -> _Packets:  # noqa: ANN401
    from av.error import InvalidDataError

    found = _Packets()
    end: int | None = None
    for packet in container.demux([stream for stream in (video, audio) if stream is not None]):
        if packet.size == 0:
            continue
        if packet.stream_index != video.index:
            if packet.pts is None:
                continue
            if found.first_sound is None:
                with suppress(InvalidDataError):
                    found.first_sound = next(iter(packet.decode()), None)
                    found.silent = len(found.heard)
            found.heard.append(packet.pts)
        elif packet.pts is None:
            found.timed = False
        else:
            if packet.is_keyframe:
                found.keys.append(packet.pts)
            if not packet.is_discard:
                found.shown.append(packet.pts)
            end = max(packet.pts + (packet.duration or 0), end or 0)
    if end is not None and video.duration and video.time_base and "mov" in container.format.name:
        found.missing = float(((video.start_time or 0) + video.duration - end) * video.time_base)
    return found


def _counted(
    decoded: list[int | None], keys: list[int], base: Fraction, rate: float
) -> tuple[NDArray[np.int64], list[int]]:
    """Return the pts of frames that were all decoded; without keys, and at even steps, where they tell nothing."""
    known = [pts for pts in decoded if pts is not None]
    pts = np.array(known, np.int64)
    if len(known) == len(decoded) and (np.diff(pts) > 0).all():
        return pts, keys
    return np.round(np.arange(len(decoded)) / (rate * float(base))).astype(np.int64), []


def _fps(pts: NDArray[np.int64], base: Fraction, nominal: Fraction | None) -> float:
    """Return the rate that the file states, or where its frames deny that the one that they show."""
    steps, span = len(pts) - 1, float((pts[-1] - pts[0]) * base)
    if nominal and (not span or abs(steps / float(nominal) - span) <= max(2 / float(nominal), 0.01 * span)):
        return float(nominal)
    return steps / span if span else 1.0


def _sound_index(packets: _Packets, base: Fraction | None) -> SoundIndex | None:
    first = packets.first_sound
    if first is None:
        return None
    rate, base = first.sample_rate, base or Fraction(1, first.sample_rate)
    position = np.round(np.sort(np.array(packets.heard, np.int64)) * float(base * rate)).astype(np.int64)
    if base * rate != 1 and len(position) > 1:
        # times of whole milliseconds and the like: packets of one length lie on a grid that is finer than that
        step = min(LENGTHS, key=lambda length: abs((position[-1] - position[0]) / (len(position) - 1) - length))
        start = round((first.pts or 0) * first.time_base * rate) + first.samples - step
        even = start + (np.arange(len(position)) - packets.silent) * step
        if np.abs(even - position).max() <= max(NEAR, NEAR * float(base * rate)):
            position = even
    return SoundIndex(sample_rate=rate, channels=min(first.layout.nb_channels, 2), time_base=base, position=position)
