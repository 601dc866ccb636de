"""Where a connection or a blend meets its clips: are they met as closely as the VAE lets them be?

The editor lays its own frames over what a model gives back of them, so this looks at the runs themselves.
"""

# F frames, H W pixels

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ...editing.blend import blend
from ...editing.connect import connect
from ...editing.engine import Settings
from ...editing.film import FilmStream, MemoryFilm
from ...editing.maker import Maker
from ...editing.profile import Profile
from ...editing.window import spans
from ..measures import psnr_db
from ..prompts import Case
from .cases import draw_sources
from .measured import Measured, mean
from .recording import Knowing, Recorder, Run
from .studio import Studio

BAR = 1.0
BETWEEN_S = 1.0
OTHER_SEEDS = 1 << 22

Make = Callable[[Maker, MemoryFilm, MemoryFilm, Settings], FilmStream]


class End(NamedTuple):
    """Kept frames next to made ones, uint8 ``[F, H, W, 3]``: as given, and as the run gave them back."""

    given: Tensor
    made: Tensor

    def gap_db(self, shown: Tensor, source: Tensor, copy: Tensor) -> float:
        """Return by how many dB ``shown`` is farther from the given frames than the VAE's own copy of them is.

        Args:
            shown: in place of the given frames. source: the clip that they are from. copy: the VAE's copy of it.
        """
        at = find_frames(self.given, source)
        return psnr_db(self.given, copy[at : at + len(self.given)]) - psnr_db(self.given, shown)


def measure_connect(studio: Studio, count: int, seed: int) -> Measured:
    """Measure connections of two clips of the same words, seen elsewhere and in another light; see `_measure`.

    The truth is true clips whose middle was cut out, and runs that know the latents of that middle.
    """

    def make(maker: Maker, film: MemoryFilm, other: MemoryFilm, settings: Settings) -> FilmStream:
        return connect(maker, film, other, seconds=BETWEEN_S, settings=settings)

    cases = draw_sources(studio.level, count, seed)
    others = [replace(case, seed=case.seed + OTHER_SEEDS) for case in cases]
    true: list[float] = []
    for case, film in zip(cases, studio.sources(cases), strict=True):
        maker = Recorder(Knowing(studio.maker(case.prompt), film.picture))
        between = round(BETWEEN_S * studio.fps)
        first = maker.profile.at_most((film.num_frames - between) // 2)
        before, after = (
            replace(film, picture=film.picture[at], audio=None)
            for at in (slice(0, first), slice(first + between, None))
        )
        make(maker, before, after, Settings()).collect()
        copy = studio.round_trip(film)
        true.append(max(end.gap_db(end.made, film.picture, copy) for end in both_ends(maker)))
    return replace(_measure(studio, "connect", cases, others, make=make), ground_truth=mean(true))


def measure_blend(studio: Studio, count: int, seed: int) -> Measured:
    """Measure blends of two clips that show different things, with the second's prompt; see `_measure`.

    There is no truth: nobody knows what lies between two things.
    """

    def make(maker: Maker, film: MemoryFilm, other: MemoryFilm, settings: Settings) -> FilmStream:
        return blend(maker, film, other, settings=settings)

    cases = draw_sources(studio.level, count, seed)
    return _measure(studio, "blend", cases, draw_sources(studio.level, count, seed + OTHER_SEEDS), make=make)


def _measure(studio: Studio, edit: str, cases: Sequence[Case], others: Sequence[Case], *, make: Make) -> Measured:
    """Measure what runs give back of the frames beside those they make: the worse of both ends, mean over the clips.

    The baseline is a cut: the other clip's nearest frame stands where an end should be met.
    """
    made: list[float] = []
    cut: list[float] = []
    for case, then, film, other in zip(cases, others, studio.sources(cases), studio.sources(others), strict=True):
        maker = Recorder(studio.maker(then.prompt))
        studio.finish(edit, then, make(maker, film, other, studio.settings(case, edit)))
        gaps, cuts = [], []
        for end, source, stranger in zip(
            both_ends(maker), (film, other), (other.picture[0], film.picture[-1]), strict=True
        ):
            copy = studio.round_trip(source)
            gaps.append(end.gap_db(end.made, source.picture, copy))
            cuts.append(end.gap_db(stranger.expand_as(end.given), source.picture, copy))
        made.append(max(gaps))
        cut.append(max(cuts))
    return Measured(value=mean(made), bar=BAR, ground_truth=None, baseline=mean(cut))


def both_ends(maker: Recorder) -> tuple[End, End]:
    """Return the kept frames next to the first made one, and next to the last."""
    first, last = maker.runs[0], maker.runs[-1]
    before, after = kept_end(first, maker.profile), kept_end(last, maker.profile, after=True)
    return End(first.given[before], first.made[before]), End(last.given[after], last.made[after])


def kept_end(run: Run, profile: Profile, *, after: bool = False) -> slice:
    """Return the frames of the kept latents nearest to what the run made: before it, or after it."""
    groups = spans(len(run.given), profile)
    if after:
        groups = groups[::-1]
    kept = [bool((run.mask[latent:end] == 0).all()) for latent, end, _, _ in groups]
    made = kept.index(False)
    assert made > 0, "an edit between two clips keeps something of both"
    _, _, first, last = groups[made - 1]
    return slice(first, last)


def find_frames(given: Tensor, source: Tensor) -> int:
    """Return the frame of ``source`` at which ``given`` begins: where the two are nearest, uint8 ``[F, H, W, 3]``."""
    places = range(len(source) - len(given) + 1)
    far = [(source[at : at + len(given)].float() - given.float()).abs().mean() for at in places]
    return int(torch.stack(far).argmin())
