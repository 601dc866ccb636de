"""Where an extension begins: does the actor go on as it moved?"""

# F frames, H W pixels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ...editing.extend import extend
from ...editing.joining import FADE_FRAMES
from ...types import frames_on_grid
from ..prompts import Case
from ..segmentation import WORK_HEIGHT, segment
from ..tracking import track
from .cases import MOVING, draw_sources, film_truth
from .measured import Measured, rms
from .studio import Studio, frozen

BAR = 1.5
ADDED_S = 1.0
LEAST_USUAL = 0.07
"""Frame heights per second: the least that a usual jump is taken to be, which is what the VAE's copy of an even motion
shows."""

LOST = 4.0
"""What a clip counts whose actor is not seen around the seam, and the most that any clip counts."""

CALIBRATION = 16
"""True clips of each motion that say what jump is usual, of other seeds than those that are measured."""

ABOUT = 2
"""Frames around the seam's own time at which their jumps are looked at."""

OTHER_SEEDS = 1 << 21


class Path(NamedTuple):
    """Where the actor is. centre: frame heights ``[F, 2]``. seen: bool ``[F]``."""

    centre: np.ndarray
    seen: np.ndarray


def follow(frames: Tensor, scenes: Sequence[str]) -> Path:
    """Follow the actor through a clip, uint8 ``[F, H, W, 3]``."""
    found = track(segment(frames, scenes).alpha)
    return Path(found.centre.numpy().astype(np.float64) / WORK_HEIGHT, found.seen.numpy())


def velocity_jump(path: Path, seam: int, fps: float, fade: int = FADE_FRAMES) -> float | None:
    """Return the greatest change of velocity over a seam, frame heights per second, None where the actor is not seen.

    The second differences of the centre that hold both kept and made frames, or frames of the fade between them.

    Args:
        path: of the actor. seam: first made frame. fade: kept frames that fade into it.
    """
    around = slice(seam - fade - 2, seam + 2)
    if not path.seen[around].all():
        return None
    change = np.diff(path.centre[around], n=2, axis=0) * fps
    return float(np.linalg.norm(change, axis=1).max())


def usual_jumps(studio: Studio, cases: Sequence[Case]) -> dict[str, float]:
    """Return, for each motion of the cases, the root mean square of the same figure where there is no seam.

    Of true clips with other seeds; at least `LEAST_USUAL`.
    """
    usual: dict[str, float] = {}
    for motion in {case.attributes.motion for case in cases}:
        others = draw_sources(studio.level, CALIBRATION, OTHER_SEEDS + cases[0].seed, [motion])
        paths = _true_paths(studio, others)
        places = range(studio.plan.frames - ABOUT, studio.plan.frames + ABOUT + 1)
        jumps = [velocity_jump(path, place, studio.fps) for path in paths for place in places]
        usual[motion] = max(LEAST_USUAL, rms([jump for jump in jumps if jump is not None]) or 0.0)
    return usual


def in_units(jump: float | None, usual: float) -> float:
    """Return a jump over what is usual, at most `LOST`, which is also what a lost actor counts."""
    return LOST if jump is None else min(LOST, jump / usual)


def measure_extend(studio: Studio, count: int, seed: int) -> Measured:
    """Measure the jump at the seam of extensions in units of what is usual: root mean square over clips.

    The truth is the same clip rendered on; the baseline stands still.
    """
    cases = draw_sources(studio.level, count, seed, MOVING)
    by_motion = usual_jumps(studio, cases)
    usual = [by_motion[case.attributes.motion] for case in cases]
    made: list[float] = []
    still: list[float] = []
    for case, film, unit in zip(cases, studio.sources(cases), usual, strict=True):
        longer = extend(studio.maker(case.prompt), film, seconds=ADDED_S, settings=studio.settings(case, "extend"))
        stopped = frozen(film, longer.num_frames)
        for column, shown in ((made, studio.finish("extend", case, longer)), (still, stopped)):
            path = follow(shown.picture, studio.detector.scenes)
            column.append(in_units(velocity_jump(path, film.num_frames, studio.fps), unit))
    true = [
        in_units(velocity_jump(path, studio.plan.frames, studio.fps), unit)
        for path, unit in zip(_true_paths(studio, cases), usual, strict=True)
    ]
    return Measured(value=rms(made), bar=BAR, ground_truth=rms(true), baseline=rms(still))


def _true_paths(studio: Studio, cases: Sequence[Case]) -> list[Path]:
    """Follow true clips that go on where an extension would begin."""
    total = studio.plan.frames + round(ADDED_S * studio.fps)
    batch = film_truth(cases, replace(studio.plan.format, frames=frames_on_grid(total)))
    return [follow(clip[:total], studio.detector.scenes) for clip in batch.frames]
