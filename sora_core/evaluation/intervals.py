"""Intervals that hold 95 times in 100, and how rare a score is beyond what was ever measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
TAIL = 0.1
"""Share of the highest scores that the tail is fitted to."""


class Interval(NamedTuple):
    """A figure and the bounds of its interval."""

    value: float
    low: float
    high: float


def rate(hits: int, trials: int) -> Interval:
    """Return a share of trials with its exact interval (Clopper and Pearson 1934); trials must be independent."""
    assert 0 <= hits <= trials, (hits, trials)
    assert trials > 0, "a rate of nothing"
    rest = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else _solved(lambda p: beta_below(p, hits, trials - hits + 1), rest)
    high = 1.0 if hits == trials else _solved(lambda p: beta_below(p, hits + 1, trials - hits), 1 - rest)
    return Interval(hits / trials, low, high)


def mean(values: Sequence[float], *, outcomes: int = 0, bounds: tuple[float, float] | None = None) -> Interval:
    """Return the mean with Student's interval over the values.

    Args:
        values: one for each clip.
        outcomes: for shares, the yes-or-no outcomes behind each value: the interval is then at least that of
            `rate` over all of them, since clips that agree perfectly would otherwise claim a certainty of no width.
        bounds: what a value can be.
    """
    average = sum(values) / len(values)
    low = high = average
    if len(values) > 1:
        spread = math.sqrt(sum((v - average) ** 2 for v in values) / (len(values) - 1) / len(values))
        reach = student(len(values) - 1) * spread
        low, high = average - reach, average + reach
    if outcomes:
        exact = rate(round(average * outcomes * len(values)), outcomes * len(values))
        low, high = min(low, exact.low), max(high, exact.high)
    if bounds:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(average, low, high)


def student(freedom: int) -> float:
    """Return the quantile of Student's t that leaves 2.5 % above it."""

    def below(share: float) -> float:
        # share is t^2 / (t^2 + freedom)
        return beta_below(share, 0.5, freedom / 2)

    share = _solved(below, LEVEL)
    return math.sqrt(freedom * share / (1 - share))


def beta_below(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function (continued fraction of Lentz; DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_below(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x) - math.log(a)
    )
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    total = d
    for m in range(1, 1000):
        for top in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + top * d or tiny)
            c = 1 + top / c or tiny
            total *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * total


def tail(scores: Sequence[float], threshold: float) -> float:
    """Return the share of scores above a threshold that none may have reached, by an exponential fit of the tail.

    The highest tenth is taken as its lower end plus an exponential; right for tails that fall at least so fast, such
    as Gaussian ones and their maxima. It extrapolates: it is no measurement.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    start = float(np.quantile(ordered, 1 - TAIL))
    excess = ordered[ordered > start] - start
    if not len(excess) or threshold <= start:
        return float((ordered > threshold).mean())
    return float(len(excess) / len(ordered) * math.exp(-(threshold - start) / max(float(excess.mean()), 1e-12)))


def _solved(rising: Callable[[float], float], target: float) -> float:
    """Return where a function that rises from 0 to 1 over [0, 1] reaches a target."""
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return (low + high) / 2
