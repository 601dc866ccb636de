"""One shot of a storyboard as a person lays it out: when, what, and how it begins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..errors import SoraError
from ..request import MAX_SECONDS, MAX_SEED

TRANSITIONS = ("cut", "fade", "continue")
"""How a shot begins after the one before: a hard cut; a cross-fade; or it goes on from that shot's last frames."""

TOUCHING_S = 1e-3
"""Cards that miss or overlap each other by less touch (our decision: far less than a frame, far more than rounding)."""

ROUNDING_S = 1e-9
"""Difference of two times that is only the arithmetic's."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A shot on the timeline; `check_cards` says whether a list of them makes a film.

    Args:
        start_s, duration_s: seconds of the film.
        text: what is shown; may be empty where a picture or a video is given.
        image: the first frame. video: what the shot begins with. At most one of them, and none where the shot goes on
            from the one before; opaque here.
        transition: one of `TRANSITIONS`; the first shot has nothing to begin after, so it is a cut.
        seed: of this shot alone; None follows the film's.
    """

    start_s: float
    duration_s: float
    text: str = ""
    image: object | None = field(default=None, compare=False)
    video: object | None = field(default=None, compare=False)
    transition: str = "cut"
    seed: int | None = None

    @property
    def end_s(self) -> float:
        """When the shot ends, in seconds of the film."""
        return self.start_s + self.duration_s


def check_cards(cards: Sequence[Card], longest_s: float = MAX_SECONDS) -> list[Card]:
    """Check a storyboard and close its gaps.

    A gap is filled by the shot before it, which then lasts until the next begins; time before the first shot is filled
    by that shot, which then begins at 0.

    Args:
        cards: in any order; sentences count them as they are given, from 1.
        longest_s: of the film, seconds.

    Returns:
        The cards by their start, end to end from 0 on.

    Raises:
        SoraError: no card; a card of no time, of nothing to show or with a value that is not allowed; two cards at the
            same time; a film that is too long.
    """
    if not cards:
        raise SoraError("the storyboard holds no card; add one with a duration and a text")
    for number, card in enumerate(cards, 1):
        _check_card(number, card, longest_s)
    order = sorted(range(len(cards)), key=lambda index: cards[index].start_s)
    for earlier, later in itertools.pairwise(order):
        if (over := cards[earlier].end_s - cards[later].start_s) > TOUCHING_S:
            raise SoraError(
                f"card {earlier + 1} ends at {cards[earlier].end_s:g} s and card {later + 1} starts at "
                f"{cards[later].start_s:g} s, so they overlap by {over:.3g} s; shorten card {earlier + 1} "
                f"or start card {later + 1} later"
            )
    first, last = cards[order[0]], cards[order[-1]]
    if first.transition != "cut":
        raise SoraError(
            f'card {order[0] + 1} begins with "{first.transition}" and no card is before it; '
            'write "cut" or leave the transition away'
        )
    if last.end_s > longest_s:
        raise SoraError(f"the storyboard lasts {last.end_s:g} s, more than {longest_s:g} s; shorten or remove cards")
    settled = []
    for place, index in enumerate(order):
        card = cards[index]
        start = card.start_s if place else 0.0
        stop = cards[order[place + 1]].start_s if place + 1 < len(order) else card.end_s
        # a duration that fits stays as it was given, to the last digit
        fits = start == card.start_s and abs(stop - card.end_s) < ROUNDING_S
        settled.append(card if fits else replace(card, start_s=start, duration_s=stop - start))
    return settled


def _check_card(number: int, card: Card, longest_s: float) -> None:
    if not (math.isfinite(card.start_s) and card.start_s >= 0):
        raise SoraError(f"card {number} starts at {card.start_s:g} s; write a time from 0 on, for example 5")
    if not card.duration_s > 0:
        raise SoraError(f"card {number} lasts {card.duration_s:g} s; write more than 0, for example 5")
    if card.duration_s > longest_s:
        raise SoraError(f"card {number} lasts {card.duration_s:g} s, more than {longest_s:g} s; shorten it")
    if card.transition not in TRANSITIONS:
        raise SoraError(
            f"card {number} has transition {card.transition!r}, which is not known; choose one of "
            f"{', '.join(TRANSITIONS)}"
        )
    if card.image is not None and card.video is not None:
        raise SoraError(f"card {number} holds a picture and a video, and begins with one; take either away")
    if card.transition == "continue" and (card.image is not None or card.video is not None):
        raise SoraError(f"card {number} goes on from the one before and begins with its own picture; choose one")
    if not card.text.strip() and card.image is None and card.video is None:
        raise SoraError(f"card {number} shows nothing; give it a text, a picture or a video")
    if card.seed is not None and not 0 <= card.seed <= MAX_SEED:
        raise SoraError(f"card {number} has seed {card.seed}; write one between 0 and {MAX_SEED}")
