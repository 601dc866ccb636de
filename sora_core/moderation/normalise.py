"""Text as a reader takes it, whatever it is written with, and where each word of it stood.

Order: compatibility forms are taken apart (NFKD), combining marks and what shows nothing are dropped, case is folded,
look-alike letters become the plain ones, then the text is cut into words. Digits and signs inside words stay; what they
may stand for is found against a vocabulary in `words`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from .confusables import BLANKS, LETTERS, NOTHING, PICTURES, enclosed

_WORD = re.compile(
    r"[$@(]?[^\W_]"  # a sign may stand for the first letter
    r"(?:[^\W_]|['\u2019](?=[^\W\d_])|[@$!|+*]{1,3}(?=[^\W_])|\$)*"
)
_ODD = re.compile(r"[^\x00-\x7f]")
_ENDS = re.compile(r"[.!?;]['\")\]]*(?:\s|$)|\n")
_CLITIC = frozenset({"s", "t", "ll", "re", "ve", "d", "m"})
_DROPPED = frozenset({"Mn", "Me", "Cf", "Co", "Cs"})
_QUOTES = str.maketrans("", "", "'\u2019")


class Word(NamedTuple):
    """A word as it reads.

    text: folded; may hold digits and signs. start, stop: its characters in the original. sentence: which one it is in.
    joint: what stands between it and the word before, "" where more than four characters do.
    """

    text: str
    start: int
    stop: int
    sentence: int
    joint: str


class Handle(NamedTuple):
    """An ``@name``. text: without the sign, in small letters, else as written. start, stop: as in `Word`."""

    text: str
    start: int
    stop: int


class Reading(NamedTuple):
    """A text in words, its handles apart."""

    words: list[Word]
    handles: list[Handle]


def read(text: str) -> Reading:
    """Cut a text into words as they read. Time grows with the length of the text alone."""
    folded, origin = _fold(text)
    words: list[Word] = []
    handles: list[Handle] = []
    sentence = before = 0
    ends = iter(_ENDS.finditer(folded))
    end = next(ends, None)
    for found in _WORD.finditer(folded):
        start, stop = found.span()
        while end is not None and end.start() < start:
            sentence, end = sentence + 1, next(ends, None)
        gap = folded[before:start]
        word = found[0]
        if word[0] == "@":
            stop = _handle_stop(folded, start)
            name = folded[start + 1 : stop]
            if _names_someone(name) and (start == 0 or not folded[start - 1].isalnum()):
                first, last = origin[start], origin[stop - 1] + 1
                handles.append(Handle(text[first:last].lower().lstrip("@\uff20"), first, last))
            word, stop = found[0], found.end()
        word, before = _without_clitic(word), stop
        if word[0] == "(":
            word, start = word[1:], start + 1
        words.append(Word(word, origin[start], origin[stop - 1] + 1, sentence, gap if len(gap) <= 4 else ""))
    return Reading(words, handles)


def fold_word(text: str) -> str:
    """Return one word as `read` folds it."""
    return _without_clitic(_fold(text)[0])


def _fold(text: str) -> tuple[str, range | list[int]]:
    """Return the text folded, and for each of its characters the place in the original."""
    if text.isascii():
        return text.lower(), range(len(text))
    out: list[str] = []
    origin: list[int] = []
    place = 0
    for odd in _ODD.finditer(text):
        start = odd.start()
        if start > place:
            out.append(text[place:start].lower())
            origin.extend(range(place, start))
        plain = _fold_character(odd[0])
        if plain:
            out.append(plain)
            origin.extend([start] * len(plain))
        place = start + 1
    out.append(text[place:].lower())
    origin.extend(range(place, len(text)))
    return "".join(out), origin


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    """Return what one character reads as; often nothing, sometimes several letters."""
    if character in NOTHING:
        return ""
    if character in BLANKS:
        return " "
    if character in PICTURES:
        return f" {PICTURES[character]} "
    letter = enclosed(ord(character))
    if letter is not None:
        return letter
    out = []
    for part in unicodedata.normalize("NFKD", character):
        kind = unicodedata.category(part)
        if kind in _DROPPED:
            continue
        if kind == "Cc" and part not in "\t\n\r":
            continue
        folded = LETTERS.get(part) or part.casefold()
        out.append("".join(_LATE.get(one) or LETTERS.get(one, one) for one in folded))
    return "".join(out)


_LATE = {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": " - "}


def _handle_stop(folded: str, start: int) -> int:
    stop = start + 1
    while stop < len(folded) and (folded[stop].isalnum() or folded[stop] in "_.-"):
        stop += 1
    while folded[stop - 1] in ".-":
        stop -= 1
    return stop


def _names_someone(name: str) -> bool:
    """Say whether what follows an ``@`` can be somebody's: "@5" and "@7pm" are prices and times."""
    rest = name.lstrip("0123456789.")
    return bool(rest) and not (rest != name and rest in {"am", "pm", "h", "hz", "khz", "fps", "k", "p", "mm", "x"})


def _without_clitic(word: str) -> str:
    """Drop "'s", "'ll" and the like, so that "he'll" is not read as "hell"; other apostrophes are only signs."""
    if "'" not in word and "\u2019" not in word:
        return word
    head, _, tail = word.replace("\u2019", "'").rpartition("'")
    if tail in _CLITIC:
        if tail == "t" and head.endswith("n") and len(head) > 2:
            return head.translate(_QUOTES) + "t"
        return head.translate(_QUOTES)
    return word.translate(_QUOTES)
