"""How many things there are: parts that stand out of the background, frame by frame, and for how long there is one."""

# F frames, H W pixels at the working height

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...editing.engine import Settings
from ...editing.extend import extend
from ...editing.plan import context_frames
from ...editing.profile import our_profile
from ...types import frames_on_grid
from ..segmentation import segment
from ..tracking import LEAST_AREA
from .cases import STAYING, draw_sources, film_truth
from .measured import Measured, mean
from .studio import Studio, frozen

BAR = 0.9
ADDED_S = 60.0
LEAST_STABLE = 0.95
"""Share of the frames in which there must be exactly one thing."""

WINDOW = 25
"""Frames that share one background: a scene whose light drifts over a minute is no second thing."""

MOST_AREA = 1024
"""Pixels at the working height beyond which a part is no thing: a quarter of its square. Actors cover up to 750."""

LEAST_ALPHA = 0.5
"""How far a pixel must stand out to count."""


def count_things(frames: Tensor, scenes: Sequence[str]) -> Tensor:
    """Return how many separate things each frame shows, int64 ``[F]``.

    Args:
        frames: uint8 ``[F, H, W, 3]`` of any size. scenes: names that may be the background.

    Returns:
        Parts of `LEAST_AREA` to `MOST_AREA` pixels at the working height, joined over gaps of two pixels, so that a
        rim, a mark or a colour near to the scene's does not split an actor.
    """
    return torch.cat([count_parts(segment(part, scenes).alpha >= LEAST_ALPHA) for part in windows(frames)])


def windows(frames: Tensor) -> list[Tensor]:
    """Return the frames in stretches of `WINDOW`, the last of them not shorter than that where there is one before."""
    if len(frames) < 2 * WINDOW:
        return [frames]
    return [frames[:WINDOW], *windows(frames[WINDOW:])]


def count_parts(shown: Tensor) -> Tensor:
    """Return how many connected parts of `LEAST_AREA` to `MOST_AREA` pixels each mask holds, int64 ``[F]``.

    Args:
        shown: bool ``[F, H, W]``. Pixels are neighbours up to two apart, diagonals included.
    """
    near = _spread(shown.float()) > 0
    names = torch.arange(1, near[0].numel() + 1, dtype=torch.float32).reshape(near.shape[1:]) * near
    while True:
        # The greatest name floods its part.
        flooded = _spread(names) * near
        if torch.equal(flooded, names):
            break
        names = flooded
    found = []
    for name_HW, shown_HW in zip(names, shown, strict=True):
        areas = torch.bincount(name_HW[shown_HW].long())[1:]
        found.append(int(((areas >= LEAST_AREA) & (areas <= MOST_AREA)).sum()))
    return torch.tensor(found)


def is_stable(counts: Tensor) -> bool:
    """Say whether there is exactly one thing in at least `LEAST_STABLE` of the frames."""
    return bool((counts == 1).float().mean() >= LEAST_STABLE)


def runs_of_long(studio: Studio) -> int:
    """Return how many sampling runs one long extension takes."""
    fps, profile = studio.fps, our_profile(studio.fps, studio.plan.frames)
    context = context_frames(Settings().context_for(fps, profile), fps, profile)
    return math.ceil(round(ADDED_S * fps) / (profile.longest - context))


def measure_count(studio: Studio, count: int, seed: int) -> Measured:
    """Measure in how many extensions by `ADDED_S` there is one thing all along, kept frames left out.

    Only motions that stay in view. The truth is the same clip rendered on; the baseline stands still, which is stable.
    """
    cases = draw_sources(studio.level, count, seed, STAYING)
    made: list[bool] = []
    true: list[bool] = []
    still: list[bool] = []
    for case, film in zip(cases, studio.sources(cases), strict=True):
        settings = studio.settings(case, "60 seconds")
        made_on = extend(studio.maker(case.prompt), film, seconds=ADDED_S, settings=settings)
        longer = studio.finish("60 seconds", case, made_on)
        begin, total = film.num_frames, longer.num_frames
        truth = film_truth([case], replace(studio.plan.format, frames=frames_on_grid(total))).frames[0, :total]
        for column, frames in ((made, longer.picture), (true, truth), (still, frozen(film, total).picture)):
            column.append(is_stable(count_things(frames, studio.detector.scenes)[begin:]))
    return Measured(value=mean(made), bar=BAR, ground_truth=mean(true), baseline=mean(still))


def _spread(values_FHW: Tensor) -> Tensor:
    return F.max_pool2d(values_FHW[:, None], 3, 1, 1)[:, 0]
