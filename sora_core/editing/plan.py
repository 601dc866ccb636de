"""Which runs fill a canvas: stretches that hold something to make, cut to lengths that a model can."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import SoraError
from .canvas import Canvas
from .profile import Profile
from .window import spans

ROOM = 0.75
"""Share of a run that contexts on both sides may take, where what follows can be seen less of (ours)."""


class Stretch(NamedTuple):
    """Frames ``start`` to ``stop`` of a canvas that hold something to make."""

    start: int
    stop: int


class Place(NamedTuple):
    """One run of ``frames`` frames from the canvas's frame ``start`` on, of which ``low`` to ``high`` are new.

    A run may begin before the canvas, or end behind it, where the family's grid of lengths asks for it; what is made
    there is cut away.
    """

    start: int
    frames: int
    low: int
    high: int


class Job(NamedTuple):
    """The runs of one stretch, in the order in which they are made: forwards, or from its end to its beginning."""

    places: list[Place]
    backwards: bool


def context_frames(context_s: float, fps: float, profile: Profile) -> int:
    """Return how many frames a run sees of what comes before it: a valid length, at least the shortest one."""
    return max(profile.at_most(round(context_s * fps)), profile.at_least(1))


def stretches(canvas: Canvas, context: int) -> list[Stretch]:
    """Return what is to be made; stretches with less than twice the context between them are one."""
    picture, sound = canvas.levels()
    new = (picture > 0) | (sound > 0) if canvas.channels else picture > 0
    found: list[Stretch] = []
    for frame in new.nonzero()[:, 0].tolist():
        if found and frame - found[-1].stop < 2 * context:
            found[-1] = Stretch(found[-1].start, frame + 1)
        else:
            found.append(Stretch(frame, frame + 1))
    return found


def plan(canvas: Canvas, profile: Profile, context_s: float) -> list[Job]:
    """Return the jobs of a canvas, in the order of its time.

    Raises:
        SoraError: a context that leaves a run nothing to make.
    """
    context = context_frames(context_s, canvas.fps, profile)
    return [_job(stretch, canvas.num_frames, context, profile) for stretch in stretches(canvas, context)]


def _job(stretch: Stretch, total: int, context: int, profile: Profile) -> Job:
    before = profile.at_most(min(context, stretch.start))
    after = _suffix(min(context, total - stretch.stop), profile)
    longest = max(profile.at_most(profile.longest), profile.at_least(1))
    before, after = _shrunk(before, stretch.stop - stretch.start, after, longest, profile)
    if before + (stretch.stop - stretch.start) + after <= longest:
        place = _placed(stretch.start, stretch.stop, before, after, profile)
        if place.start < 0 and place.frames <= total:
            # Nothing lies before the canvas: better to see more of what follows.
            place = place._replace(start=0)
        return Job([place], backwards=False)
    backwards = bool(after) and not before
    while not backwards and after and context + after > ROOM * longest:
        later, earlier = _suffix(after - 1, profile), profile.at_most(context - 1)
        if 0 < later < after:
            after = later
        elif 0 < earlier < context:
            context, before = earlier, min(before, earlier)
        else:
            break
    if longest <= after + context * (not backwards):
        raise SoraError(
            f"a context of {context} frames leaves nothing to make of the {longest} frames that {profile.family} makes "
            "at a time; ask for a shorter context"
        )
    if backwards:
        return Job(_backwards(stretch, after, longest, profile), backwards=True)
    return Job(_forwards(stretch, before, after, context=context, longest=longest, profile=profile), backwards=False)


def _shrunk(before: int, new: int, after: int, longest: int, profile: Profile) -> tuple[int, int]:
    """Return contexts that let one run make it all, where shorter ones would: a run knows its own best (ours)."""
    shorter = (before, after)
    while sum(shorter) + new > longest:
        first, last = shorter
        fewer = (profile.at_most(first - 1), _suffix(last - 1, profile) if last > 1 else 0)
        options = [(fewer[0], last)] * bool(0 < fewer[0] < first) + [(first, fewer[1])] * bool(0 < fewer[1] < last)
        if not options:
            return before, after
        shorter = max(options, key=min)
    return shorter


def _forwards(
    stretch: Stretch, before: int, after: int, *, context: int, longest: int, profile: Profile
) -> list[Place]:
    made: list[Place] = []
    low, known = stretch.start, before
    while known + (stretch.stop - low) + after > longest:
        # A run that only just misses the end would leave the last one nothing: they share what is left.
        left = stretch.stop - low
        high = low + (longest - known if left > longest - known else left // 2)
        made.append(_placed(low, high, known, 0, profile))
        low, known = high, context
    made.append(_placed(low, stretch.stop, known, after, profile))
    return made


def _backwards(stretch: Stretch, after: int, longest: int, profile: Profile) -> list[Place]:
    made: list[Place] = []
    high = stretch.stop
    while high > stretch.start:
        low = max(stretch.start, high + after - longest)
        made.append(_placed(low, high, 0, after, profile))
        high = low
    return made


def _placed(low: int, high: int, before: int, after: int, profile: Profile) -> Place:
    """Return a run that makes ``low`` to ``high`` between contexts, on the family's grid of lengths."""
    length = profile.at_least(before + (high - low) + after)
    # With nothing to meet behind, the grid's surplus is made there and cut; else the run begins the earlier.
    return Place(high + after - length if after else low - before, length, low, high)


def _suffix(frames: int, profile: Profile) -> int:
    """Return how many frames at the end of a run are whole groups of latent frames, at most ``frames``."""
    kept = 0
    for _, _, first, last in reversed(spans(profile.at_least(profile.longest), profile)):
        if kept + last - first > frames:
            break
        kept += last - first
    return kept
