"""Free flights and contacts, read from the height of one object over time."""

# F frames, n frames of one segment

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..world.spec import GRAVITY

PIXELS = 64.0
"""Frame height in which distances are told, whatever the clip's own size."""

SEGMENT_COST = 0.5 / PIXELS**2
"""What each parameter of a segment must save in squared residual (0.5 px^2, so 1 px^2 for a line)."""

ARC_FRAMES = 4
"""Frames that a free flight must have to be told from a line."""

FREE_FRAMES = 5
"""Frames that a free flight must have before its acceleration is fitted rather than taken to be the world's."""

KINK = 0.45
"""Least change of vertical speed, in frame heights per second, that is a contact."""

NO_ARC_PX = 4.0
"""Gravity residual of a clip that shows no free flight."""


Fit = tuple[np.ndarray, float, bool]
"""Coefficients ``[3]``, sum of squared residuals, and whether it is curved."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive frames whose heights one parabola or line fits.

    start, stop: indices into the track. coefficients: those of 1, t, t^2 with t in seconds from the frame ``start``.
    curved: the fit is a parabola. gravity: acceleration in frame heights per second squared, positive down, and
    squares: sum of squared residuals in frame heights, both of the fit with g free where the segment is a parabola of
    at least `FREE_FRAMES` frames.
    """

    start: int
    stop: int
    coefficients: tuple[float, float, float]
    curved: bool
    gravity: float
    squares: float

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stop - self.start

    @property
    def is_arc(self) -> bool:
        """Say whether this is a free flight: long enough, and falling at a quarter to four times the world's rate."""
        return self.curved and self.frames >= ARC_FRAMES and GRAVITY / 4 <= self.gravity <= GRAVITY * 4

    def height(self, t: float) -> float:
        """Return y at ``t`` seconds after the frame ``start``."""
        c0, c1, c2 = self.coefficients
        return c0 + c1 * t + c2 * t * t

    def speed(self, t: float) -> float:
        """Return dy/dt at ``t`` seconds after the frame ``start``."""
        return self.coefficients[1] + 2.0 * self.coefficients[2] * t


def split_track(y_F: np.ndarray, fps: float) -> list[Segment]:
    """Cut a track into the fewest flights, lines and rests that explain it.

    Args:
        y_F: float ``[F]`` heights in frame heights, y down, without gaps.
        fps: frames per second.

    Returns:
        Segments that cover every frame once. The cut is the exact minimum of squared residual plus `SEGMENT_COST` for
        each segment (dynamic programming over all windows).
    """
    count = len(y_F)
    if count == 0:
        return []
    longest = min(count, max(FREE_FRAMES, round(3.0 * fps)))
    cost_FF = np.full((count, count + 1), np.inf)
    best: dict[tuple[int, int], Fit] = {}
    for n in range(1, longest + 1):
        starts = np.arange(count - n + 1)
        windows_Sn = np.lib.stride_tricks.sliding_window_view(y_F, n)
        for coefficients_S3, squares_S, extra, curved in _fits(windows_Sn, fps):
            total_S = squares_S + SEGMENT_COST * extra
            better_S = total_S < cost_FF[starts, starts + n] - 1e-12
            cost_FF[starts[better_S], starts[better_S] + n] = total_S[better_S]
            for s in starts[better_S]:
                best[int(s), int(s) + n] = (coefficients_S3[s], float(squares_S[s]), curved)
    reach = np.full(count + 1, np.inf)
    reach[0] = 0.0
    came = np.zeros(count + 1, dtype=int)
    for stop in range(1, count + 1):
        low = max(0, stop - longest)
        through = reach[low:stop] + cost_FF[low:stop, stop]
        came[stop] = low + int(np.argmin(through))
        reach[stop] = through.min()
    segments: list[Segment] = []
    stop = count
    while stop > 0:
        start = int(came[stop])
        segments.append(_segment(y_F, start, stop, best[start, stop], fps))
        stop = start
    return segments[::-1]


