"""How often a reader finds a mark where there is none: many clips without one, many keys."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import random
from typing import Any

import numpy as np

from ...evaluation.intervals import rate, tail
from .footage import Clip, cartoon, natural
from .measures import spread
from .scheme import Scheme, secret
from .trials import Tell, single_threads

SIDE, WIDEST = 240, 428
"""Pixels: the short side of each clip, and the longest of its other."""

SHORTEST, LONGEST = 24, 48
"""Frames."""

SEED = 20_000
RESAMPLES = 200


def unmarked(place: int) -> Clip:
    """Return a small clip without a mark, the same by its number: two natural ones, then a cartoon, and so on."""
    if place % 3 == 2:
        return cartoon(SEED + place, factor=4, frames=25)
    dice = random.Random(SEED + place)
    return natural(
        SEED + place // 3 * 2 + place % 3,
        width=2 * dice.randint(SIDE // 2 + 40, WIDEST // 2),
        height=SIDE,
        frames=dice.randint(SHORTEST, LONGEST),
    )


def false_positives(
    scheme: Scheme, *, clips: int, keys: int, thorough: bool, workers: int, tell: Tell
) -> dict[str, Any]:
    """Read clips without a mark, each with several keys.

    Args:
        scheme: the mark. clips, keys: how many, and how many keys for each. workers: clips at once.
        thorough: with the search for turned and bent pictures, which looks at many more places.
        tell: told what comes next.

    Returns:
        ``clips``, ``pairs``, ``found`` (pairs at or above the reader's threshold), ``named`` (pairs with an id),
        ``rate`` with its interval over pairs, ``clip_rate`` over clips with any, since pairs of a clip are not
        independent; ``threshold``, ``highest`` and ``mean`` score, ``tail`` (extrapolated rate at the threshold) and
        ``tail_high`` (97.5 % of resamplings of the clips lie below it).
    """

    def work(place: int) -> list[tuple[float, float, bool, bool]]:
        clip = unmarked(place)
        prepared = scheme.prepare(clip.frames_FHWC, clip.fps)
        readings = [scheme.read(prepared, secret(f"stranger {place} {key}"), thorough) for key in range(keys)]
        return [(r.score, r.threshold, r.state != "absent", r.mark_id is not None) for r in readings]

    found: list[list[tuple[float, float, bool, bool]]] = []
    with single_threads(workers) as pool:
        for place, pairs in enumerate(pool.map(work, range(clips))):
            if place % max(1, clips // 10) == 0:
                tell(f"clip {place + 1} of {clips} without a mark, {keys} keys")
            found.append(pairs)
    every = [pair for pairs in found for pair in pairs]
    hits, named = sum(pair[2] for pair in every), sum(pair[3] for pair in every)
    threshold = every[0][1]
    # scores as distances from their own thresholds, should those differ between clips
    margins = [np.array([score - bound for score, bound, _, _ in pairs]) for pairs in found]
    scores = np.concatenate(margins)
    chance = np.random.default_rng(0)
    drawn = [
        tail(np.concatenate([margins[at] for at in chance.integers(0, clips, clips)]).tolist(), 0.0)
        for _ in range(RESAMPLES)
    ]
    return {
        "clips": clips,
        "pairs": len(every),
        "found": hits,
        "named": named,
        **spread("rate", rate(hits, len(every))),
        **spread("clip_rate", rate(sum(any(pair[2] for pair in pairs) for pairs in found), clips)),
        "threshold": threshold,
        "highest": float(scores.max()) + threshold,
        "mean": float(scores.mean()) + threshold,
        "tail": tail(scores.tolist(), 0.0),
        "tail_high": float(np.quantile(drawn, 0.975)),
    }
