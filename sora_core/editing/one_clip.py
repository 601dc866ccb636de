"""A storyboard as one clip with prompts that take over in it, where the model can. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SoraError
from ..request import MAX_CUES
from .card import Card, check_cards
from .profile import Profile, our_profile

AUTO, SINGLE, SHOTS = MODES = ("auto", "single", "shots")
"""One clip where that can be, else shots; one clip; a clip for each shot."""


@dataclass(frozen=True, kw_only=True)
class OneClip:
    """One clip of several prompts.

    frames: of the clip. text: the first prompt. cues: seconds at which each further prompt takes over.
    """

    frames: int
    text: str
    cues: tuple[tuple[float, str], ...]


def one_clip(cards: Sequence[Card], profile: Profile, fps: float, mode: str = AUTO) -> OneClip | None:
    """Return a storyboard as one clip, or None where it is to be made, or must be, in shots.

    A prompt takes over where a latent frame begins, so times go to the nearest of these.

    Args:
        cards: any that `check_cards` accepts. profile: of the model. fps: of the film. mode: one of `MODES`.

    Raises:
        SoraError: what `check_cards` refuses, an unknown mode, or the reason why a single clip cannot be.
    """
    if mode not in MODES:
        raise SoraError(f"mode {mode!r} is not known; choose one of {', '.join(MODES)}")
    settled = check_cards(cards)
    if mode == SHOTS or (mode == AUTO and len(settled) == 1):
        return None
    try:
        return _one_clip(settled, profile, fps)
    except SoraError:
        if mode == SINGLE:
            raise
        return None


def _one_clip(cards: Sequence[Card], profile: Profile, fps: float) -> OneClip:
    instead = "make it in shots"
    if profile.family != our_profile().family:
        raise SoraError(f"{profile.family} takes one prompt for a clip; {instead}")
    if len(cards) > MAX_CUES + 1:
        raise SoraError(f"a single clip holds {MAX_CUES + 1} shots at most, not {len(cards)}; {instead}")
    for number, card in enumerate(cards, 1):
        for bad, what in (
            (card.image is not None, "begins with a picture"),
            (card.video is not None, "begins with a clip"),
            (card.transition != "cut", f'begins with "{card.transition}"'),
            (card.seed is not None, "has a seed of its own"),
        ):
            if bad:
                raise SoraError(f"shot {number} {what}, which a single clip cannot have; {instead}")
    frames = max(1, math.floor(cards[-1].end_s * fps + 0.5))
    if frames > profile.longest:
        raise SoraError(
            f"the storyboard has {frames} frames and a single clip {profile.longest} at most; shorten it, or {instead}"
        )
    borders = [profile.frames_of(latent) for latent in range(1, profile.latents_of(profile.at_least(frames)))]
    taken: list[int] = [0]
    for number, card in enumerate(cards[1:], 2):
        at = min(borders, key=lambda border, card=card: abs(border - card.start_s * fps), default=0)
        if not taken[-1] < at < frames:
            raise SoraError(f"shot {number} begins too near to another for a single clip; lengthen it, or {instead}")
        taken.append(at)
    cues = tuple((at / fps, card.text) for at, card in zip(taken[1:], cards[1:], strict=True))
    return OneClip(frames=frames, text=cards[0].text, cues=cues)
