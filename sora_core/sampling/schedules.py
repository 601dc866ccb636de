"""Noise levels of a sampling run: straight-line flow matching from 1 (noise) to 0 (clip), shifted by clip size.

Plain numbers, no torch: a schedule can be shown or checked before a model is loaded.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Sigma(NamedTuple):
    """Noise level of each half at one moment: ``x_sigma = (1 - sigma) x0 + sigma noise``, both in [0, 1]."""

    video: float
    audio: float


class Schedule(NamedTuple):
    """Noise levels of a run, ``steps + 1`` falling values for each half; one step index serves both."""

    video: tuple[float, ...]
    audio: tuple[float, ...]

    @property
    def steps(self) -> int:
        """Number of steps between the levels."""
        return len(self.video) - 1

    def at(self, step: int) -> Sigma:
        """Return both levels before step ``step`` (``steps`` gives the last, clean ones)."""
        return Sigma(self.video[step], self.audio[step])

    def from_one(self) -> Schedule:
        """Return the levels as shares of the first ones, for tokens that carry the first ones in their own level."""
        return Schedule(*(tuple(level / levels[0] for level in levels) for levels in self))


def shift_sigma(t: float, shift: float) -> float:
    """Return ``s t / (1 + (s - 1) t)``: the level ``t`` in [0, 1] moved towards noise by ``shift`` > 0 (1 = as it is).

    Source: Esser et al., "Scaling Rectified Flow Transformers" (arXiv 2403.03206), equation 23.
    """
    return shift * t / (1 + (shift - 1) * t)


def token_shift(tokens: int) -> float:
    """Return the shift for a clip of ``tokens`` tokens: ``exp(0.95 + 1.10 (tokens - 1024) / 3072)``.

    More tokens repeat one another more, so the same noise hides less of them and the levels must lie higher.
    Source: LTX-Video's table (exp of 0.95 at 1024 tokens, of 2.05 at 4096, linear between); ours goes on below it.
    """
    return math.exp(0.95 + 1.10 * (tokens - 1024) / 3072)


def flow_schedule(steps: int, shift: float, audio_shift: float | None = None) -> Schedule:
    """Return ``steps + 1`` levels from 1 to 0 for each half, evenly spaced before the shift.

    Args:
        steps: at least 1.
        shift: of the picture, > 0.
        audio_shift: of the sound; without it the square root of ``shift`` (our decision: 25 audio latents a second
            repeat one another less than the picture's tokens do).
    """
    assert steps >= 1, steps
    assert shift > 0, shift
    audio_shift = math.sqrt(shift) if audio_shift is None else audio_shift
    even = [1 - index / steps for index in range(steps + 1)]
    return Schedule(
        video=tuple(shift_sigma(t, shift) for t in even),
        audio=tuple(shift_sigma(t, audio_shift) for t in even),
    )


def partial_schedule(steps: int, shift: float, strength: float) -> Schedule:
    """Return the last ``steps`` steps of a longer schedule, of which they are the share ``strength``.

    Args:
        steps, shift: as in `flow_schedule`. strength: in (0, 1]; 1 is the whole schedule.
    """
    assert 0 < strength <= 1, strength
    whole = flow_schedule(max(steps, int(steps / strength)), shift)
    return Schedule(whole.video[-steps - 1 :], whole.audio[-steps - 1 :])
