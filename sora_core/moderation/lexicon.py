"""Sets of words with the contexts in which they are harmless, and the search for patterns in a text.

One walk over the text finds every phrase of every set; patterns are then joins of sorted places in a window of fixed
width, so the whole search is linear in the text, and a budget ends it where a text was made to be slow.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ..errors import SoraError
from .normalise import Reading, read
from .pattern import Pattern, Phrase, SetRef, number_range
from .segments import Item, resolve
from .words import Vocabulary

BUDGET = 60_000
"""Joins that one text may cost: far above any that was written to be read (our decision)."""

Span = tuple[int, int]


class TooCostly(Exception):  # noqa: N818  never shown: it becomes a reason code
    """A text needs more joins than the budget; it is refused."""


@dataclass(frozen=True, kw_only=True)
class WordSet:
    """Phrases and other sets under one name, and the contexts in which an entry means something else."""

    name: str
    words: tuple[Pattern, ...]
    but: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern that was met: the places of its pieces, counted in items."""

    parts: tuple[Span, ...]


class Leg(NamedTuple):
    """A step as it is searched for. key: the number of a phrase, or the name of a set."""

    key: int | str
    gap: int
    either: bool


class Compiled(NamedTuple):
    """A pattern as it is searched for. needs: all keys; where one stands nowhere, the pattern is met nowhere."""

    chains: tuple[tuple[Leg, ...], ...]
    needs: frozenset[int | str]


