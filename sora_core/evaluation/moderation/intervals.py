"""Exact intervals of a share that was counted."""

from __future__ import annotations

import math
from collections.abc import Callable

CONFIDENCE = 0.95


def clopper_pearson(hits: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact interval of a binomial share, by bisection of the binomial's tails.

    Args:
        hits: from 0 to ``count``.
        count: of trials; with none the interval is from 0 to 1.
        confidence: between 0 and 1.

    Source: Clopper and Pearson, Biometrika 26 (1934).
    """
    assert 0 <= hits <= count, "a share of what was counted"
    if not count:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _root(lambda share: 1 - _at_most(hits - 1, count, share), tail)
    high = 1.0 if hits == count else _root(lambda share: 1 - _at_most(hits, count, share), 1 - tail)
    return low, high


def _at_most(hits: int, count: int, share: float) -> float:
    """Return the chance of at most so many hits."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 1.0 if hits >= count else 0.0
    logs = math.lgamma(count + 1)
    return math.fsum(
        math.exp(
            logs
            - math.lgamma(k + 1)
            - math.lgamma(count - k + 1)
            + k * math.log(share)
            + (count - k) * math.log1p(-share)
        )
        for k in range(hits + 1)
    )


def _root(rising: Callable[[float], float], wanted: float) -> float:
    """Return where a function that rises on 0 to 1 takes a value."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2
