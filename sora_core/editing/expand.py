"""A terse prompt told in full, in the words that the small model was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import SoraError
from ..request import MAX_SEED
from ..world.reading import Named, read_phrases, read_prompt
from ..world.spec import COLOURS, DIRECTED, DIRECTIONS, LEVELS, SIZES, Attributes
from ..world.vocabulary import ATTRIBUTE_WORDS, split_words

if TYPE_CHECKING:
    import torch

EXPANSIONS = {"short": "short", "medium": "medium", "long": "dense"}
"""The user's name of a length, and the captions' name of it."""

LEVEL = LEVELS[1]
"""What is left open is filled in from here: the part of the world that every model of ours knows."""

TRIES = 64
"""Captions drawn until one says all that the prompt named; a short one leaves most things open."""

_GLUE = frozenset(
    split_words(
        "a an the another one this that these those it its is are be being to of in on at with from by and or then "
        "while as there here we i me you see show shows let make makes watch please video clip animation scene short"
    )
)
"""Words that say nothing of what is shown."""

_TOKEN = re.compile(r"[A-Za-z]+|[^\W_A-Za-z]+")


def expand_prompt(text: str, length: str = "medium", seed: int = 0) -> str:
    """Tell what a prompt names in the world's own words, and fill in what it leaves open.

    Args:
        text: the prompt.
        length: ``short`` names the actor and its motion, ``medium`` adds size and scene, ``long`` adds sound in a
            sentence of its own. Whatever the prompt names is said at every length; a short text becomes a medium one
            where it must.
        seed: of what is filled in and of the phrasing; nothing else decides them, and an attribute that is left open
            in two prompts is filled in alike.

    Returns:
        The user's words that the world has no attribute for, as they were written, a comma, and a caption.

    Raises:
        SoraError: an empty prompt, an unknown length or a seed out of range.
    """
    if not text.strip():
        raise SoraError('the prompt is empty; say what to show, for example "a red ball"')
    if length not in EXPANSIONS:
        raise SoraError(f"length {length!r} is not known; choose one of {', '.join(EXPANSIONS)}")
    if not 0 <= seed <= MAX_SEED:
        raise SoraError(f"seed {seed} must be between 0 and {MAX_SEED}")
    import torch

    from ..world.captions import REFERENCES

    generator = torch.Generator().manual_seed(seed)
    phrases = _phrases(text)
    pictured = _find(text, REFERENCES) if all(phrase.attribute != "object" for phrase in phrases) else []
    shown, used, second = _fill_in(phrases, generator)
    wanted = {(phrase.attribute, phrase.value) for phrase in used}
    told, said = _tell(shown, wanted, EXPANSIONS[length], generator, reference=bool(pictured))
    # what the caption could not say stays as it was written; the second actor is said with its motion
    covered = [phrase for phrase in used if (phrase.attribute, phrase.value) in said]
    covered += second if ("motion", "collide") in said else []
    kept = _rest(text, [*covered, *pictured])
    return f"{kept}, {told}" if kept else told


def _phrases(text: str) -> list[Named]:
    """Return what a prompt names; of an object in the plural, one."""
    found = read_phrases(text)
    taken = {place for phrase in found for place in range(phrase.start, phrase.end)}
    objects = {
        text: value
        for value, words in ATTRIBUTE_WORDS["object"].items()
        for text in (value, *words.train, *words.held_out)
    }
    for word in _TOKEN.finditer(text):
        if word.start() not in taken and word[0].endswith("s") and (value := objects.get(word[0][:-1].lower())):
            found.append(Named("object", value, word.start(), word.end()))
    return sorted(found, key=lambda phrase: phrase.start)


def _fill_in(phrases: Sequence[Named], generator: torch.Generator) -> tuple[Attributes, list[Named], list[Named]]:
    """Return one clip that shows what the phrases name, drawing the rest, and the phrases that it took, for the actor
    and its surroundings and for a second actor.
    """
    from ..world.sample import choose

    first: dict[str, Named] = {}
    for phrase in phrases:
        first.setdefault(phrase.attribute, phrase)
    named = {name: phrase.value for name, phrase in first.items()}
    motions = tuple(motion for motion in LEVEL.motions if motion in DIRECTED or "direction" not in named)
    # everything is drawn, so that naming one attribute does not change the others
    drawn = {
        "colour": choose(tuple(COLOURS), generator),
        "object": choose(LEVEL.objects, generator),
        "size": choose(tuple(SIZES), generator),
        "scene": choose(LEVEL.scenes, generator),
        "motion": choose(motions, generator),
        "direction": choose(DIRECTIONS, generator),
    }
    other_colour = choose(tuple(COLOURS), generator)
    values = drawn | {name: value for name, value in named.items() if name in Attributes.__dataclass_fields__}
    used = [phrase for name, phrase in first.items() if name in values]
    second: list[Named] = []
    other: tuple[str, ...] = ()
    if values["motion"] == "collide":
        looks = {name: _second(phrases, first, name) for name in ("colour", "object")}
        if obj := looks["object"]:
            other = (looks["colour"].value if looks["colour"] else other_colour, obj.value)
            second = [phrase for phrase in looks.values() if phrase]
    if values["motion"] not in DIRECTED:
        values["direction"] = ""
        used = [phrase for phrase in used if phrase.attribute != "direction"]
    return Attributes(**values, other=other), used, second


def _second(phrases: Sequence[Named], first: Mapping[str, Named], attribute: str) -> Named | None:
    """Return the second phrase of an attribute."""
    return next((phrase for phrase in phrases if phrase.attribute == attribute and phrase != first[attribute]), None)


def _tell(
    shown: Attributes, wanted: set[tuple[str, str]], length: str, generator: torch.Generator, *, reference: bool
) -> tuple[str, set[tuple[str, str]]]:
    """Return the caption that says most of what is wanted, and what of it that is."""
    from ..world.captions import caption

    best, said = "", set[tuple[str, str]]()
    for kind in dict.fromkeys((length, "medium" if length == "short" else length)):
        for _ in range(TRIES):
            told = caption(shown, kind, generator, reference=reference)
            found = wanted & read_prompt(told).items()
            if not best or len(found) > len(said):
                best, said = told, found
            if said == wanted:
                return best, said
    return best, said


def _find(text: str, phrases: Sequence[str]) -> list[Named]:
    """Return the first of some phrases that a text holds, or nothing."""
    tokens = list(_TOKEN.finditer(text))
    words = [token[0].lower() for token in tokens]
    for phrase in sorted(phrases, key=len, reverse=True):
        sought = split_words(phrase)
        for place in range(len(words) - len(sought) + 1):
            if words[place : place + len(sought)] == sought:
                return [Named("object", "", tokens[place].start(), tokens[place + len(sought) - 1].end())]
    return []


def _rest(text: str, covered: Sequence[Named]) -> str:
    """Return what a text says beside the phrases that are covered, without words that only hold those together."""
    taken = {place for phrase in covered for place in range(phrase.start, phrase.end)}
    runs: list[list[re.Match[str]]] = [[]]
    for token in _TOKEN.finditer(text):
        if token.start() in taken:
            runs.append([])
        elif runs[-1] or token[0].lower() not in _GLUE:
            runs[-1].append(token)
    kept = []
    for run in runs:
        while run and run[-1][0].lower() in _GLUE:
            run.pop()
        if run:
            kept.append(text[run[0].start() : run[-1].end()])
    return ", ".join(kept)
