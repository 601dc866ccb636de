"""A film as it is to become: stretches that stay, stretches to vary and stretches that are not there yet."""

# F frames, f frames of a stretch, H W pixels, C sound channels, S samples

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import SoraError
from .film import Film, samples_at

KEEP, MAKE = 0.0, 1.0
"""Levels: the share of the noise that a frame gets."""

Levels = float | Callable[[Tensor], Tensor]
"""One level for a whole part, or a function of each frame's place in it, float32 ``[f]`` in [0, 1]."""


class Track(Protocol):
    """A sound that can be read from any sample on; every `Film` is one. See there."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    def sound(self, start: int = 0, stop: int | None = None) -> Tensor | None: ...


@dataclass(frozen=True, kw_only=True)
class Part:
    """The next stretch of a canvas.

    Args:
        frames: its length, at least 1.
        film: what is known of its picture, and of its sound unless ``track`` is; or None. first: the film's (and the
            track's) frame that it begins with. track: what is known of its sound.
        picture, sound: levels in [0, 1]: 0 keeps what is known, 1 makes it anew, between varies it.
    """

    frames: int
    film: Film | None = None
    first: int = 0
    track: Track | None = None
    picture: Levels = MAKE
    sound: Levels = MAKE

    def __post_init__(self) -> None:
        """Hold our own invariants."""
        assert self.frames > 0
        assert self.film is not None or self.picture == MAKE

    @property
    def heard(self) -> Track | None:
        """Where its sound is known from."""
        return self.track or self.film


class Seen(NamedTuple):
    """A stretch of a canvas.

    frames: uint8 ``[f, H, W, 3]``, black where nothing is known. known: bool ``[f]``. picture, sound: levels ``[f]``.
    """

    frames: Tensor
    known: Tensor
    picture: Tensor
    sound: Tensor


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Parts in a row, all of one size and frame rate.

    Args:
        parts: at least one. Films in them have this canvas's size and frame rate (see `conform`).
        width, height: pixels. fps: frames per second. sample_rate, channels: of the sound; 0 channels is a silent film.
    """

    parts: Sequence[Part]
    width: int
    height: int
    fps: float
    sample_rate: int
    channels: int

    def __post_init__(self) -> None:
        """Refuse films that do not fit."""
        for part in self.parts:
            film = part.film
            if film is not None and ((film.width, film.height) != (self.width, self.height) or film.fps != self.fps):
                raise SoraError(
                    f"a clip is {film.width}x{film.height} at {film.fps:g} fps and the film {self.width}x{self.height} "
                    f"at {self.fps:g} fps; bring both to one size and frame rate first"
                )
            heard = part.heard
            if heard is not None and heard.channels and self.channels:
                assert (heard.sample_rate, heard.channels) == (self.sample_rate, self.channels)

    @classmethod
    def like(cls, film: Film, parts: Sequence[Part]) -> Canvas:
        """Return a canvas of a film's size, rates and sound."""
        return cls(
            parts=parts,
            width=film.width,
            height=film.height,
            fps=film.fps,
            sample_rate=film.sample_rate,
            channels=film.channels,
        )

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return sum(part.frames for part in self.parts)

    def samples_at(self, frame: int) -> int:
        """Return the sample at which a frame begins."""
        return samples_at(frame, self.fps, self.sample_rate)

    def see(self, start: int, stop: int) -> Seen:
        """Return frames ``start`` to ``stop``, all inside the canvas, with their levels."""
        count = stop - start
        frames = torch.zeros(count, self.height, self.width, 3, dtype=torch.uint8)
        known = torch.zeros(count, dtype=torch.bool)
        picture, sound = torch.zeros(count), torch.zeros(count)
        for part, begin, low, high in self._across(start, stop):
            at = slice(low - start, high - start)
            picture[at] = _levels(part.picture, part.frames)[low - begin : high - begin]
            sound[at] = _levels(part.sound, part.frames)[low - begin : high - begin]
            if part.film is not None:
                done = low - start
                for piece in part.film.frames(part.first + low - begin, part.first + high - begin):
                    frames[done : done + len(piece)] = piece
                    done += len(piece)
                known[at] = True
        return Seen(frames, known, picture, sound)

    def levels(self) -> tuple[Tensor, Tensor]:
        """Return the levels of all frames, of picture and of sound, ``[F]`` each, without reading a film."""
        picture = [_levels(part.picture, part.frames) for part in self.parts]
        sound = [_levels(part.sound, part.frames) for part in self.parts]
        return torch.cat(picture), torch.cat(sound)

    def copy(self, start: int, stop: int) -> Iterator[Tensor]:
        """Yield frames ``start`` to ``stop`` of parts that have a film, piece by piece."""
        for part, begin, low, high in self._across(start, stop):
            assert part.film is not None
            yield from part.film.frames(part.first + low - begin, part.first + high - begin)

    def sound(self, start: int, stop: int) -> Tensor | None:
        """Return the sound of frames ``start`` to ``stop``, float32 ``[C, S]``; silence where nothing is known."""
        if not self.channels:
            return None
        origin = self.samples_at(start)
        wave = torch.zeros(self.channels, self.samples_at(stop) - origin)
        for part, begin, low, high in self._across(start, stop):
            if part.heard is None or not part.heard.channels:
                continue
            first, last = self.samples_at(low), self.samples_at(high)
            offset = self.samples_at(part.first) - self.samples_at(begin)
            heard = part.heard.sound(first + offset, last + offset)
            if heard is not None:
                wave[:, first - origin : last - origin] = heard
        return wave

    def _across(self, start: int, stop: int) -> Iterator[tuple[Part, int, int, int]]:
        """Yield each part that meets ``start`` to ``stop``: where it begins, and where the meeting begins and ends."""
        begin = 0
        for part in self.parts:
            low, high = max(start, begin), min(stop, begin + part.frames)
            if low < high:
                yield part, begin, low, high
            begin += part.frames


def _levels(levels: Levels, frames: int) -> Tensor:
    if callable(levels):
        return levels(torch.linspace(0, 1, frames) if frames > 1 else torch.zeros(1))
    return torch.full((frames,), float(levels))
