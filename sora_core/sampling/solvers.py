"""Solvers of the sampling ODE ``dx/dsigma = velocity(x, sigma)``, each a function over a denoiser.

The state is the pair (video, audio); each half runs down its own noise levels in the same steps. A velocity of 0 leaves
a value exactly as it is under every solver, which is what makes a kept token come back as it went in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from ..types import AVLatent
from .schedules import Schedule, Sigma

if TYPE_CHECKING:
    from torch import Tensor


class Denoiser(Protocol):
    """Estimate the velocity of a noisy clip."""

    def __call__(self, x: AVLatent, sigma: Sigma, /) -> AVLatent:
        """Return ``noise - x0`` for both halves, in the shapes of ``x``."""
        ...


StepCallback = Callable[[int, int, AVLatent], None]
"""Called after each step with steps done, steps in all, and the clean clip as that step saw it; raise to cancel."""

Solver = Callable[[Denoiser, AVLatent, Schedule, "StepCallback | None"], AVLatent]


def euler(denoiser: Denoiser, x: AVLatent, schedule: Schedule, callback: StepCallback | None = None) -> AVLatent:
    """Follow the velocity in straight steps: first order, one model call a step.

    Source: Liu et al., "Flow Straight and Fast" (arXiv 2209.03003), section 2.
    """
    for step in range(schedule.steps):
        now, after = schedule.at(step), schedule.at(step + 1)
        velocity = denoiser(x, now)
        clean = _clean(x, velocity, now)
        x = _move(x, velocity, now, after)
        _report(callback, step, schedule, clean)
    return x


def heun(denoiser: Denoiser, x: AVLatent, schedule: Schedule, callback: StepCallback | None = None) -> AVLatent:
    """Average the velocities at both ends of a step: second order, two model calls a step and one where it ends in 0.

    That step is Euler's, because a model is not trained at noise level 0.
    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (arXiv 2206.00364),
    algorithm 1, with velocities in place of score derivatives.
    """
    for step in range(schedule.steps):
        now, after = schedule.at(step), schedule.at(step + 1)
        velocity = denoiser(x, now)
        clean = _clean(x, velocity, now)
        if min(after) > 0:
            ahead = denoiser(_move(x, velocity, now, after), after)
            velocity = _map(lambda first, second: (first + second) / 2, velocity, ahead)
        x = _move(x, velocity, now, after)
        _report(callback, step, schedule, clean)
    return x


def dpmpp_2m(denoiser: Denoiser, x: AVLatent, schedule: Schedule, callback: StepCallback | None = None) -> AVLatent:
    """Extrapolate the clean estimate from the last two steps: second order, one model call a step.

    Source: Lu et al., "DPM-Solver++" (arXiv 2211.01095), algorithm 2, in the half-log-SNR of straight-line flow,
    ``log((1 - sigma) / sigma)``. It is infinite at both ends; there the step is of first order.
    """
    previous: AVLatent | None = None
    for step in range(schedule.steps):
        now, after = schedule.at(step), schedule.at(step + 1)
        clean = _clean(x, denoiser(x, now), now)
        ahead = clean
        if previous is not None:
            before = schedule.at(step - 1)
            ahead = AVLatent(
                video=_extrapolate(clean.video, previous.video, before.video, now.video, after.video),
                audio=_extrapolate(clean.audio, previous.audio, before.audio, now.audio, after.audio),
            )
        x = AVLatent(
            video=_towards(x.video, ahead.video, now.video, after.video),
            audio=_towards(x.audio, ahead.audio, now.audio, after.audio),
        )
        previous = clean
        _report(callback, step, schedule, clean)
    return x


def unipc(denoiser: Denoiser, x: AVLatent, schedule: Schedule, callback: StepCallback | None = None) -> AVLatent:
    """Extrapolate the clean estimate from the last two steps, then correct the step: third order, one call a step.

    The correction takes the estimate that the next step needs anyway, so it costs no call. Where the last step ends in
    0 there is no next one, and it is of first order.

    Source: Zhao et al., "UniPC" (arXiv 2302.04867), algorithms 1 and 2 with a predictor of order 2 and a corrector of
    order 3, for clean estimates. The polynomial through them is one in the noise level, integrated exactly, as Zhang
    and Chen, "DEIS" (arXiv 2204.13902), equation 15, do; in UniPC it is one in the log-SNR (our decision: in
    straight-line flow that is infinite at both ends, where the noise level is as good as anywhere).
    """
    before = x
    past: list[tuple[Sigma, AVLatent]] = []
    for step in range(schedule.steps):
        now, after = schedule.at(step), schedule.at(step + 1)
        clean = _clean(x, denoiser(x, now), now)
        known = [(now, clean), *past]
        if past:
            x = _integrate(before, known, past[0][0], now)
        before, past = x, known[:2]
        x = _integrate(x, past, now, after)
        _report(callback, step, schedule, clean)
    return x


SOLVERS: Mapping[str, Solver] = MappingProxyType({"euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m, "unipc": unipc})
"""Solvers by the name that a request gives them."""


def _map(function: Callable[..., Tensor], *pairs: AVLatent) -> AVLatent:
    """Apply ``function`` to the video halves and to the audio halves, where they are."""
    video = [pair.video for pair in pairs]
    audio = [pair.audio for pair in pairs]
    return AVLatent(
        video=None if video[0] is None else function(*video),
        audio=None if audio[0] is None else function(*audio),
    )


def _move(x: AVLatent, velocity: AVLatent, now: Sigma, after: Sigma) -> AVLatent:
    """Return ``x + (after - now) velocity``."""
    return AVLatent(
        video=_add(x.video, velocity.video, after.video - now.video),
        audio=_add(x.audio, velocity.audio, after.audio - now.audio),
    )


def _clean(x: AVLatent, velocity: AVLatent, now: Sigma) -> AVLatent:
    """Return the clean estimate ``x - sigma velocity``."""
    return AVLatent(
        video=_add(x.video, velocity.video, -now.video),
        audio=_add(x.audio, velocity.audio, -now.audio),
    )


def _add(x: Tensor | None, velocity: Tensor | None, factor: float) -> Tensor | None:
    """Return ``x + factor velocity`` or None where the half is absent."""
    return None if x is None or velocity is None else x + factor * velocity


def _towards(x: Tensor | None, clean: Tensor | None, now: float, after: float) -> Tensor | None:
    """Return the exact step from ``now`` to ``after`` for a clean estimate that does not change on the way."""
    if x is None or clean is None:
        return None
    # Not `r x + (1 - r) clean`: in this form x stays bit for bit where x == clean (kept tokens).
    return clean + (after / now) * (x - clean) if now > 0 else x


def _integrate(x: AVLatent, known: Sequence[tuple[Sigma, AVLatent]], start: Sigma, end: Sigma) -> AVLatent:
    """Return the exact step from ``start`` to ``end`` for clean estimates on a polynomial through the ``known`` ones.

    Args:
        x: at ``start``. known: up to three noise levels with the clean estimates there.
    """
    levels = [level for level, _ in known]
    return AVLatent(
        video=_drawn(x.video, [clean.video for _, clean in known], [level.video for level in levels], start[0], end[0]),
        audio=_drawn(x.audio, [clean.audio for _, clean in known], [level.audio for level in levels], start[1], end[1]),
    )


def _drawn(
    x: Tensor | None, cleans: Sequence[Tensor | None], levels: Sequence[float], start: float, end: float
) -> Tensor | None:
    """Return one half of `_integrate`: ``d(x / sigma) = -clean(sigma) / sigma^2 d(sigma)``, solved in closed form."""
    first = cleans[0]
    moved = _towards(x, first, start, end)
    # Two equal levels have no polynomial through them, and the integral has no bound where a step ends in 0.
    if moved is None or end <= 0 or len(set(levels)) < len(levels):
        return moved
    for index, other in enumerate(cleans):
        if index:
            # As differences, so that a kept token's equal estimates add exactly 0.
            moved = _add(moved, _add(other, first, -1), _pull(levels, index, start, end))
    return moved


def _pull(levels: Sequence[float], index: int, start: float, end: float) -> float:
    """Return the weight of one clean estimate: the integral of its Lagrange polynomial over ``end / sigma^2``."""
    roots = [level for place, level in enumerate(levels) if place != index]
    coefficients = [-roots[0], 1.0] if len(roots) == 1 else [roots[0] * roots[1], -roots[0] - roots[1], 1.0]
    powers = (1 / end - 1 / start, math.log(start / end), start - end)
    scale = math.prod(levels[index] - root for root in roots)
    return end * sum(a * b for a, b in zip(coefficients, powers, strict=False)) / scale


def _extrapolate(
    clean: Tensor | None, previous: Tensor | None, before: float, now: float, after: float
) -> Tensor | None:
    """Return the clean estimate carried on to the middle of the coming step, on the half-log-SNR axis."""
    if clean is None or previous is None:
        return None
    last, coming = _log_snr(now) - _log_snr(before), _log_snr(after) - _log_snr(now)
    if not (0 < last < math.inf and 0 < coming < math.inf):
        return clean
    return clean + coming / (2 * last) * (clean - previous)


def _log_snr(sigma: float) -> float:
    """Return ``log((1 - sigma) / sigma)``, infinite at 0 and at 1."""
    if sigma <= 0:
        return math.inf
    return -math.inf if sigma >= 1 else math.log((1 - sigma) / sigma)


def _report(callback: StepCallback | None, step: int, schedule: Schedule, clean: AVLatent) -> None:
    """Tell the callback, if there is one, that ``step`` (from 0) is done."""
    if callback is not None:
        callback(step + 1, schedule.steps, clean)
