"""Films brought to one size, frame rate and sound, read through as they are asked for."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SoraError
from ..media.image import cover
from .checks import REFUSE, RESIZE, UNLIKE
from .film import Film, samples_at
from .profile import Profile
from .resample import resample

__all__ = ["REFUSE", "RESIZE", "UNLIKE", "Conformed", "alike", "conform", "on_grid"]

MARGIN = 64
"""Samples read beyond a stretch on both sides, so that the resampler's edges lie outside it."""


@dataclass(frozen=True, kw_only=True)
class Conformed:
    """A film at another size, frame rate, sample rate and number of channels; a `Film` itself.

    A larger or smaller picture is scaled to cover the size and cut evenly; a frame rate is met by showing each moment's
    frame, so the film keeps its speed.
    """

    film: Film
    width: int
    height: int
    fps: float
    sample_rate: int
    channels: int

    @property
    def num_frames(self) -> int:
        """Number of frames at the new rate."""
        return max(1, round(self.film.num_frames * self.fps / self.film.fps))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield frames as `Film.frames`."""
        stop = self.num_frames if stop is None else min(stop, self.num_frames)
        if self.fps == self.film.fps:
            yield from map(self._sized, self.film.frames(start, stop))
            return
        last = self.film.num_frames - 1
        wanted = [min(last, int((i + 0.5) * self.film.fps / self.fps)) for i in range(start, stop)]
        if not wanted:
            return
        at, given = wanted[0], 0
        for piece in self.film.frames(wanted[0], wanted[-1] + 1):
            shown = []
            while given < len(wanted) and wanted[given] < at + len(piece):
                shown.append(piece[wanted[given] - at])
                given += 1
            at += len(piece)
            if shown:
                yield self._sized(torch.stack(shown))

    def sound(self, start: int = 0, stop: int | None = None) -> Tensor | None:
        """Return sound as `Film.sound`; a silent film sounds of nothing, where sound is asked for."""
        stop = samples_at(self.num_frames, self.fps, self.sample_rate) if stop is None else stop
        if not self.channels:
            return None
        if not self.film.channels:
            return torch.zeros(self.channels, stop - start)
        own, wanted = self.film.sample_rate, self.sample_rate
        if own == wanted:
            heard = self.film.sound(start, stop)
            assert heard is not None
            return resample(heard, own, wanted, channels=self.channels)
        low = max(0, start - MARGIN)
        first = round(low * own / wanted)
        heard = self.film.sound(first, round((stop + MARGIN) * own / wanted))
        assert heard is not None
        made = resample(heard, own, wanted, channels=self.channels)[:, start - low :][:, : stop - start]
        return torch.nn.functional.pad(made, (0, stop - start - made.shape[1]))

    def _sized(self, frames: Tensor) -> Tensor:
        if (frames.shape[2], frames.shape[1]) == (self.width, self.height):
            return frames
        sized = [torch.from_numpy(cover(frame.numpy(), self.height, self.width)) for frame in frames]
        return torch.stack(sized)


def conform(
    film: Film,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
) -> Film:
    """Return a film with these properties; None leaves one as it is."""
    made = Conformed(
        film=film,
        width=width or film.width,
        height=height or film.height,
        fps=fps or film.fps,
        sample_rate=sample_rate or film.sample_rate,
        channels=film.channels if channels is None else channels,
    )
    names = ("width", "height", "fps", "sample_rate", "channels")
    return film if all(getattr(made, name) == getattr(film, name) for name in names) else made


def on_grid(film: Film, profile: Profile) -> Film:
    """Return a film cut to the family's grid of pixels (nothing is scaled).

    Raises:
        SoraError: a picture smaller than one cell of the grid.
    """
    if min(film.width, film.height) < profile.multiple:
        raise SoraError(
            f"the clip is {film.width}x{film.height} and {profile.family} needs at least "
            f"{profile.multiple}x{profile.multiple} pixels; give a larger one"
        )
    width, height = profile.size(film.width, film.height)
    return conform(film, width=width, height=height)


def alike(film: Film, other: Film, unlike: str = RESIZE) -> Film:
    """Return ``other`` with the size, rates and channels of ``film``.

    Args:
        unlike: ``"resize"`` brings another size or frame rate to the first film's; ``"refuse"`` is the error.

    Raises:
        SoraError: they differ, and that is refused; or another word.
    """
    if unlike not in UNLIKE:
        raise SoraError(f"{unlike!r} is no way to treat unlike clips; choose one of {', '.join(UNLIKE)}")
    sizes = [f"{clip.width}x{clip.height}" for clip in (film, other)]
    if unlike == REFUSE and sizes[0] != sizes[1]:
        raise SoraError(f"the clips are {sizes[0]} and {sizes[1]}; give two of one size, or let the second be resized")
    if unlike == REFUSE and film.fps != other.fps:
        raise SoraError(
            f"the clips have {film.fps:g} and {other.fps:g} frames per second; give two of one rate, or let the second "
            "be resized"
        )
    return conform(
        other,
        width=film.width,
        height=film.height,
        fps=film.fps,
        sample_rate=film.sample_rate if film.channels else None,
        channels=film.channels or None,
    )
