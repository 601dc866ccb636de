"""Draw what a clip shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from .spec import CALM, COLOURS, DIRECTED, DIRECTIONS, SIZES, Attributes, Level, held_out


def choose(options: Sequence[str], generator: torch.Generator) -> str:
    """Return one of ``options``, each as likely."""
    return options[int(torch.randint(len(options), (), generator=generator))]


def choose_calm(options: Sequence[str], generator: torch.Generator) -> str:
    """Return the first of ``options`` with a chance of `CALM`, otherwise one of the others, each as likely."""
    calm = len(options) == 1 or bool(torch.rand((), generator=generator) < CALM)
    return choose(options[:1] if calm else options[1:], generator)


def sample_attributes(level: Level, generator: torch.Generator, split: str = "train") -> Attributes:
    """Draw the attributes of one clip.

    Args:
        level: which part of the world.
        generator: CPU generator; the draw depends on nothing else.
        split: ``train`` leaves out the held-out pairs, ``held_out_pairs`` draws only them (the pair is that of the
            first actor, whose attributes are measured), ``any`` draws all.

    Returns:
        Attributes, uniform over the values of the level and the split, but for camera and weather: see `CALM`.
    """
    while True:
        motion = choose(level.motions, generator)
        directed = motion in DIRECTED
        drawn = Attributes(
            colour=choose(tuple(COLOURS), generator),
            object=choose(level.objects, generator),
            size=choose(tuple(SIZES), generator),
            motion=motion,
            direction=choose(DIRECTIONS, generator) if directed else "",
            scene=choose(level.scenes, generator),
            camera=choose_calm(level.cameras, generator),
            material=choose(level.materials, generator),
            weather=choose_calm(level.weathers, generator),
            other=(choose(tuple(COLOURS), generator), choose(level.objects, generator)) if motion == "collide" else (),
        )
        if _belongs(drawn, split):
            return drawn


def _belongs(drawn: Attributes, split: str) -> bool:
    if split == "held_out_pairs":
        return held_out(replace(drawn, other=()))
    return split == "any" or not held_out(drawn)


def sample_second_shot(first: Attributes, level: Level, generator: torch.Generator, split: str = "train") -> Attributes:
    """Draw what follows ``first`` after a cut.

    Half of the time it is the same actor (colour, object and size) in another motion or scene, otherwise all is drawn
    anew. Arguments as in `sample_attributes`.
    """
    same = bool(torch.rand((), generator=generator) < 0.5)
    while True:
        drawn = sample_attributes(level, generator, split)
        if not same:
            return drawn
        drawn = replace(drawn, colour=first.colour, object=first.object, size=first.size)
        if (drawn.motion, drawn.scene) != (first.motion, first.scene) and _belongs(drawn, split):
            return drawn
