"""People on the user's list, found in a text also where a letter of the name is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from .lexicon import Lexicon, Scan, Span, WordSet
from .normalise import Reading, read
from .pattern import Pattern, Phrase, Step
from .words import Vocabulary

SHORTEST_NEAR = 5
"""Letters from which a part of a name is met with one letter wrong; shorter ones are met as they are."""

SHORTEST_ALONE = 5
"""Letters from which a family name counts alone, where it is written with a capital inside a sentence."""

_TITLES = frozenset({"dr", "mr", "mrs", "ms", "sir", "jr", "sr", "ii", "iii", "iv", "prof"})


class _NearWords(Vocabulary):
    """A vocabulary that also takes one letter too many, too few, wrong, or two swapped."""

    def __init__(self, words: Iterable[str], compounds: Iterable[str] = ()) -> None:
        """Make the table of words with one letter left out."""
        super().__init__(words, compounds)
        self._short: dict[str, set[str]] = {}
        for word in self.words:
            if len(word) >= SHORTEST_NEAR:
                for key in (word, *_shorter(word)):
                    self._short.setdefault(key, set()).add(word)

    def _find(self, word: str) -> list[str]:
        found = super()._find(word)
        if found or len(word) < SHORTEST_NEAR - 1:
            return found
        near = {one for key in (word, *_shorter(word)) for one in self._short.get(key, ())}
        return sorted(one for one in near if _one_apart(word, one))


class NameList:
    """Names, ready to be found.

    Args:
        names: as they are written, "First Last"; a single word is met as it is.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Build the search."""
        self._patterns: list[tuple[Pattern, str]] = []
        self._alone: dict[str, str] = {}
        for name in names:
            words = [word.text for word in read(name).words if word.text not in _TITLES and word.text.isalnum()]
            words = [word for word in words if word]
            if not words:
                continue
            pieces = [Phrase(words=(word,)) for word in words]
            if len(words) == 1:
                chains = [(Step(piece=pieces[0]),)]
            else:
                # one word may stand between ("Ada B. Example"), and the family name may come first
                chains = [(Step(piece=pieces[0]), Step(piece=pieces[-1], gap=max(1, len(words) - 2), either=True))]
                chains.append((Step(piece=Phrase(words=tuple(words))),))
                if len(words[-1]) >= SHORTEST_ALONE:
                    self._alone[words[-1]] = name
            self._patterns += [(Pattern(source=name, chains=(chain,)), name) for chain in chains]
        patterns = [pattern for pattern, _ in self._patterns]
        self._lexicon = Lexicon(dict[str, WordSet](), patterns, vocabulary=_NearWords)
        self._compiled = [(name, self._lexicon.compiled(pattern)) for pattern, name in self._patterns]
        self._exact = Vocabulary(self._alone)

    def find(self, text: str, reading: Reading | None = None) -> list[tuple[str, Span]]:
        """Return the listed names in a text, each with the characters of one place; ``reading`` is the text read."""
        if not self._patterns:
            return []
        scan = self._lexicon.scan(reading or text)
        found: dict[str, Span] = {}
        for name, compiled in self._compiled:
            if name not in found and scan.has(compiled):
                for match in scan.chain(compiled.chains[0]):
                    found[name] = scan.places(match)[0]
                    break
        for name, span in self._family_names(text, scan):
            found.setdefault(name, span)
        return list(found.items())

    def _family_names(self, text: str, scan: Scan) -> Iterable[tuple[str, Span]]:
        shouted = text.isupper()
        for before, item in zip([None, *scan.items], scan.items, strict=False):
            begins = before is None or before.sentence != item.sentence
            if not item.forms or begins or shouted or not text[item.start].isupper():
                continue
            for form in self._exact.forms(item.word):
                yield self._alone[form], (item.start, item.stop)


def _shorter(word: str) -> Iterable[str]:
    return (word[:place] + word[place + 1 :] for place in range(len(word)))


def _one_apart(left: str, right: str) -> bool:
    """Say whether one insertion, deletion, change or swap of neighbours turns one word into the other."""
    if abs(len(left) - len(right)) > 1:
        return False
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    a, b = left[same:], right[same:]
    return a[1:] == b[1:] or a == b[1:] or a[1:] == b or (a[:2] == b[:2][::-1] and a[2:] == b[2:])
