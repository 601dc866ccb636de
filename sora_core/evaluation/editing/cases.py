"""What is edited: true clips of the world, drawn by a seed, and for a remix what they are to become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ...types import ClipFormat
from ...world.captions import caption
from ...world.render import WorldBatch, render
from ...world.sample import choose, sample_attributes
from ...world.spec import COLOURS, DIRECTED, DIRECTIONS, SIZES, Attributes, Level, held_out
from ...world.vocabulary import STRIKING
from ..prompts import Case

MOVING = ("bounce", "roll", "rise", "swing", "circle")
"""Motions that are under way at the end of a clip, so that there is a velocity to go on with."""

STAYING = ("stay", "bounce", "fall", "rise")
"""Motions whose actor is in view for as long as one looks."""

CHANGES = ("colour", "object", "size", "scene", "motion")
"""What a remix changes, in turn; a new motion brings its direction with it."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A remix: the source, what it is to become, and the attribute in which they differ."""

    source: Case
    target: Case
    attribute: str

    @property
    def changed(self) -> frozenset[str]:
        """The attributes that the new prompt changes."""
        return frozenset(("motion", "direction") if self.attribute == "motion" else (self.attribute,))


def draw_sources(level: Level, count: int, seed: int, motions: Sequence[str] = ()) -> list[Case]:
    """Draw clips to edit, held in, of a still camera and clear weather, told in medium or dense captions.

    Args:
        level: what the model was trained on.
        count: how many; clip ``i`` is rendered and edited with seed ``seed + i``.
        motions: taken in turn, those that the level has; empty for any.
    """
    generator = torch.Generator().manual_seed(seed)
    known = [motion for motion in motions if motion in level.motions]
    return [
        _case(_shown(level, generator, known[i % len(known)] if known else ""), seed + i, generator)
        for i in range(count)
    ]


def draw_changes(level: Level, count: int, seed: int) -> list[Change]:
    """Draw remixes: the attributes of `CHANGES` in turn, every second target with a motion that strikes.

    Seeds as in `draw_sources`; source and target have the same.
    """
    generator = torch.Generator().manual_seed(seed)
    strikes = [motion for motion in level.motions if motion in STRIKING and motion != "collide"]
    quiet = [motion for motion in level.motions if motion not in STRIKING]
    found: list[Change] = []
    for i in range(count):
        target = _shown(level, generator, choose(quiet if i % 2 else strikes, generator))
        attribute = CHANGES[i % len(CHANGES)]
        source = _other(target, attribute, level, generator)
        found.append(
            Change(
                source=_case(source, seed + i, generator),
                target=_case(target, seed + i, generator),
                attribute=attribute,
            )
        )
    return found


def film_truth(cases: Sequence[Case], fmt: ClipFormat) -> WorldBatch:
    """Render what the cases show, for as long as the format says."""
    return render([case.attributes for case in cases], [case.seed for case in cases], fmt)


def _case(shown: Attributes, seed: int, generator: torch.Generator) -> Case:
    length = choose(("medium", "dense"), generator)
    return Case(group="plain", attributes=shown, prompt=caption(shown, length, generator), seed=seed)


def _shown(level: Level, generator: torch.Generator, motion: str = "") -> Attributes:
    """Draw attributes whose camera and weather the detector does not have to see through."""

    def plain(drawn: Attributes) -> bool:
        fits = drawn.motion == motion if motion else drawn.motion != "collide"
        return fits and drawn.camera == "still" and drawn.weather == "clear"

    return _until(plain, lambda: sample_attributes(level, generator))


def _other(shown: Attributes, attribute: str, level: Level, generator: torch.Generator) -> Attributes:
    """Return attributes that differ in one, also held in."""
    options = {
        "colour": tuple(COLOURS),
        "object": level.objects,
        "size": tuple(SIZES),
        "scene": level.scenes,
        "motion": tuple(motion for motion in level.motions if motion != "collide"),
    }[attribute]

    def draw() -> Attributes:
        word = choose(options, generator)
        if attribute != "motion":
            return replace(shown, **{attribute: word})
        return replace(shown, motion=word, direction=choose(DIRECTIONS, generator) if word in DIRECTED else "")

    return _until(lambda drawn: getattr(drawn, attribute) != getattr(shown, attribute) and not held_out(drawn), draw)


def _until(fits: Callable[[Attributes], bool], draw: Callable[[], Attributes]) -> Attributes:
    while not fits(drawn := draw()):
        pass
    return drawn
