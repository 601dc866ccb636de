"""The prompts of an evaluation, drawn by a seed; and the way back, from a prompt to what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from ..world.captions import caption
from ..world.sample import sample_attributes
from ..world.spec import DIRECTED, Attributes, Level, held_out
from ..world.vocabulary import ATTRIBUTE_WORDS, HELD_OUT_WORDS, IMPACT_WORDS, SILENCE_WORDS, split_words

GROUPS = ("plain", "held_out_pairs", "held_out_words", "image", "reference")
"""Plain, pairs and words make up the asked number of clips; image and reference come on top."""


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
        reference leave the actor's looks to the picture.
    """
    extra = max(1, clips // 8)
    pairs = words = clips // 4
    counts = dict(zip(GROUPS, (clips - pairs - words, pairs, words, extra, extra), strict=True))
    generator = torch.Generator().manual_seed(seed)
    cases: list[Case] = []
    for group, count in counts.items():
        for _ in range(count):
            shown = sample_attributes(level, generator, "held_out_pairs" if group == "held_out_pairs" else "train")
            length = ("medium", "dense")[int(torch.randint(2, (), generator=generator))]
            vocabulary = "held_out" if group == "held_out_words" else "train"
            prompt = caption(shown, length, generator, vocabulary, reference=group == "reference")
            cases.append(Case(group=group, attributes=shown, prompt=prompt, seed=seed + len(cases)))
    return cases


def expected(attributes: Attributes, level: Level) -> dict[str, str]:
    """Return the attributes that are judged at a level; the direction only where the motion has one."""
    return {name: word for name in level.attributes if (word := getattr(attributes, name))}


def read_prompt(prompt: str) -> dict[str, str]:
    """Return the attributes that a prompt names, in the world's words.

    Args:
        prompt: any text; the longest phrase of the vocabulary that fits at each word is taken, trained or held out,
            and the first of each attribute counts.
    """
    words = split_words(prompt)
    phrases, longest = _phrases()
    found: dict[str, str] = {}
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            named = phrases.get(tuple(words[place : place + length]))
            if named is not None:
                found.setdefault(*named)
                place += length
                break
        else:
            place += 1
    found.pop("sound", None)
    if found.get("motion") not in DIRECTED:
        found.pop("direction", None)
    return found


def group_of(prompt: str, named: dict[str, str]) -> str:
    """Return the group that a prompt belongs to by its words."""
    if any(word in HELD_OUT_WORDS for word in split_words(prompt)):
        return "held_out_words"
    if {"colour", "object", "motion"} <= named.keys():
        shown = Attributes(colour=named["colour"], object=named["object"], size="medium", motion=named["motion"])
        return "held_out_pairs" if held_out(shown) else "plain"
    return "plain"


@lru_cache(maxsize=1)
def _phrases() -> tuple[dict[tuple[str, ...], tuple[str, str]], int]:
    """Map the words of each phrase to attribute and value, and tell how many words the longest has."""
    table: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(texts: Sequence[str], attribute: str, value: str) -> None:
        for text in texts:
            table.setdefault(tuple(split_words(text)), (attribute, value))

    # A remark on the sound ("a bright metallic ring") names no object; as a phrase of its own it is read over.
    for material, remarks in (*IMPACT_WORDS.items(), ("", SILENCE_WORDS)):
        add(remarks, "sound", material)
    for attribute, values in ATTRIBUTE_WORDS.items():
        for value, words in values.items():
            for text in (value, *words.train, *words.held_out):
                forms = text.split("/")
                add(forms[1:] if attribute == "scene" and len(forms) > 1 else forms, attribute, value)
    return table, max(len(words) for words in table)
