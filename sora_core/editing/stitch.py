"""Finished films one after another: cut, faded over, or going on from each other; read piece by piece."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import SoraError
from .card import TRANSITIONS
from .checks import check_total
from .conform import conform
from .film import Film, FilmStream, Piece, samples_at
from .joining import FADE_S, mix_frames


@dataclass(frozen=True, kw_only=True)
class Border:
    """How a film begins after the one before.

    Args:
        kind: one of `TRANSITIONS`: cut, with a short dip of the sound so that it does not click; fade, the pictures
            evenly and the sounds at equal power; continue, its first frames take the place of the last ones before.
        frames: its first frames that lie over the last ones of the film before; none for a cut.
    """

    kind: str = "cut"
    frames: int = 0

    def __post_init__(self) -> None:
        """Refuse what is none."""
        if self.kind not in TRANSITIONS:
            raise SoraError(f"transition {self.kind!r} is not known; choose one of {', '.join(TRANSITIONS)}")
        if self.frames < 0:
            raise SoraError(f"a transition of {self.frames} frames must be 0 or more, for example 6")


def stitch(films: Sequence[Film], borders: Sequence[Border]) -> FilmStream:
    """Return films as one, of the first one's size and frame rate, and with the sound of the first that has any.

    A fade is shortened to what its two films have beside their other borders.

    Args:
        films: at least one. borders: one for each film but the first.

    Raises:
        SoraError: no film, or more than ten minutes together.
    """
    if not films:
        raise SoraError("there is no clip to join; give at least one")
    assert len(borders) == len(films) - 1
    first = films[0]
    heard = next((film for film in films if film.channels), first)
    alike = [
        conform(
            film,
            width=first.width,
            height=first.height,
            fps=first.fps,
            sample_rate=heard.sample_rate,
            channels=heard.channels,
        )
        for film in films
    ]
    placed = _places(alike, borders)
    check_total(placed[-1].stop, first.fps)
    return FilmStream(
        pieces=_Stitching(placed).pieces(),
        num_frames=placed[-1].stop,
        width=first.width,
        height=first.height,
        fps=first.fps,
        sample_rate=heard.sample_rate,
        channels=heard.channels,
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A film on the timeline.

    Args:
        film: the film. skip: its first frames that are left away. start, stop: frames of the timeline.
        border: how it begins, None for the first. after: how the next one does, None for the last.
    """

    film: Film
    skip: int
    start: int
    stop: int
    border: Border | None
    after: Border | None = None

    @property
    def own(self) -> int:
        """Frames that the film before does not reach into."""
        return self.stop - self.start - (self.border.frames if self.border else 0)

    def sample(self, frame: int) -> int:
        """Return the sample of the timeline at which a frame of it begins."""
        return samples_at(frame, self.film.fps, self.film.sample_rate)

    def frames(self, start: int, stop: int) -> Iterator[Tensor]:
        """Yield pieces of frames of the timeline."""
        yield from self.film.frames(start - self.start + self.skip, stop - self.start + self.skip)

    def sound(self, first: int, last: int) -> Tensor:
        """Return samples of the timeline, all inside, float32 ``[C, S]``, as loud as they are to be."""
        offset = self.sample(self.skip) - self.sample(self.start)
        wave = self.film.sound(first + offset, last + offset)
        assert wave is not None
        return wave * self._gain(torch.arange(first, last))

    def _gain(self, at_S: Tensor) -> Tensor:
        gain = torch.ones(len(at_S))
        dip = max(1, round(FADE_S / 2 * self.film.sample_rate))
        begin, end = self.sample(self.start), self.sample(self.stop)
        if self.border and self.border.kind == "cut":
            gain *= ((at_S - begin + 0.5) / dip).clamp(max=1)
        if self.border and self.border.kind == "fade":
            gain *= _rise(at_S, begin, self.sample(self.start + self.border.frames))
        if self.after and self.after.kind == "cut":
            gain *= ((end - at_S - 0.5) / dip).clamp(max=1)
        if self.after and self.after.kind != "cut":
            border = self.sample(self.stop - self.after.frames)
            gain *= (at_S < border) if self.after.kind == "continue" else _rise(end - 1 - at_S, 0, end - border)
        return gain


def _rise(at_S: Tensor, begin: int, end: int) -> Tensor:
    """Return gains that rise from 0 to 1 between two samples; with its mirror image the power stays the same."""
    share = (at_S - begin + 0.5) / max(1, end - begin)
    return torch.where(share < 1, torch.sin(share.clamp(0, 1) * (math.pi / 2)), 1.0)


def _places(films: Sequence[Film], borders: Sequence[Border]) -> list[_Place]:
    """Lay films end to end, each over the last frames of the one before as far as its border says."""
    placed = [_Place(film=films[0], skip=0, start=0, stop=films[0].num_frames, border=None)]
    for film, border in zip(films[1:], borders, strict=True):
        before, skip = placed[-1], 0
        over = min(border.frames, before.own, film.num_frames - 1) if border.kind != "cut" else 0
        if border.kind == "continue":
            # what was made to lie over frames that are not there is no part of the film
            skip = border.frames - over
            assert film.num_frames > border.frames
        settled = Border(kind="cut" if border.kind == "fade" and not over else border.kind, frames=over)
        placed[-1] = replace(before, after=settled)
        start = before.stop - over
        placed.append(
            _Place(film=film, skip=skip, start=start, stop=start + film.num_frames - skip, border=settled),
        )
    return placed


class _Stitching:
    """Films on their way to one."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self.places = places
        self.channels = places[0].film.channels

    def pieces(self) -> Iterator[Piece]:
        done = 0
        for index, place in enumerate(self.places):
            alone = place.start
            if place.border and place.border.kind == "fade":
                alone += place.border.frames
                for frames in self._mixed(self.places[index - 1], place, place.border.frames):
                    yield self._piece(done, frames, index)
                    done += len(frames)
            until = place.stop - (place.after.frames if place.after else 0)
            for frames in place.frames(alone, until) if alone < until else ():
                yield self._piece(done, frames, index)
                done += len(frames)

    def _mixed(self, before: _Place, place: _Place, count: int) -> Iterator[Tensor]:
        start, stop = place.start, place.start + count
        pairs = zip(_single(before.frames(start, stop)), _single(place.frames(start, stop)), strict=True)
        for index, (one, two) in enumerate(pairs, 1):
            yield mix_frames(one[None], two[None].float(), torch.tensor([index / (count + 1)]))

    def _piece(self, start: int, frames: Tensor, index: int) -> Piece:
        """Return frames of the timeline from ``start`` on with their sound; film ``index`` is among those heard."""
        if not self.channels:
            return Piece(frames, None)
        near = self.places[max(0, index - 1) : index + 2]
        first, last = near[0].sample(start), near[0].sample(start + len(frames))
        wave = torch.zeros(self.channels, last - first)
        for place in near:
            low = max(first, place.sample(place.start))
            high = min(last, place.sample(place.stop))
            if low < high:
                wave[:, low - first : high - first] += place.sound(low, high)
        return Piece(frames, wave.clamp(-1, 1))


def _single(pieces: Iterator[Tensor]) -> Iterator[Tensor]:
    for piece in pieces:
        yield from piece
