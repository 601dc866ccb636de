"""Clips that are read and made piece by piece, so that a long one never lies in memory as a whole."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples, s samples of a piece

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..types import SAMPLE_RATE, Clip

CHUNK_BYTES = 32 << 20
"""Pixels handed on at a time (our decision: small beside what one sampling run needs)."""


class Film(Protocol):
    """A clip that can be read from any frame on, as often as wanted.

    fps: frames per second. num_frames, width, height: of the picture. sample_rate: samples per second and channel.
    channels: of the sound; 0 is a silent film.
    """

    @property
    def fps(self) -> float: ...
    @property
    def num_frames(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield frames ``start`` to ``stop`` (exclusive; None is the end) as uint8 pieces ``[f, H, W, 3]``."""
        ...

    def sound(self, start: int = 0, stop: int | None = None) -> Tensor | None:
        """Return samples ``start`` to ``stop`` of the sound, float32 ``[C, S]`` in [-1, 1], or None where silent.

        Where the sound ends before the picture, silence follows.
        """
        ...


class Piece(NamedTuple):
    """The next stretch of a film: uint8 ``[f, H, W, 3]``, and float32 ``[C, s]`` or None where the film is silent."""

    frames: Tensor
    sound: Tensor | None


@dataclass(frozen=True, kw_only=True)
class FilmStream:
    """A film that is made while it is read, once.

    pieces: together ``num_frames`` frames, and the sound of exactly that time. The rest as in `Film`.
    """

    pieces: Iterator[Piece]
    num_frames: int
    width: int
    height: int
    fps: float
    sample_rate: int = SAMPLE_RATE
    channels: int = 1

    def collect(self) -> MemoryFilm:
        """Read it into memory."""
        frames, sounds = [], []
        for piece in self.pieces:
            frames.append(piece.frames)
            if piece.sound is not None:
                sounds.append(piece.sound)
        return MemoryFilm(
            picture=torch.cat(frames),
            audio=torch.cat(sounds, 1) if sounds else None,
            fps=self.fps,
            sample_rate=self.sample_rate,
        )


@dataclass(frozen=True, kw_only=True)
class MemoryFilm:
    """A film in memory. picture: uint8 ``[F, H, W, 3]``. audio: float32 ``[C, S]`` or None. The rest as in `Film`."""

    picture: Tensor
    audio: Tensor | None
    fps: float
    sample_rate: int = SAMPLE_RATE

    @classmethod
    def of(cls, clip: Clip) -> MemoryFilm:
        """Return a decoded clip as a film."""
        return cls(picture=clip.frames, audio=None if clip.audio is None else clip.audio[None], fps=clip.fps)

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.picture)

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.picture.shape[2]

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.picture.shape[1]

    @property
    def channels(self) -> int:
        """Channels of the sound, 0 for none."""
        return 0 if self.audio is None else self.audio.shape[0]

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield pieces, as `Film.frames`."""
        size = max(1, CHUNK_BYTES // (self.width * self.height * 3))
        yield from (piece for piece in self.picture[start:stop].split(size) if len(piece))

    def sound(self, start: int = 0, stop: int | None = None) -> Tensor | None:
        """Return samples, as `Film.sound`."""
        if self.audio is None:
            return None
        stop = samples_at(self.num_frames, self.fps, self.sample_rate) if stop is None else stop
        piece = self.audio[:, start:stop]
        return torch.nn.functional.pad(piece, (0, stop - start - piece.shape[1]))

    def clip(self) -> Clip:
        """Return it as a clip with a single channel of sound."""
        return Clip(frames=self.picture, audio=None if self.audio is None else self.audio.mean(0), fps=self.fps)


def samples_at(frame: int, fps: float, sample_rate: int) -> int:
    """Return the sample at which a frame begins; pieces cut there add up without a gap."""
    return round(frame * sample_rate / fps)
