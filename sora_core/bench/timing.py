"""Time a call so that two runs say the same: warm, repeated, the median taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

REPEATS = 10
LEAST_SECONDS = 0.02
"""A sample lasts at least so long; quicker calls are made several times in it."""


class Seconds(NamedTuple):
    """Medians of one call: by the clock, and of this process's processors (all threads together)."""

    wall: float
    cpu: float


def median_times(
    *calls: Callable[[], object],
    device: torch.device | str = "cpu",
    repeats: int = REPEATS,
    least: float = LEAST_SECONDS,
) -> list[Seconds]:
    """Return the median times of each call.

    Several calls take turns, sample by sample, so that a busy moment of the machine falls on all alike and their ratio
    stands.

    Args:
        calls: what to time; each is called twice beforehand.
        device: waited for before and after each sample.
        repeats: samples of each. least: seconds of a sample.
    """
    wait = waiter(device)
    for call in calls:
        call()
    times = [max(1, round(least / max(_timed(call, 1, wait).wall, 1e-9))) for call in calls]
    rounds = [[_timed(call, n, wait) for call, n in zip(calls, times, strict=True)] for _ in range(repeats)]
    return [Seconds(*map(statistics.median, zip(*samples, strict=True))) for samples in zip(*rounds, strict=True)]


def median_seconds(
    *calls: Callable[[], object],
    device: torch.device | str = "cpu",
    repeats: int = REPEATS,
    least: float = LEAST_SECONDS,
) -> list[float]:
    """Return the median wall time in seconds of each call; arguments as `median_times`."""
    return [median.wall for median in median_times(*calls, device=device, repeats=repeats, least=least)]


def _timed(call: Callable[[], object], times: int, wait: Callable[[], None]) -> Seconds:
    wait()
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    wait()
    return Seconds((time.perf_counter() - began) / times, (time.process_time() - busy) / times)


def waiter(device: torch.device | str) -> Callable[[], None]:
    """Return what waits until the device has done what it was given; nothing to wait for on a CPU."""
    place = torch.device(device)
    return (lambda: torch.cuda.synchronize(place)) if place.type == "cuda" else lambda: None
