"""The pattern language of policies: words, sets and distances, and nothing that can take more than linear time.

kill            a word, with its usual endings ("kills", "killing")
=cutting        a word exactly as written
porn*           a word that begins so (four letters or more)
#1-17           a whole number in that range, in digits or words
{weapon}        an entry of a set
kill the lights words directly after each other
A >3 B          B after A with at most 3 words between
A ~3 B          the same in either order
A & B           both in the rule's scope
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SoraError
from .normalise import fold_word

FARTHEST = 12
"""Words between, at most; keeps every search linear."""

LONGEST = 300
"""Characters of one pattern."""

MOST_STEPS = 6
"""Pieces of one pattern."""

SHORTEST_START = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrase:
    """Words directly after each other: ``word``, ``=word``, ``word*`` or ``#first-last``."""

    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetRef:
    """Any entry of the set of that name; "self" inside a set is its own entries."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A piece, and where it stands from those before: at most ``gap`` words away, after them, or on either side."""

    piece: Phrase | SetRef
    gap: int = 0
    either: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """Chains of steps that must all be met in the scope. source: as written."""

    source: str
    chains: tuple[tuple[Step, ...], ...]

    def pieces(self) -> list[Phrase | SetRef]:
        """Return every piece."""
        return [step.piece for chain in self.chains for step in chain]


def parse(source: str) -> Pattern:
    """Read a pattern.

    Raises:
        SoraError: it is not in the language; the sentence names the part.
    """
    if not isinstance(source, str) or not source.strip():
        raise SoraError("a pattern is empty; write at least one word")
    if len(source) > LONGEST:
        raise SoraError(f"the pattern {source[:40]!r}... has {len(source)} characters; at most {LONGEST} are allowed")
    chains: list[tuple[Step, ...]] = []
    steps: list[Step] = []
    words: list[str] = []
    gap, either, waiting = 0, False, True

    def close() -> None:
        nonlocal gap, either
        if words:
            steps.append(Step(piece=Phrase(words=tuple(words)), gap=gap, either=either))
            words.clear()
            gap, either = 0, False

    for part in source.split():
        if part == "&" or part[0] in "~>":
            if waiting:
                raise SoraError(f"the pattern {source!r} has {part!r} where a word must stand; put words on both sides")
            close()
            waiting = True
            if part == "&":
                chains.append(tuple(steps))
                steps = []
            else:
                gap, either = _distance(part, source), part[0] == "~"
        elif part[0] == "{":
            close()
            steps.append(Step(piece=SetRef(name=_set_name(part, source)), gap=gap, either=either))
            gap, either, waiting = 0, False, False
        else:
            words.extend(_words(part, source))
            waiting = False
    close()
    if waiting:
        raise SoraError(f"the pattern {source!r} ends without a word; put words on both sides of its signs")
    chains.append(tuple(steps))
    if sum(map(len, chains)) > MOST_STEPS:
        raise SoraError(f"the pattern {source!r} has more than {MOST_STEPS} pieces; write two patterns")
    return Pattern(source=source, chains=tuple(chains))


def number_range(word: str) -> tuple[int, int] | None:
    """Return the range of ``#first-last``, or None."""
    if not word.startswith("#"):
        return None
    first, _, last = word[1:].partition("-")
    last = last or first
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit() and len(first + last) <= 6):
        raise SoraError(f"{word!r:.40} is no range of numbers; write for example #1-17")
    return int(first), int(last)


def _distance(part: str, source: str) -> int:
    number = part[1:]
    if not (number.isascii() and number.isdigit() and len(number) <= 2 and int(number) <= FARTHEST):
        raise SoraError(
            f"the pattern {source!r} has the distance {part!r}; it must be {part[0]}0 to {part[0]}{FARTHEST}"
        )
    return int(number)


def _set_name(part: str, source: str) -> str:
    name = part[1:-1]
    if not part.endswith("}") or not name.replace("_", "a").isalnum():
        raise SoraError(
            f"the pattern {source!r} has {part!r}, which is no set; write {{name}} in letters, digits and _"
        )
    return name


def _words(part: str, source: str) -> list[str]:
    if part.startswith("#"):
        number_range(part)
        return [part]
    bare = part.removeprefix("=").removesuffix("*")
    # what the normaliser parts is parted here too, so that "self-harm" meets "self harm"
    pieces = [fold_word(piece) for piece in bare.replace("-", " ").replace("/", " ").split()]
    if not pieces or any(not piece.isalnum() for piece in pieces):
        raise SoraError(f"the pattern {source!r} has {part!r}, which is no word; use letters and digits")
    if part.endswith("*"):
        if len(pieces) > 1 or len(pieces[0]) < SHORTEST_START:
            raise SoraError(
                f"the pattern {source!r} has {part!r}; at least {SHORTEST_START} letters must stand before *"
            )
        return [f"{pieces[0]}*"]
    return [f"={piece}" for piece in pieces] if part.startswith("=") else pieces