def _segment(y_F: np.ndarray, start: int, stop: int, fit: Fit, fps: float) -> Segment:
    """Build the segment of frames ``start`` to ``stop`` and measure it with g free where that can be told."""
    coefficients_3, squares, curved = fit
    c0, c1, c2 = (float(c) for c in coefficients_3)
    gravity = 2.0 * c2
    if curved and stop - start >= FREE_FRAMES:
        free_3 = _solver(stop - start, 3, fps) @ y_F[start:stop]
        gravity = 2.0 * float(free_3[2])
        squares = float(((y_F[start:stop] - _basis(stop - start, 3, fps) @ free_3) ** 2).sum())
    return Segment(start=start, stop=stop, coefficients=(c0, c1, c2), curved=curved, gravity=gravity, squares=squares)


def _fits(windows_Sn: np.ndarray, fps: float) -> list[tuple[np.ndarray, np.ndarray, float, bool]]:
    """Fit every window of one length: coefficients ``[S,3]``, squares ``[S]``, relative cost, and whether curved."""
    n = windows_Sn.shape[1]
    t_n = np.arange(n) / fps
    fall_n = 0.5 * GRAVITY * t_n**2
    fits = []
    line = _solver(n, min(n, 2), fps)
    # Both fit two frames exactly, and the line, which comes first, then stands.
    for curve, curved in ((np.zeros(n), False), (fall_n, True)):
        if curved and n < 2:
            continue
        flat_Sn = windows_Sn - curve
        c_Sk = flat_Sn @ line.T
        squares_S = ((flat_Sn - c_Sk @ _basis(n, min(n, 2), fps).T) ** 2).sum(axis=1)
        c_S3 = np.zeros((len(c_Sk), 3))
        c_S3[:, : c_Sk.shape[1]] = c_Sk
        c_S3[:, 2] = 0.5 * GRAVITY if curved else 0.0
        fits.append((c_S3, squares_S, 1.5 if n == 1 else 2.0, curved))
    if n >= FREE_FRAMES:
        c_S3 = windows_Sn @ _solver(n, 3, fps).T
        squares_S = ((windows_Sn - c_S3 @ _basis(n, 3, fps).T) ** 2).sum(axis=1)
        fits.append((c_S3, squares_S, 3.0, True))
    return fits


@lru_cache(maxsize=512)
def _basis(n: int, terms: int, fps: float) -> np.ndarray:
    """Return 1, t, t^2 at n frames, float64 ``[n, terms]``."""
    return (np.arange(n)[:, None] / fps) ** np.arange(terms)[None, :]


@lru_cache(maxsize=512)
def _solver(n: int, terms: int, fps: float) -> np.ndarray:
    """Return the least-squares inverse of `_basis`, float64 ``[terms, n]``."""
    return np.linalg.pinv(_basis(n, terms, fps))


def find_contacts(segments: list[Segment], fps: float) -> np.ndarray:
    """Return when a fall ends in an impact, as seen: where two neighbouring fits cross.

    Args:
        segments: from `split_track`.
        fps: frames per second.

    Returns:
        float64 ``[K]`` seconds after the track's first frame, ascending. A contact needs a fit that goes down before
        and a change of speed of at least `KINK`; up to two frames that neither fit explains may lie between. After
        the last contact one frame is enough: the fall is then followed to the level of the other contacts or, where
        there is none, to halfway between the two frames.
    """
    segments = _mend_tail(segments, fps)
    solid = [s for s in segments if s.frames >= 2]
    times: list[float] = []
    levels: list[float] = []
    for before, after in pairwise(solid):
        if after.start - before.stop > 2:
            continue
        time = _crossing(before, after, fps)
        into, out = before.speed(time), after.speed(time - (after.start - before.start) / fps)
        if into > 0 and into - out >= KINK:
            times.append(before.start / fps + time)
            levels.append(before.height(time))
    last = segments[-1] if segments else None
    if solid and last is not None and last.frames == 1 and last.start == solid[-1].stop:
        time = _last_contact(solid[-1], last, levels, fps)
        if time is not None:
            times.append(solid[-1].start / fps + time)
    return np.asarray(times, dtype=np.float64)


