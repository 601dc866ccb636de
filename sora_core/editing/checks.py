"""What is refused of lengths, sections and contexts, each with one sentence. Needs no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import SoraError
from ..request import MAX_SECONDS

if TYPE_CHECKING:
    from .engine import Settings
    from .film import Film
    from .profile import Profile

RESIZE, REFUSE = "resize", "refuse"
UNLIKE = (RESIZE, REFUSE)
"""What to do with a clip of another size or frame rate than the first."""

CONTEXT_S = 1.1
"""Seconds that a run sees of what is there already, where nothing else is asked (13 frames at 12 fps; measured: the
jump of velocity where a clip goes on is smaller than with 9)."""

LONGEST_CONTEXT_S = 60.0
"""Our own bound: far more than any model sees at a time."""


def check_context_s(seconds: float | None) -> None:
    """Refuse seconds of context that cannot be; None leaves them open."""
    if seconds is not None and not 0 < seconds <= LONGEST_CONTEXT_S:
        raise SoraError(f"context {seconds:g} s must be more than 0 and at most {LONGEST_CONTEXT_S:g}; 1.1 is usual")


def frames_of_seconds(seconds: float, fps: float, what: str = "seconds") -> int:
    """Return whole frames, at least one.

    Raises:
        SoraError: not more than 0, or more than ten minutes.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise SoraError(f"{what} {seconds:g} must be more than 0, for example 2")
    if seconds > MAX_SECONDS:
        raise SoraError(f"{what} {seconds:g} is more than {MAX_SECONDS:g}; make several shorter clips")
    return max(1, round(seconds * fps))


def check_total(frames: int, fps: float) -> None:
    """Refuse a film that would be too long."""
    if frames / fps > MAX_SECONDS:
        raise SoraError(
            f"the film would be {frames / fps:g} s long and {MAX_SECONDS:g} are the most; ask for less to be added"
        )


def check_context(film: Film, settings: Settings, profile: Profile, what: str = "the clip") -> None:
    """Refuse a film that is shorter than the context asked for; without one asked for, what is there serves."""
    if settings.context_s is None:
        return
    from .plan import context_frames

    needed = context_frames(settings.context_s, film.fps, profile)
    if film.num_frames < needed:
        raise SoraError(
            f"{what} has {film.num_frames} frames, fewer than the context of {needed}; give a longer clip or a context "
            f"of at most {film.num_frames / film.fps:.2f} s"
        )


def check_trim(start_s: float, end_s: float | None) -> None:
    """Refuse a start and an end, seconds, that cannot be of any film; None is the film's end."""
    if not (0 <= start_s < math.inf and (end_s is None or start_s < end_s)):
        end = "the end" if end_s is None else f"{end_s:g} s"
        raise SoraError(f"a cut from {start_s:g} s to {end} must not start before 0, and must start before it ends")


def section(start: float, end: float, frames: int, what: str = "the section") -> tuple[int, int]:
    """Return the frames of a section on the axis from 0 (first frame) to 1 (end).

    Raises:
        SoraError: an end that does not lie behind the start, or either outside 0 to 1.
    """
    if not (0 <= start < end <= 1):
        raise SoraError(f"{what} from {start:g} to {end:g} must lie between 0 and 1, its start before its end")
    first = min(frames - 1, round(start * frames))
    return first, max(first + 1, round(end * frames))