@dataclass(slots=True)
class _Node:
    """A step of the walk: by word, by number, and what ends here."""

    words: dict[str, _Node] = field(default_factory=dict)
    ranges: list[tuple[int, int, _Node]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


class Lexicon:
    """The sets of a policy and the phrases of its rules, ready to search.

    Args:
        sets: by name.
        patterns: of the rules; only those, and those of the sets, can be searched for.
        vocabulary: how words are met.

    Raises:
        SoraError: a pattern names a set that is not there, or sets name each other in a circle.
    """

    def __init__(
        self,
        sets: Mapping[str, WordSet],
        patterns: Iterable[Pattern],
        vocabulary: Callable[[Iterable[str], Iterable[str]], Vocabulary] = Vocabulary,
    ) -> None:
        """Build the walk."""
        self.sets = dict(sets)
        self._root = _Node()
        self._phrases: dict[Phrase, int] = {}
        self._compounds: set[str] = set()
        words: set[str] = set()
        # kept, for compiled patterns are found by their identity: hashing them would cost more than the search
        self._kept = [*patterns, *(pattern for one in sets.values() for pattern in (*one.words, *one.but))]
        for pattern in self._kept:
            for piece in pattern.pieces():
                if isinstance(piece, Phrase):
                    if piece not in self._phrases:
                        self._add(piece, words)
                elif piece.name != "self" and piece.name not in self.sets:
                    raise SoraError(
                        f"the pattern {pattern.source!r} names the set {{{piece.name}}}, which is not there; "
                        "define it under [sets]"
                    )
        self.vocabulary = vocabulary(words, self._compounds)
        self._compiled = {id(pattern): self._compile(pattern) for pattern in self._kept}
        self.anchored: dict[int | str, list[tuple[int, Compiled]]] = {}
        for number, compiled in self._compiled.items():
            # a phrase is rarer than a set
            anchor = min(compiled.needs, key=lambda key: (isinstance(key, str), str(key)), default=None)
            if anchor is not None:
                self.anchored.setdefault(anchor, []).append((number, compiled))
        order: dict[str, None] = {}
        for name in self.sets:
            self._visit(name, (), order)
        self.owners: dict[int, list[str]] = {}
        self.joined: list[tuple[str, list[Compiled]]] = []
        for name in order:
            self._own(name)

    def compiled(self, pattern: Pattern) -> Compiled:
        """Return a pattern as it is searched for."""
        return self._compiled[id(pattern)]

    def scan(self, text: str | Reading) -> Scan:
        """Read a text, unless that was done, and find every phrase in it."""
        reading = read(text) if isinstance(text, str) else text
        return Scan(self, resolve(reading.words, self.vocabulary))

    def hits(self, items: list[Item]) -> dict[int, list[Span]]:
        """Walk over a text; for each phrase the places where it stands, in order."""
        found: dict[int, list[Span]] = {}
        for start, item in enumerate(items):
            if not item.forms and item.value is None:
                continue
            nodes, place = [self._root], start
            while nodes and place < len(items):
                nodes = _following(nodes, items[place])
                place += 1
                for node in nodes:
                    for end in node.ends:
                        places = found.setdefault(end, [])
                        if not places or places[-1] != (start, place):
                            places.append((start, place))
        return found

    def _add(self, phrase: Phrase, words: set[str]) -> None:
        number = self._phrases[phrase] = len(self._phrases)
        node = self._root
        for word in phrase.words:
            limits = number_range(word)
            if limits:
                fresh = _Node()
                same = [one for first, last, one in node.ranges if (first, last) == limits]
                if not same:
                    node.ranges.append((*limits, fresh))
                node = same[0] if same else fresh
            else:
                words.add(word)
                node = node.words.setdefault(word, _Node())
        node.ends.append(number)
        # "childporn" and "#selfharm" are phrases without their spaces
        plain = [word.lstrip("=") for word in phrase.words]
        if len(plain) > 1 and all(word.isalpha() for word in plain) and len("".join(plain)) >= 6:
            self._compounds.add("".join(plain))
            self._root.words.setdefault("".join(plain), _Node()).ends.append(number)

    def _compile(self, pattern: Pattern) -> Compiled:
        chains = tuple(
            tuple(
                Leg(
                    self._phrases[step.piece] if isinstance(step.piece, Phrase) else step.piece.name,
                    step.gap,
                    step.either,
                )
                for step in chain
            )
            for chain in pattern.chains
        )
        return Compiled(chains, frozenset(leg.key for chain in chains for leg in chain if leg.key != "self"))

    def _own(self, name: str) -> None:
        """Note which phrases are entries of a set by themselves; the other entries are joins."""
        joined = []
        for pattern in self.sets[name].words:
            compiled = self.compiled(pattern)
            key = compiled.chains[0][0].key
            if len(compiled.chains[0]) == 1 and isinstance(key, int):
                self.owners.setdefault(key, []).append(name)
            else:
                joined.append(compiled)
        if joined:
            self.joined.append((name, joined))

    def _visit(self, name: str, above: tuple[str, ...], order: dict[str, None]) -> None:
        """Put sets in an order in which each comes after those that it names."""
        if name in order:
            return
        if name in above:
            raise SoraError(f"the sets {' > '.join((*above, name))} name each other in a circle; break it")
        if len(above) > 12:
            raise SoraError(f"the sets {' > '.join(above)} are nested more than 12 deep; flatten them")
        for pattern in (*self.sets[name].words, *self.sets[name].but):
            for piece in pattern.pieces():
                if isinstance(piece, SetRef) and piece.name != "self":
                    self._visit(piece.name, (*above, name), order)
        order[name] = None


def _following(nodes: list[_Node], item: Item) -> list[_Node]:
    found = []
    for node in nodes:
        for form in item.forms:
            following = node.words.get(form)
            if following is not None:
                found.append(following)
        if item.value is not None and node.ranges:
            found += [following for first, last, following in node.ranges if first <= item.value <= last]
    return found


class Scan:
    """One text, and what was found in it. Made by `Lexicon.scan`."""

    def __init__(self, lexicon: Lexicon, items: list[Item]) -> None:
        """Walk over it once."""
        self._lexicon, self.items = lexicon, items
        self.budget = BUDGET
        self._hits = lexicon.hits(items)
        self._sets: dict[str, list[Span]] = {}
        self._raw: dict[str, list[Span]] = {}
        for phrase, spans in self._hits.items():
            for name in lexicon.owners.get(phrase, ()):
                self._raw.setdefault(name, []).extend(spans)
        self._present: set[int | str] = {*self._hits, *self._raw}
        for spans in self._raw.values():
            spans.sort()
        for name, joined in lexicon.joined:
            more = [
                (min(part[0] for part in one.parts), max(part[1] for part in one.parts))
                for compiled in joined
                if compiled.needs <= self._present
                for one in self.chain(compiled.chains[0])
            ]
            if more:
                self._raw[name] = sorted({*self._raw.get(name, ()), *more})
                self._present.add(name)

    def met(self, patterns: Iterable[Pattern]) -> list[Compiled]:
        """Return the patterns of which no piece is missing; the others cannot be met."""
        possible = self._possible
        return [possible[id(pattern)] for pattern in patterns if id(pattern) in possible]

    @cached_property
    def _possible(self) -> dict[int, Compiled]:
        """The patterns that are not ruled out, by their identity."""
        present = self._present
        return {
            number: compiled
            for key in present
            for number, compiled in self._lexicon.anchored.get(key, ())
            if compiled.needs <= present
        }

    def has(self, pattern: Compiled) -> bool:
        """Say whether no piece of a pattern is missing."""
        return pattern.needs <= self._present

    def of_set(self, name: str) -> list[Span]:
        """Return where entries of a set stand, harmless contexts left out."""
        found = self._sets.get(name)
        if found is None:
            found = self._raw.get(name, [])
            if found:
                spared = self.parts(self._lexicon.sets[name].but, own=name)
                found = [span for span in found if not overlaps(span, spared)] if spared else found
            self._sets[name] = found
        return found

    def parts(self, patterns: Iterable[Pattern], *, own: str = "") -> set[Span]:
        """Return all places of all pieces of every pattern without ``&`` that is met."""
        return {
            part
            for compiled in self.met(patterns)
            for found in self.chain(compiled.chains[0], own=own)
            for part in found.parts
        }

    def chain(self, legs: tuple[Leg, ...], *, own: str = "") -> Iterator[Found]:
        """Yield where a chain of pieces is met.

        Raises:
            TooCostly: the text needs more joins than the budget.
        """
        columns = []
        for leg in legs:
            if isinstance(leg.key, int):
                column = self._hits.get(leg.key, [])
            else:
                column = self._raw.get(own, []) if leg.key == "self" else self.of_set(leg.key)
            if not column:
                return
            columns.append(column)
        for first in columns[0]:
            yield from self._grow(legs, columns, 1, Found((first,)), first)

    def spelled(self, found: Found) -> str:
        """Return what was met in the policy's own words, never the text's."""
        shown = []
        for start, stop in sorted(set(found.parts)):
            words = [item.forms[0].strip("=*") if item.forms else str(item.value) for item in self.items[start:stop]]
            shown.append(" ".join(words))
        return " ... ".join(dict.fromkeys(shown))

    def places(self, found: Found) -> tuple[Span, ...]:
        """Return the characters of the original that were met."""
        return tuple((self.items[start].start, self.items[stop - 1].stop) for start, stop in sorted(set(found.parts)))

    def sentence(self, span: Span) -> int:
        """Return the sentence in which a place begins."""
        return self.items[span[0]].sentence

    def _grow(
        self, legs: tuple[Leg, ...], columns: list[list[Span]], place: int, found: Found, reach: Span
    ) -> Iterator[Found]:
        if place == len(legs):
            yield found
            return
        for span in _near(columns[place], reach, legs[place]):
            self.budget -= 1
            if self.budget < 0:
                raise TooCostly
            wider = (min(reach[0], span[0]), max(reach[1], span[1]))
            yield from self._grow(legs, columns, place + 1, Found((*found.parts, span)), wider)


def overlaps(span: Span, others: Iterable[Span]) -> bool:
    """Say whether a place shares an item with any other."""
    return any(span[0] < stop and start < span[1] for start, stop in others)


def _near(column: list[Span], reach: Span, step: Leg) -> Iterator[Span]:
    """Yield the places of a column within the step's distance of what was met so far."""
    for index in range(bisect_left(column, (reach[1], 0)), len(column)):
        if column[index][0] > reach[1] + step.gap:
            break
        yield column[index]
    if step.either:
        for index in range(bisect_left(column, (reach[0], 0)) - 1, -1, -1):
            span = column[index]
            if span[0] < reach[0] - step.gap - 16:
                break
            if span[1] <= reach[0] <= span[1] + step.gap:
                yield span
