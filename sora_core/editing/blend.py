"""One film into another along a curve of influence.

For example:

    film = blend(maker, FileFilm("day.mp4"), FileFilm("night.mp4"), curve="0:0, 0.5:0.3, 1:1")
"""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import SoraError
from .canvas import Canvas, Part
from .checks import frames_of_seconds, section
from .conform import RESIZE, alike, on_grid
from .curve import AMOUNT, CURVES, CUSTOM, Curve, check_amount, read_curve
from .engine import Settings, fill
from .film import Film, FilmStream
from .maker import Maker

__all__ = ["CURVES", "CUSTOM", "Curve", "Dissolve", "blend", "evenness", "influence_at", "read_curve"]


def blend(
    maker: Maker,
    film: Film,
    other: Film,
    *,
    curve: str | Curve = "transition",
    seconds: float | None = None,
    sections: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 1.0), (0.0, 1.0)),
    amount: float = AMOUNT,
    unlike: str = RESIZE,
    settings: Settings | None = None,
) -> FilmStream:
    """Return a film that is the first where the curve is 0 and the second where it is 1.

    Between, both are laid over each other and made anew the more, the more evenly they are mixed.

    Args:
        maker: the model with the prompt of what lies between.
        film, other: the second is brought to the first one's size and rates (see `conform.alike` for ``unlike``).
        curve: a name in `curve.CURVES`, or points.
        seconds: of the result; None takes the shorter of both sections.
        sections: start and end of the part of each film that is used, on an axis from 0 (its first frame) to 1.
        amount: how far an even mix is made anew, more than 0 and at most 1; little leaves a plain dissolve.

    Raises:
        SoraError: a curve, section, length or amount that cannot be.
    """
    settings = settings or Settings()
    check_amount(amount)
    points = read_curve(curve)
    film = on_grid(film, maker.profile)
    other = alike(film, other, unlike)
    first, last = section(*sections[0], film.num_frames, "the first clip's section")
    start, stop = section(*sections[1], other.num_frames, "the second clip's section")
    longest = min(last - first, stop - start)
    frames = longest if seconds is None else frames_of_seconds(seconds, film.fps)
    if frames > longest:
        raise SoraError(
            f"a blend of {seconds:g} s is longer than the shorter section, {longest / film.fps:.2f} s; ask for "
            "less, or widen the section"
        )
    mixed = Dissolve(
        film=film, other=other, first=first, start=stop - frames if seconds else start, count=frames, curve=points
    )
    part = Part(
        frames=frames,
        film=mixed,
        picture=lambda x: amount * evenness(x, points),
        sound=lambda x: amount * evenness(x, points),
    )
    return fill(maker, Canvas.like(mixed, [part]), settings)


def influence_at(places: Tensor, curve: Sequence[tuple[float, float]]) -> Tensor:
    """Return the second film's influence at places in [0, 1], float32."""
    result = torch.full_like(places, curve[0][1])
    for (low, from_), (high, to) in pairwise(curve):
        share = ((places - low) / (high - low)).clamp(0, 1)
        result = torch.where(places >= low, from_ + (to - from_) * share, result)
    return result


def evenness(places: Tensor, curve: Sequence[tuple[float, float]]) -> Tensor:
    """Return ``4 w (1 - w)`` of the influence w: 0 where one film shows alone, 1 where both show alike (ours)."""
    influence = influence_at(places, curve)
    return 4 * influence * (1 - influence)


@dataclass(frozen=True, kw_only=True)
class Dissolve:
    """Two films of one size and rate laid over each other; a `Film`.

    Args:
        film, other: the films. first, start: where each begins. count: frames. curve: the second one's influence.
    """

    film: Film
    other: Film
    first: int
    start: int
    count: int
    curve: Curve

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.count

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.film.width

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.film.height

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.film.fps

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.film.sample_rate if self.film.channels else self.other.sample_rate

    @property
    def channels(self) -> int:
        """Channels of sound."""
        return self.film.channels or self.other.channels

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield frames as `Film.frames`."""
        stop = self.count if stop is None else stop
        places = torch.arange(start, stop) / max(1, self.count - 1)
        weights = influence_at(places, self.curve)
        one, two = (
            _even(clip.frames(offset + start, offset + stop))
            for clip, offset in ((self.film, self.first), (self.other, self.start))
        )
        for frame, later, weight in zip(one, two, weights.tolist(), strict=True):
            mixed = frame if weight == 0 else later
            if 0 < weight < 1:
                mixed = (frame.float() * (1 - weight) + later.float() * weight).round().to(torch.uint8)
            yield mixed[None]

    def sound(self, start: int = 0, stop: int | None = None) -> Tensor | None:
        """Return sound as `Film.sound`, faded over along the same curve."""
        total = round(self.count * self.sample_rate / self.fps)
        stop = total if stop is None else stop
        if not self.channels:
            return None
        weight = influence_at(torch.arange(start, stop) / max(1, total - 1), self.curve)
        mixed = torch.zeros(self.channels, stop - start)
        for clip, offset, share in ((self.film, self.first, 1 - weight), (self.other, self.start, weight)):
            if clip.channels:
                origin = round(offset * self.sample_rate / self.fps)
                heard = clip.sound(origin + start, origin + stop)
                assert heard is not None
                mixed += heard * share
        return mixed


def _even(pieces: Iterator[Tensor]) -> Iterator[Tensor]:
    for piece in pieces:
        yield from piece
