"""The way back from a caption: which attributes of the world a text names, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from .spec import DIRECTED
from .vocabulary import ATTRIBUTE_WORDS, IMPACT_WORDS, SILENCE_WORDS, split_words

SOUND = "sound"
"""Attribute of a remark on what is heard; its value is a material, or empty for silence."""

_WORD = re.compile(r"[A-Za-z]+")


class Named(NamedTuple):
    """A phrase of the vocabulary in a text: what it names, and the characters ``start`` to ``end`` (exclusive)."""

    attribute: str
    value: str
    start: int
    end: int


def read_phrases(text: str) -> list[Named]:
    """Return every phrase that names something, in order.

    The longest phrase of the vocabulary that fits at each word is taken, trained or held out; hyphens separate words.
    """
    found = list(_WORD.finditer(text))
    words = [word[0].lower() for word in found]
    phrases, longest = _phrases()
    named: list[Named] = []
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            match = phrases.get(tuple(words[place : place + length]))
            if match is not None:
                named.append(Named(*match, found[place].start(), found[place + length - 1].end()))
                place += length
                break
        else:
            place += 1
    return named


def read_prompt(prompt: str) -> dict[str, str]:
    """Return the attributes that a prompt names, in the world's words.

    Args:
        prompt: any text, read by `read_phrases`; the first phrase of each attribute counts. Remarks on the sound are
            read over, and a direction counts only beside a motion that has one.
    """
    found: dict[str, str] = {}
    for phrase in read_phrases(prompt):
        found.setdefault(phrase.attribute, phrase.value)
    found.pop(SOUND, None)
    if found.get("motion") not in DIRECTED:
        found.pop("direction", None)
    return found


@lru_cache(maxsize=1)
def _phrases() -> tuple[dict[tuple[str, ...], tuple[str, str]], int]:
    """Map the words of each phrase to attribute and value, and tell how many words the longest has."""
    table: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(texts: Sequence[str], attribute: str, value: str) -> None:
        for text in texts:
            table.setdefault(tuple(split_words(text)), (attribute, value))

    # A remark on the sound ("a bright metallic ring") names no object; as a phrase of its own it is read over.
    for material, remarks in (*IMPACT_WORDS.items(), ("", SILENCE_WORDS)):
        add(remarks, SOUND, material)
    for attribute, values in ATTRIBUTE_WORDS.items():
        for value, words in values.items():
            for text in (value, *words.train, *words.held_out):
                forms = text.split("/")
                add(forms[1:] if attribute == "scene" and len(forms) > 1 else forms, attribute, value)
    return table, max(len(words) for words in table)
