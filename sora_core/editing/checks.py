"""What is refused of lengths, sections and contexts, each with one sentence."""

from __future__ import annotations

import math

from ..errors import SoraError
from ..request import MAX_SECONDS
from .engine import Settings
from .film import Film
from .plan import context_frames
from .profile import Profile


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
    needed = context_frames(settings.context_s, film.fps, profile)
    if film.num_frames < needed:
        raise SoraError(
            f"{what} has {film.num_frames} frames, fewer than the context of {needed}; give a longer clip or a context "
            f"of at most {film.num_frames / film.fps:.2f} s"
        )


def section(start: float, end: float, frames: int, what: str = "the section") -> tuple[int, int]:
    """Return the frames of a section on the axis from 0 (first frame) to 1 (end).

    Raises:
        SoraError: an end that does not lie behind the start, or either outside 0 to 1.
    """
    if not (0 <= start < end <= 1):
        raise SoraError(f"{what} from {start:g} to {end:g} must lie between 0 and 1, its start before its end")
    first = min(frames - 1, round(start * frames))
    return first, max(first + 1, round(end * frames))