def find_rebounds(segments: list[Segment], fps: float) -> list[tuple[float, float]]:
    """Return the speeds into and out of each contact that lies between two flights, frame heights per second.

    Args:
        segments: from `split_track`. fps: frames per second.

    Returns:
        Pairs of speeds, both positive: into from the fit before, out from the fit after, where the two meet. Flights
        of fewer than `ARC_FRAMES` frames tell no speed.
    """
    found = []
    for before, after in pairwise([s for s in segments if s.frames >= 2]):
        if not (before.is_arc and after.is_arc) or after.start - before.stop > 2:
            continue
        time = _crossing(before, after, fps)
        into, out = before.speed(time), -after.speed(time - (after.start - before.start) / fps)
        if into >= KINK and out > 0:
            found.append((into, out))
    return found


def _mend_tail(segments: list[Segment], fps: float) -> list[Segment]:
    """Read two last frames after a flight again, since any curve fits them.

    Where the flight explains the first of them it takes it; otherwise something struck, and both fly.
    """
    if len(segments) < 2 or segments[-1].frames != 2 or not segments[-2].curved:
        return segments
    before, last = segments[-2:]
    first, second = last.height(0.0), last.height(1.0 / fps)
    if abs(before.height((last.start - before.start) / fps) - first) > 0.75 / PIXELS:
        flight = (first, (second - first) * fps - 0.5 * GRAVITY / fps, 0.5 * GRAVITY)
        return [*segments[:-1], replace(last, coefficients=flight, curved=True)]
    lone = (second, 0.0, 0.0)
    return [
        *segments[:-2],
        replace(before, stop=before.stop + 1),
        replace(last, start=last.start + 1, coefficients=lone, curved=False),
    ]


def _crossing(before: Segment, after: Segment, fps: float) -> float:
    """Return when two fits meet (seconds in ``before``'s time), or come closest, near the frames between them."""
    shift = (after.start - before.start) / fps
    low, high, slack = (before.frames - 1) / fps, shift, 0.5 / fps
    a0, a1, a2 = before.coefficients
    b0, b1, b2 = after.coefficients
    c0 = a0 - (b0 - b1 * shift + b2 * shift * shift)
    c1 = a1 - (b1 - 2 * b2 * shift)
    c2 = a2 - b2
    if abs(c2) > 1e-9:
        root = c1 * c1 - 4 * c2 * c0
        roots = [-c1 / (2 * c2)] if root < 0 else [(-c1 + s * root**0.5) / (2 * c2) for s in (-1, 1)]
    else:
        roots = [-c0 / c1] if abs(c1) > 1e-9 else []
    middle = (low + high) / 2
    inside = [t for t in roots if low - slack <= t <= high + slack]
    return min(inside, key=lambda t: abs(t - middle)) if inside else middle


def _last_contact(before: Segment, after: Segment, levels: list[float], fps: float) -> float | None:
    """Return the contact before a lone last frame (seconds in ``before``'s time), or None where there is none."""
    low, high = (before.frames - 1) / fps, before.frames / fps
    missed = before.height(high) - after.height(0.0)
    if not before.curved or before.speed(high) <= 0 or missed < 1.0 / PIXELS:
        return None
    if not levels:
        return (low + high) / 2
    level = float(np.median(levels))
    times = np.linspace(low, high, 65)
    return float(times[int(np.argmin([abs(before.height(t) - level) for t in times]))])


def gravity_residual_px(segments: list[Segment]) -> float:
    """Return the RMS distance of the flights from their parabolas, in pixels at 64 px of frame height.

    Each free flight is fitted with y = y0 + v0 t + g t^2 / 2, g free; the frames of all flights are pooled. A clip
    that shows none, or whose flights make up less than half of the frames that move, counts as `NO_ARC_PX`.
    """
    arcs = [s for s in segments if s.is_arc]
    frames = sum(s.frames for s in arcs)
    moving = sum(s.frames for s in segments if s.curved or abs(s.coefficients[1]) > 0.05)
    if not arcs or 2 * frames < moving:
        return NO_ARC_PX
    return float(PIXELS * (sum(s.squares for s in arcs) / frames) ** 0.5)


def gravity_error(segments: list[Segment]) -> float | None:
    """Return the relative error of the fitted g, mean over the flights by frames; None where no flight is long enough.

    Flights under `FREE_FRAMES` do not tell their own g.
    """
    arcs = [s for s in segments if s.is_arc and s.frames >= FREE_FRAMES]
    if not arcs:
        return None
    return float(np.average([abs(s.gravity / GRAVITY - 1.0) for s in arcs], weights=[s.frames for s in arcs]))
