"""From the words of a text to items: what is spaced out is joined, what is glued together is parted."""

from __future__ import annotations

from typing import NamedTuple

from .normalise import Word
from .words import Vocabulary, age_of, disguised, signed

LONGEST_RUN = 60
"""Single letters that are joined at a time; a longer run is taken in pieces."""

LONGEST_PIECE = 16
"""Letters of a word that is written apart."""

_WHOLE = (
    "a i o u am an as at be by do go he if in is it me my no of on or so to up us we all and any are bad big but can "
    "car cat cut day dog eat end eye far few for fun get got had has her him his hot how its job kid let lot low man "
    "may men met nap new not now off old one our out own pan pen per put ran red run sad sat saw say sea see set she "
    "sit six sky sun ten the tie too top toy try two use war was way who why win won yes yet you able also away back "
    "ball bank base bath bear best bird blue boat body book both boy cake call came camp city coat cold come cook "
    "cool dark dawn deep door down each east even ever face fall farm fast feel feet film find fire fish five food "
    "foot four free from full game girl give glow gold good gray grey hair half hall hand hard have head hear high "
    "hill home hour into just keep kick king lady lake lamp land last left life like line live long look made make "
    "many more most move much name near neck need next nice nose once only onto open over park part path play pond "
    "pool rain read rest ride ring road rock roof room rose sand seat self ship shop shot show side sing slow small "
    "snow soft some song soon spin star stay step stop such surf swim tail take talk tall team tell than that them "
    "then they this time tiny told town tree turn two under upon very view walk wall want warm wave wear well went "
    "were west what when wide wild wind wing with wood word work yard year your zoom"
)
_SHORT = frozenset(_WHOLE.split())
"""Words that are never half of a broken one."""


class Item(NamedTuple):
    """A word with what it may stand for.

    forms: of the vocabulary. value: the number that it is. start, stop: characters of the original. sentence: which.
    """

    forms: tuple[str, ...]
    value: int | None
    start: int
    stop: int
    sentence: int
    word: str


def resolve(words: list[Word], vocabulary: Vocabulary) -> list[Item]:
    """Return the items of a text, in order."""
    items: list[Item] = []
    place, last = 0, len(words) - 1
    known = vocabulary.known
    joints = [word[4] for word in words[1:]] + [""]
    while place <= last:
        word = words[place]
        text, start, stop, sentence, _ = word
        joint = joints[place]
        # nearly every word goes this way: it is whole, and stands apart from the next by a space
        if not joint or (joint == " " and len(text) > 1 and (len(text) > 5 or text in _SHORT)):
            forms, value = known(text)
            if forms or value is not None or text.isalpha():
                items.append(Item(forms, value, start, stop, sentence, text))
                place += 1
                continue
        if len(text) == 1:
            stop = _run_stop(words, place)
            if stop - place >= 3:
                for run in _parted(words[place:stop]):
                    items += _spaced(run, vocabulary)
                place = stop
                continue
        taken, item = _joined(words, place, vocabulary)
        if item is not None:
            items.append(item)
            place += taken
            continue
        items += _single(word, vocabulary)
        place += 1
    return items


def _item(word: Word, vocabulary: Vocabulary) -> Item:
    return Item(*vocabulary.known(word.text), word.start, word.stop, word.sentence, word.text)


def _single(word: Word, vocabulary: Vocabulary) -> list[Item]:
    """Return the items of one word; more than one where a sign or an age parts it."""
    item = _item(word, vocabulary)
    if item.forms or item.value is not None or word.text.isalpha():
        return [item]
    if age := age_of(word.text):
        cut = len(age[0])
        number = Word(age[0], word.start, word.stop, word.sentence, word.joint)
        return [_item(number, vocabulary), _item(Word(word.text[cut:], *number[1:]), vocabulary)]
    if signed(word.text):
        pieces = word.text
        for sign in "@$!|+*(":
            pieces = pieces.replace(sign, " ")
        parts = pieces.split()
        if len(parts) >= 1:
            return [_item(Word(part, word.start, word.stop, word.sentence, ""), vocabulary) for part in parts]
    return [item]


