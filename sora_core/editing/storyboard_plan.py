"""From cards to the shots that are made: whole frames on the film's timeline, and all that decides each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SoraError
from ..request import MAX_FPS, MAX_SECONDS, MAX_SEED
from .card import Card, check_cards
from .checks import CONTEXT_S, check_context_s
from .content import content_key
from .profile import Profile

FORMAT_VERSION = 1
"""Raise it when the same inputs make another shot, so that shots kept by older code are not taken for new ones."""

FADE_S = 0.5
"""Length of a cross-fade, where nothing else is asked (our decision)."""

LONGEST_FADE_S = 60.0
"""Our own bound: far more than two shots have in common."""


@dataclass(frozen=True, kw_only=True)
class ShotPlan:
    """A shot to make.

    Args:
        index: from 0. start: frame of the film that it begins with. count: its frames, those of its fade included.
        fade: its first frames that lie over the last ones of the shot before. context: last frames of the shot before
            that it goes on from, 0 unless the transition is ``continue``; they are not among ``count``.
        text, image, video, transition: as in `Card`. seed: of its noise.
    """

    index: int
    start: int
    count: int
    fade: int = 0
    context: int = 0
    text: str = ""
    image: object | None = field(default=None, compare=False)
    video: object | None = field(default=None, compare=False)
    transition: str = "cut"
    seed: int = 0

    @property
    def stop(self) -> int:
        """The frame of the film behind its last."""
        return self.start + self.count


@dataclass(frozen=True, kw_only=True)
class ShotSettings:
    """What all shots of a film share.

    Args:
        model: names the weights and how they are loaded; the same name means the same clips.
        negative, steps, guidance, solver: of the sampler. width, height: pixels. fps: frames per second.
        more: whatever else decides a shot, in values that `content_key` takes.
    """

    model: str
    negative: str = ""
    steps: int
    guidance: float
    solver: str
    width: int
    height: int
    fps: float
    more: Mapping[str, object] = field(default_factory=dict)


def plan_storyboard(
    cards: Sequence[Card],
    profile: Profile,
    fps: float,
    *,
    seed: int = 0,
    fade_frames: int | None = None,
    context_frames: int | None = None,
    longest_s: float = MAX_SECONDS,
) -> list[ShotPlan]:
    """Put a storyboard on whole frames.

    Each border between cards goes to the frame nearest to its time, so that errors do not add up and the film is as
    long as its cards to half a frame. A shot that fades in begins so many frames earlier and lies over the end of the
    shot before; a fade is shortened to the shorter of the two.

    Args:
        cards: any that `check_cards` accepts.
        profile: of the model. fps: of the film.
        seed: of cards without one; a card whose text an earlier one had gets the next seed each time, so that it is not
            the same shot, and putting in or moving other cards does not change it.
        fade_frames: None is `FADE_S`. context_frames: None is `CONTEXT_S`; the largest valid length of the profile that
            is not more, and that the shot before has, is taken.
        longest_s: of the film, seconds.

    Raises:
        SoraError: what `check_cards` refuses; a shot of less than a frame; a shot before one that goes on from it that
            is shorter than the model can take; a rate, seed, fade or context out of range.
    """
    if not 1 <= fps <= MAX_FPS:
        raise SoraError(f"fps {fps:g} must be between 1 and {MAX_FPS:g}, for example {profile.fps:g}")
    if not 0 <= seed <= MAX_SEED:
        raise SoraError(f"seed {seed} must be between 0 and {MAX_SEED}")
    if fade_frames is not None and fade_frames < 0:
        raise SoraError(f"a fade of {fade_frames} frames must be 0 or more, for example {_frames(FADE_S, fps)}")
    if context_frames is not None and not 1 <= context_frames < profile.longest:
        raise SoraError(
            f"a context of {context_frames} frames must be between 1 and {profile.longest - 1}, so that something is "
            f"left to make of the {profile.longest} frames of {profile.family}"
        )
    fade = max(1, _frames(FADE_S, fps)) if fade_frames is None else fade_frames
    context = context_of(fps, profile) if context_frames is None else context_frames

    plans: list[ShotPlan] = []
    own_before = 0
    seen: dict[str, int] = {}
    for index, card in enumerate(check_cards(cards, longest_s)):
        begin, end = _frames(card.start_s, fps), _frames(card.end_s, fps)
        if end <= begin:
            raise SoraError(
                f"shot {index + 1} lasts {card.duration_s:g} s, less than a frame at {fps:g} fps; "
                f"make it at least {1 / fps:.3g} s"
            )
        over = min(fade, own_before, end - begin) if card.transition == "fade" else 0
        again = seen.get(card.text, 0)
        seen[card.text] = again + 1
        plans.append(
            ShotPlan(
                index=index,
                start=begin - over,
                count=end - begin + over,
                fade=over,
                context=_context(plans, context, profile) if card.transition == "continue" else 0,
                text=card.text,
                image=card.image,
                video=card.video,
                transition=card.transition,
                seed=(seed + again) % (MAX_SEED + 1) if card.seed is None else card.seed,
            )
        )
        own_before = end - begin
    return plans


def frames_of(fade_s: float | None, context_s: float | None, fps: float) -> tuple[int | None, int | None]:
    """Return a fade and a context in frames; None stays open.

    Raises:
        SoraError: seconds that cannot be.
    """
    check_context_s(context_s)
    if fade_s is not None and not 0 <= fade_s <= LONGEST_FADE_S:
        raise SoraError(f"fade {fade_s:g} s must be from 0 to {LONGEST_FADE_S:g}; 0.5 is usual")
    return (
        None if fade_s is None else _frames(fade_s, fps),
        None if context_s is None else max(1, _frames(context_s, fps)),
    )


def context_of(fps: float, profile: Profile) -> int:
    """Return the context in frames where none is asked for."""
    return min(max(1, _frames(CONTEXT_S, fps)), profile.longest - 1)


def shot_inputs(plan: ShotPlan, settings: ShotSettings, before: str | None = None) -> dict[str, object]:
    """Return everything that decides a shot, and nothing else: where it lies in the film does not.

    Args:
        plan, settings: the shot.
        before: key of the shot before; counts only where this one goes on from it, so that a changed shot changes those
            alone that go on from it, directly or through others.
    """
    continues = plan.transition == "continue"
    assert before is not None or not continues
    return {
        "format": FORMAT_VERSION,
        "model": settings.model,
        "prompt": plan.text,
        "negative": settings.negative,
        "seed": plan.seed,
        "steps": settings.steps,
        "guidance": settings.guidance,
        "solver": settings.solver,
        "size": [settings.width, settings.height],
        "fps": settings.fps,
        "frames": plan.count,
        "context": plan.context,
        "before": before if continues else None,
        "image": _opened(plan.image),
        "video": _opened(plan.video),
        "more": settings.more,
    }


def shot_keys(plans: Sequence[ShotPlan], settings: ShotSettings) -> list[str]:
    """Return the key of each shot of a film, in order; see `shot_inputs` and `content_key`.

    Raises:
        SoraError: a picture, a video or a setting that has no content to go by.
    """
    keys: list[str] = []
    for plan in plans:
        keys.append(content_key(shot_inputs(plan, settings, keys[-1] if keys else None)))
    return keys


def _context(plans: Sequence[ShotPlan], wanted: int, profile: Profile) -> int:
    """Return how many last frames of the last shot planned the next one goes on from."""
    before = plans[-1]
    taken = profile.at_most(min(wanted, before.count))
    if taken:
        return taken
    least = profile.at_least(1)
    if before.count < least:
        raise SoraError(
            f"shot {before.index + 2} goes on from shot {before.index + 1}, which has {before.count} frames, and "
            f"{profile.family} needs at least {least}; make it longer or cut instead"
        )
    if least >= profile.longest:
        raise SoraError(f"{profile.family} cannot go on from a shot; cut to shot {before.index + 2} instead")
    return least


def _frames(seconds: float, fps: float) -> int:
    """Return the nearest frame; a half goes up, always, so that equal times make equal shots."""
    return math.floor(seconds * fps + 0.5)


def _opened(value: object | None) -> object | None:
    """Return what stands for a picture or video; a path written as text is the file, not its name."""
    return Path(value) if isinstance(value, str) else value
