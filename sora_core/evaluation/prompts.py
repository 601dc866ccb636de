"""The prompts of an evaluation, drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..world.captions import caption
from ..world.sample import sample_attributes
from ..world.spec import Attributes, Level, held_out
from ..world.vocabulary import HELD_OUT_WORDS, split_words

GROUPS = ("plain", "held_out_pairs", "held_out_words", "image", "reference")
"""Plain, pairs and words make up the asked number of clips; image and reference come on top."""

FLYING = ("bounce", "fall")
"""Motions that one image determines, but for the moment of release; their gravity is measured too."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One clip to make: what it shows, how that is said, and its seed."""

    group: str
    attributes: Attributes
    prompt: str
    seed: int

    def reference(self) -> Attributes:
        """Return what a picture of the same actor shows: at rest, on a plain ground."""
        return replace(self.attributes, motion="stay", direction="", scene="plain", camera="still", weather="clear")


def draw_cases(level: Level, clips: int, seed: int = 0) -> list[Case]:
    """Draw the clips of an evaluation.

    Args:
        level: what the model was trained on.
        clips: N; half of them plain, a quarter held-out pairs, the rest held-out words. N / 8 more start from an image
            and as many use a reference, at least one each.
        seed: of attributes and captions; clip ``i`` is made with seed ``seed + i``.

    Returns:
        Cases, group by group, every caption medium or dense, so that all attributes are named; only those with a
        reference leave the actor's looks to the picture. Half of the images are of motions in `FLYING`.
    """
    extra = max(1, clips // 8)
    pairs = words = clips // 4
    counts = dict(zip(GROUPS, (clips - pairs - words, pairs, words, extra, extra), strict=True))
    generator = torch.Generator().manual_seed(seed)
    cases: list[Case] = []
    for group, count in counts.items():
        for index in range(count):
            split = "held_out_pairs" if group == "held_out_pairs" else "train"
            shown = sample_attributes(level, generator, split)
            # Every other image is of a motion that it determines, so that velocities can be measured.
            while group == "image" and index % 2 == 0 and shown.motion not in FLYING:
                shown = sample_attributes(level, generator, split)
            length = ("medium", "dense")[int(torch.randint(2, (), generator=generator))]
            vocabulary = "held_out" if group == "held_out_words" else "train"
            prompt = caption(shown, length, generator, vocabulary, reference=group == "reference")
            cases.append(Case(group=group, attributes=shown, prompt=prompt, seed=seed + len(cases)))
    return cases


def judged_names(level: Level) -> tuple[str, ...]:
    """Return the attributes that are judged at a level: those that pixels tell.

    The weather is one of them, and the second actor (``other``: colour and object). The material is none: it is heard,
    and only where something strikes, so that it has a figure of its own.
    """
    names = level.attributes
    names = (*names, "weather") if len(level.weathers) > 1 else names
    return (*names, "other") if "collide" in level.motions else names


def expected(attributes: Attributes, level: Level) -> dict[str, str]:
    """Return what is judged of a clip: direction and second actor only where there is one."""
    words = {name: getattr(attributes, name) for name in judged_names(level)}
    return {name: word if isinstance(word, str) else " ".join(word) for name, word in words.items() if word}


def group_of(prompt: str, named: dict[str, str]) -> str:
    """Return the group that a prompt belongs to by its words."""
    if any(word in HELD_OUT_WORDS for word in split_words(prompt)):
        return "held_out_words"
    if {"colour", "object", "motion"} <= named.keys():
        shown = Attributes(colour=named["colour"], object=named["object"], size="medium", motion=named["motion"])
        return "held_out_pairs" if held_out(shown) else "plain"
    return "plain"
