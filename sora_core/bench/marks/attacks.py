"""The attacks on a marked picture, by name: what the quick variant runs, and what the full one adds."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from . import forgery, geometry, looks, overlays, tempo
from .codecs import AV1, H264, H265, VP9, jpeg, recode

Film = tuple[Tensor, float]
"""Frames uint8 ``[F, H, W, 3]`` and frames per second."""

Run = Callable[[Tensor, float, torch.Generator], Film]
"""Frames, frames per second, chance -> frames, frames per second. Sizes, lengths and rates may change."""


class Attack(NamedTuple):
    """What is done to a marked clip.

    name: as in the table. family: compression, geometry, look, time, overlay or estimate. run: does it.
    """

    name: str
    family: str
    run: Run


def still(work: Callable[[Tensor], Tensor]) -> Run:
    """Return the run of what needs neither rate nor chance and keeps the rate."""
    return lambda frames, fps, _: (work(frames), fps)


def by_chance(work: Callable[[Tensor, torch.Generator], Tensor]) -> Run:
    """Return the run of what needs chance and keeps the rate."""
    return lambda frames, fps, rng: (work(frames, rng), fps)


def coded(codec: str, *crf: int) -> Run:
    """Return the run of an encoder, once for each CRF."""

    def run(frames: Tensor, fps: float, _: torch.Generator) -> Film:
        for each in crf:
            frames = recode(frames, fps, codec, each)
        return frames, fps

    return run


def then(*runs: Run) -> Run:
    """Return the run of several, one after another."""

    def run(frames: Tensor, fps: float, rng: torch.Generator) -> Film:
        for each in runs:
            frames, fps = each(frames, fps, rng)
        return frames, fps

    return run


def to_rates(*rates: float) -> Run:
    """Return the run of changes of the rate, one after another."""

    def run(frames: Tensor, fps: float, _: torch.Generator) -> Film:
        for each in rates:
            frames, fps = tempo.at_rate(frames, fps, each), each
        return frames, fps

    return run


def less(estimate: Callable[[Tensor, float], Tensor], gain: float = 1.0) -> Run:
    """Return the run that subtracts an estimate of the mark, times a gain."""
    return lambda frames, fps, _: (forgery.subtracted(frames, estimate(frames, fps), gain), fps)


def _washed(frames: Tensor, fps: float, _: torch.Generator) -> Film:
    """Half the size and back, a median, H.264 at CRF 30: what a patient stranger does with any editor."""
    height, width = frames.shape[1:3]
    small = geometry.scaled(frames, 0.5, 0.5)
    return recode(looks.median_in_space(geometry.resized(small, width, height)), fps, H264, 30), fps


NONE = Attack("none", "none", lambda frames, fps, _: (frames, fps))

_CRF_23 = coded(H264, 23)

QUICK: tuple[Attack, ...] = (
    Attack("H.264 CRF 23", "compression", coded(H264, 23)),
    Attack("H.264 CRF 30", "compression", coded(H264, 30)),
    Attack("H.264 CRF 36", "compression", coded(H264, 36)),
    Attack("H.264 CRF 40", "compression", coded(H264, 40)),
    Attack("H.265 CRF 28", "compression", coded(H265, 28)),
    Attack("AV1 CRF 35", "compression", coded(AV1, 35)),
    Attack("VP9 CRF 33", "compression", coded(VP9, 33)),
    Attack("resize .5", "geometry", still(lambda f: geometry.scaled(f, 0.5, 0.5))),
    Attack("crop .55", "geometry", by_chance(lambda f, rng: geometry.cropped(f, 0.55, rng))),
    Attack("crop .55, CRF 23", "geometry", then(by_chance(lambda f, rng: geometry.cropped(f, 0.55, rng)), _CRF_23)),
    Attack("rotate 10", "geometry", still(lambda f: geometry.rotated(f, 10.0))),
    Attack("rotate 90", "geometry", still(lambda f: geometry.quarters(f, 1))),
    Attack("flip, left to right", "geometry", still(geometry.mirrored)),
    Attack("perspective .1", "geometry", by_chance(lambda f, rng: geometry.tilted(f, 0.1, rng))),
    Attack("blur 2", "look", still(lambda f: looks.blurred(f, 2.0))),
    Attack("noise 10", "look", by_chance(lambda f, rng: looks.noisy(f, 10.0, rng))),
    Attack("brightness 1.5", "look", still(lambda f: looks.brighter(f, 1.5))),
    Attack("contrast .5", "look", still(lambda f: looks.contrasted(f, 0.5))),
    Attack("JPEG 50", "look", still(lambda f: jpeg(f, 50))),
    Attack("median 3 x 3", "look", still(looks.median_in_space)),
    Attack("every second frame", "time", lambda frames, fps, _: (tempo.every_second(frames), fps / 2)),
    Attack("only the middle second", "time", lambda f, fps, _: (tempo.part(f, fps, len(f) / fps / 2 - 0.5, 1.0), fps)),
    Attack("speed 1.25", "time", still(lambda f: tempo.faster(f, 1.25))),
    Attack("captions", "overlay", by_chance(overlays.captioned)),
    Attack("filmed from a screen", "overlay", lambda f, fps, rng: (overlays.filmed_from_screen(f, fps, rng), fps)),
    Attack("region painted over", "overlay", by_chance(lambda f, rng: overlays.filled(f, 0.5, rng))),
    Attack("fold and subtract", "estimate", less(forgery.folded)),
    Attack(
        "fold by the second, twice as strong", "estimate", less(lambda f, fps: forgery.folded(f, fps, seconds=1.0), 2.0)
    ),
    Attack("time average subtracted", "estimate", less(lambda f, fps: forgery.time_average(f, fps, 0.0))),
)
"""Which of them come first matters not; each runs on its own."""

FULL: tuple[Attack, ...] = (
    *QUICK,
    Attack("H.264, H.265, VP9 in turn", "compression", then(_CRF_23, coded(H265, 28), coded(VP9, 33))),
    Attack("H.264 CRF 18", "compression", coded(H264, 18)),
    Attack("H.264 CRF 28", "compression", coded(H264, 28)),
    Attack("H.264 CRF 28, three times", "compression", coded(H264, 28, 28, 28)),
    Attack("H.265 CRF 35", "compression", coded(H265, 35)),
    Attack("AV1 CRF 45", "compression", coded(AV1, 45)),
    Attack("resize .25", "geometry", still(lambda f: geometry.scaled(f, 0.25, 0.25))),
    Attack("resize .71", "geometry", still(lambda f: geometry.scaled(f, 0.71, 0.71))),
    Attack("resize 2", "geometry", still(lambda f: geometry.scaled(f, 2.0, 2.0))),
    Attack("resize .5, CRF 23", "geometry", then(still(lambda f: geometry.scaled(f, 0.5, 0.5)), _CRF_23)),
    Attack("aspect 4:3", "geometry", still(lambda f: geometry.scaled(f, 0.75, 1.0))),
    Attack("aspect, height .8", "geometry", still(lambda f: geometry.scaled(f, 1.0, 0.8))),
    Attack("crop .9", "geometry", by_chance(lambda f, rng: geometry.cropped(f, 0.9, rng))),
    Attack("crop .71", "geometry", by_chance(lambda f, rng: geometry.cropped(f, 0.71, rng))),
    Attack("crop .4", "geometry", by_chance(lambda f, rng: geometry.cropped(f, 0.4, rng))),
    Attack("rotate 1", "geometry", still(lambda f: geometry.rotated(f, 1.0))),
    Attack("rotate 5", "geometry", still(lambda f: geometry.rotated(f, 5.0))),
    Attack("rotate 5, CRF 23", "geometry", then(still(lambda f: geometry.rotated(f, 5.0)), _CRF_23)),
    Attack("rotate 180", "geometry", still(lambda f: geometry.quarters(f, 2))),
    Attack("rotate 270", "geometry", still(lambda f: geometry.quarters(f, 3))),
    Attack("flip, CRF 23", "geometry", then(still(geometry.mirrored), _CRF_23)),
    Attack("flip, top to bottom", "geometry", still(lambda f: geometry.mirrored(f, upright=True))),
    Attack("perspective .3", "geometry", by_chance(lambda f, rng: geometry.tilted(f, 0.3, rng))),
    Attack("blur 1", "look", still(lambda f: looks.blurred(f, 1.0))),
    Attack("blur 4", "look", still(lambda f: looks.blurred(f, 4.0))),
    Attack("sharpen", "look", still(lambda f: looks.sharpened(f, 1.0))),
    Attack("noise 20", "look", by_chance(lambda f, rng: looks.noisy(f, 20.0, rng))),
    Attack("brightness .5", "look", still(lambda f: looks.brighter(f, 0.5))),
    Attack("contrast 1.5", "look", still(lambda f: looks.contrasted(f, 1.5))),
    Attack("saturation 1.5", "look", still(lambda f: looks.saturated(f, 1.5))),
    Attack("no colour", "look", still(lambda f: looks.saturated(f, 0.0))),
    Attack("gamma 1.8", "look", still(lambda f: looks.gamma(f, 1.8))),
    Attack("gamma .6", "look", still(lambda f: looks.gamma(f, 0.6))),
    Attack("hue .1", "look", still(lambda f: looks.hue_turned(f, 0.1))),
    Attack("JPEG 30", "look", still(lambda f: jpeg(f, 30))),
    Attack("JPEG 80", "look", still(lambda f: jpeg(f, 80))),
    Attack("median over 3 frames", "look", still(looks.median_in_time)),
    Attack("mean over 5 frames", "look", still(lambda f: looks.mean_in_time(f, 5))),
    Attack("half size and back, median, CRF 30", "look", _washed),
    Attack("a third of the frames lost", "time", by_chance(lambda f, rng: tempo.thinned(f, 1 / 3, rng))),
    Attack("a tenth of the frames twice", "time", by_chance(lambda f, rng: tempo.doubled(f, 0.1, rng))),
    Attack("order mixed in fours", "time", by_chance(lambda f, rng: tempo.mixed(f, 4, rng))),
    Attack("rate to 30, 60, 12", "time", to_rates(30.0, 60.0, 12.0)),
    Attack(
        "first half second cut, CRF 23", "time", then(lambda f, fps, _: (tempo.part(f, fps, 0.5, 1e9), fps), _CRF_23)
    ),
    Attack("speed .8", "time", still(lambda f: tempo.faster(f, 0.8))),
    Attack("bars of an eighth", "overlay", still(lambda f: overlays.barred(f, 0.125))),
    Attack("smaller in a black frame", "overlay", still(lambda f: overlays.letterboxed(f, 0.75))),
    Attack("picture in picture", "overlay", by_chance(lambda f, rng: overlays.with_inset(f, 0.4, rng))),
    Attack("fold and subtract, twice as strong", "estimate", less(forgery.folded, 2.0)),
    Attack("fold by the second", "estimate", less(lambda f, fps: forgery.folded(f, fps, seconds=1.0))),
    Attack("fold by the half second", "estimate", less(lambda f, fps: forgery.folded(f, fps, seconds=0.5))),
    Attack("time average by the second", "estimate", less(lambda f, fps: forgery.time_average(f, fps, 1.0))),
    Attack("first component of half seconds subtracted", "estimate", less(forgery.principal)),
    Attack("own residual of each frame", "estimate", less(lambda f, _: forgery.residual(f))),
)
"""Attacks that need other clips as well are in `trials`."""


def run(attack: Attack, frames_FHWC: Tensor, fps: float, seed: int) -> Film:
    """Return a clip after an attack, the same by seed but for what an encoder decides otherwise now and then.

    Raises:
        SoraError: an encoder is missing.
    """
    frames, rate = attack.run(frames_FHWC, fps, torch.Generator().manual_seed(seed))
    assert frames.dtype == torch.uint8, attack.name
    assert frames.ndim == 4, attack.name
    return frames.contiguous(), rate
