"""Files of any kind as films: read from any frame on, exact to the frame, a piece at a time."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..editing.film import CHUNK_BYTES, samples_at
from ..errors import SoraError
from ..types import SAMPLE_RATE
from .colours import Colours
from .film_index import NEAR, SoundIndex, scan
from .source import Source, decode, picture_of, seek, sound_of
from .told_factor import told_factor
from .whole_factor import shrink

EARLIER_KEYS = (0, 1, 8)
"""Key frames to begin before, one after another, until the frame wanted comes out; then the beginning of the file."""

EARLIER_SECONDS = (0.5, 4.0)
"""The same for sound: lossy codecs need what went before, and some containers keep sound beside a later picture."""

EPSILON = 1e-6
"""Units of time: seconds that are the quotient of a frame's number and the rate fall just short of that frame."""

LEAD_SECONDS = 0.1
"""Sound decoded and thrown away before the first sample wanted."""

GAP_SECONDS = 0.05
"""Holes in the sound that are longer are kept as silence; shorter ones are inaccurate times."""


class FileFilm:
    """A file or its bytes as a `Film`; memory does not grow with its length.

    Frames come in the order of showing at the file's rate on the whole, whatever the time of each; one that is broken
    or missing shows the one before. A rotation that the file asks for is left out. Sound has the file's own rate and
    one or two channels, and begins with the first frame. A film that was drawn larger to carry a mark is read at the
    size that it was made in.

    Args:
        source: a path, or the bytes of a file.
        start_s: seconds from the file's beginning to leave out.
        duration_s: seconds to read from there on, 0 for all.
        as_stored: read the pixels that the file holds, however they were drawn.

    Raises:
        SoraError: it cannot be read, holds no moving picture, or has no frame in that time.
    """

    def __init__(
        self,
        source: Path | str | io.BytesIO,
        start_s: float = 0.0,
        duration_s: float = 0.0,
        *,
        as_stored: bool = False,
    ) -> None:
        """Read where the frames are, without decoding where that can be trusted."""
        self._source = Source(source)
        self._index = index = scan(self._source)
        self._factor = 1 if as_stored else told_factor(index.tags, index.width, index.height)
        limits = [int(index.pts[0]) + int(at / index.time_base + EPSILON) for at in (start_s, start_s + duration_s)]
        self._first, last = (int(place) for place in np.searchsorted(index.pts, limits))
        self._last = last if duration_s else len(index.pts)
        if self._first >= self._last:
            long = len(index.pts) / index.fps
            raise SoraError(
                f"{self._source.name} has no frame in the {duration_s or long:g} s from {start_s:g} s on, "
                f"for it is {long:.2f} s long; trim it less"
            )

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._index.fps

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self._last - self._first

    @property
    def width(self) -> int:
        """Pixels across."""
        return self._index.width // self._factor

    @property
    def height(self) -> int:
        """Pixels down."""
        return self._index.height // self._factor

    @property
    def sample_rate(self) -> int:
        """Samples per second and channel."""
        return SAMPLE_RATE if self._index.sound is None else self._index.sound.sample_rate

    @property
    def channels(self) -> int:
        """Channels of the sound, 0 for none."""
        return 0 if self._index.sound is None else self._index.sound.channels

    @property
    def tags(self) -> dict[str, str]:
        """What the file says of itself."""
        return dict(self._index.tags)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield pieces, as `Film.frames`.

        Raises:
            SoraError: the file cannot be read any more.
        """
        stop = self.num_frames if stop is None else min(stop, self.num_frames)
        size = max(1, CHUNK_BYTES // (self.width * self.height * 3))
        piece, filled = np.empty(0, np.uint8), 0
        for place, image in enumerate(self._images(self._first + start, self._first + stop)):
            if not filled:
                piece = np.empty((min(size, stop - start - place), *image.shape), np.uint8)
            piece[filled] = image
            filled += 1
            if filled == len(piece):
                yield torch.from_numpy(piece)
                filled = 0

    def sound(self, start: int = 0, stop: int | None = None) -> Tensor | None:
        """Return samples, as `Film.sound`.

        Raises:
            SoraError: the file cannot be read any more.
        """
        index = self._index.sound
        if index is None:
            return None
        length = samples_at(self.num_frames, self.fps, index.sample_rate)
        stop = length if stop is None else stop
        out = np.zeros((index.channels, max(0, stop - start)), np.float32)
        begin, end = self._begin + start, self._begin + min(stop, length)
        if end > begin:
            self._fill(out, index, begin, end)
        return torch.from_numpy(out)

    @cached_property
    def _begin(self) -> int:
        """The sample at which the first frame begins, counted from time 0 of the file."""
        index = self._index
        zero, told = (round(float(pts * index.time_base) * self.sample_rate) for pts in index.pts[[0, self._first]])
        even = zero + samples_at(self._first, index.fps, self.sample_rate)
        # containers round times, so an even pace is told by frames that are just off it
        return even if abs(even - told) <= NEAR * index.time_base * self.sample_rate else told

    def _images(self, first: int, last: int) -> Iterator[NDArray[np.uint8]]:
        """Yield one picture ``[H, W, 3]`` for each place in the file from ``first`` to ``last`` (exclusive)."""
        if first >= last:
            return
        colours = Colours()
        shown: NDArray[np.uint8] | None = None
        place = first
        for at, frame in self._decoded(first):
            if at < first:
                continue
            image = self._seen(colours, frame)
            if self._factor > 1:
                image = shrink(torch.from_numpy(image)[None], self._factor)[0].numpy()
            while place < min(at, last):
                yield image if shown is None else shown
                place += 1
            if place == last:
                return
            shown = image
            if at == place:
                yield image
                place += 1
                if place == last:
                    return
        if shown is None:
            raise SoraError(f"{self._source.name} cannot be read from frame {first} on; name a whole video file")
        for _ in range(place, last):
            yield shown

    def _seen(self, colours: Colours, frame: Any) -> NDArray[np.uint8]:  # noqa: ANN401
        """Return a frame as RGB; a damaged one may claim colours that there are none of."""
        from av.error import FFmpegError

        try:
            return colours.to_rgb(frame, self._index.width, self._index.height)
        except (FFmpegError, ValueError) as error:
            raise SoraError(
                f"{self._source.name} holds a frame that cannot be shown ({error}); name a whole video file"
            ) from error

    def _decoded(self, first: int) -> Iterator[tuple[int, Any]]:
        """Yield decoded frames and their places in the file, from ``first`` or before on."""
        index = self._index
        for earlier in EARLIER_KEYS:
            key = index.key_before(first, earlier) if len(index.keys) else None
            if key is None:
                break
            with self._source.opened() as container:
                stream = picture_of(container)
                if not seek(container, key, stream):
                    break
                reached = False
                for frame in decode(container, stream):
                    if frame.pts is None or (not reached and frame.pts > index.pts[first]):
                        break
                    reached = True
                    yield int(np.searchsorted(index.pts, frame.pts)), frame
                if reached:
                    return
        with self._source.opened() as container:
            for count, frame in enumerate(decode(container, picture_of(container))):
                if len(index.keys) and frame.pts is not None:
                    count = int(np.searchsorted(index.pts, frame.pts))  # noqa: PLW2901
                yield count, frame

    def _fill(self, out_CS: NDArray[np.float32], index: SoundIndex, begin: int, end: int) -> None:
        """Write samples ``begin`` to ``end`` of the file to the beginning of ``out_CS``."""
        for earlier in (*EARLIER_SECONDS, None):
            seconds = None if earlier is None else begin / index.sample_rate - earlier
            if seconds is not None and seconds <= 0:
                continue
            with self._source.opened() as container:
                if seconds is not None and not seek(container, round(seconds * 1e6)):
                    continue
                reached = seconds is None
                for at, wave_CS in _waves(container, index):
                    reached = reached or at <= max(begin - LEAD_SECONDS * index.sample_rate, index.position[0])
                    if not reached:
                        break
                    if at >= end:
                        return
                    skip = max(0, begin - at)
                    kept = wave_CS[:, skip : max(skip, end - at)]
                    to = at + skip - begin
                    out_CS[:, to : to + kept.shape[1]] = kept
                else:
                    return


def _waves(container: Any, index: SoundIndex) -> Iterator[tuple[int, NDArray[np.float32]]]:  # noqa: ANN401
    """Yield stretches of sound ``[C, S]`` and the sample of the file at which each begins."""
    import av

    resampler = av.AudioResampler(format="fltp", layout="mono" if index.channels == 1 else "stereo")
    stream = sound_of(container)
    place: int | None = None
    for frame in decode(container, stream):
        if frame.pts is not None:
            told = index.place(frame)
            if place is None or abs(told - place) > GAP_SECONDS * index.sample_rate:
                place = told
        at = place or 0
        for part in resampler.resample(frame):
            wave_CS: Any = part.to_ndarray()
            yield at, wave_CS
            at += wave_CS.shape[1]
        place = at