def _run_stop(words: list[Word], place: int) -> int:
    """Return where a run of single letters with the same kind of gap ends."""
    stop = place + 1
    while stop < len(words) and stop - place < LONGEST_RUN and len(words[stop].text) == 1 and words[stop].joint:
        stop += 1
    return stop


def _parted(run: list[Word]) -> list[list[Word]]:
    """Part a run where the gaps are wider than its narrowest: "k i l l  i t" is two words."""
    narrow = min(len(word.joint) for word in run[1:])
    runs = [[run[0]]]
    for word in run[1:]:
        if len(word.joint) > narrow:
            runs.append([])
        runs[-1].append(word)
    return runs


def _spaced(run: list[Word], vocabulary: Vocabulary) -> list[Item]:
    """Return the items of letters that stand apart: words of the vocabulary, and the other letters alone.

    Of all ways to cut the letters, the one with the longest words is taken: the sum of their squared lengths decides.
    """
    letters = "".join(word.text for word in run)
    # a run that repeats itself, as hostile ones do, asks for the same pieces again and again
    spelt: dict[str, tuple[str, ...]] = {}
    best: list[tuple[int, int, tuple[str, ...]]] = [(0, 0, ())] * (len(letters) + 1)
    for start in range(len(letters) - 1, -1, -1):
        best[start] = (best[start + 1][0], start + 1, ())
        for stop in range(start + 3, min(len(letters), start + LONGEST_PIECE) + 1):
            score = (stop - start) ** 2 + best[stop][0]
            if score <= best[start][0]:
                continue
            piece = letters[start:stop]
            if (forms := spelt.get(piece)) is None:
                forms = spelt[piece] = _piece_forms(piece, vocabulary)
            if forms:
                best[start] = (score, stop, forms)
    items: list[Item] = []
    place = 0
    while place < len(letters):
        _, stop, forms = best[place]
        first, last = run[place], run[stop - 1]
        if forms:
            items.append(Item(forms, None, first.start, last.stop, first.sentence, letters[place:stop]))
        else:
            items.append(_item(first, vocabulary))
        place = stop
    return items


def _piece_forms(piece: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return what letters that stood apart may spell; compounds are taken as their words."""
    if piece in vocabulary.compounds:
        return ()
    forms = vocabulary.plain_forms(piece)
    if not forms and not piece.isalpha() and disguised(piece):
        return vocabulary.forms(piece)
    return tuple(forms)


def _joined(words: list[Word], place: int, vocabulary: Vocabulary) -> tuple[int, Item | None]:
    """Join two to five pieces that are one word of the vocabulary: "po.rn", "nu de", "s ex"."""
    word = words[place]
    if place + 1 == len(words) or len(word.text) > 8 or not word.text.isalnum():
        return 0, None
    joint = words[place + 1].joint
    if not joint or (" " in joint and (joint != " " or word.text in _SHORT)):
        return 0, None
    text, last, glued = word.text, word, True
    best: tuple[int, Item | None] = (0, None)
    for count, following in enumerate(words[place + 1 : place + 5], 2):
        if not following.joint or len(following.text) > 8:
            break
        glued = glued and " " not in following.joint and len(following.joint) <= 2
        if not glued and (following.joint != " " or count > 2):
            break
        text, last = text + following.text, following
        if not glued and not _broken(word.text, following.text, vocabulary):
            break
        if len(text) < 3 or text.isdigit():
            continue
        forms = vocabulary.plain_forms(text) or (
            vocabulary.forms(text) if disguised(text) and not text.isalpha() else ()
        )
        if forms and (glued or len(text) >= 3):
            best = (count, Item(tuple(forms), None, word.start, last.stop, word.sentence, text))
    return best


def _broken(left: str, right: str, vocabulary: Vocabulary) -> bool:
    """Say whether two words with a space between can be one that was broken; real words never are."""
    if not (left + right).isalpha():
        return False
    lone = [piece for piece in (left, right) if len(piece) == 1]
    if lone:
        return lone[0] not in {"a", "i", "o"} and len(left + right) >= 3
    if len(left) > 5 or len(right) > 5 or left in _SHORT or right in _SHORT:
        return False
    return not vocabulary.forms(left) and not vocabulary.forms(right)
