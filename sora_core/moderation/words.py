"""What a word may stand for: the vocabulary of a policy, and how endings, signs and stretched letters reach it.

Every form is found by looking it up in a table, so the time grows with the length of the word alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s"}
    | {"!": "i", "|": "i", "+": "t", "(": "c", "l": "i"}
)
_UNIT_NAMES = (
    "s m mm cm km k p fps th st nd rd x am pm ft kg g d h hr hrs min mins sec secs hz khz db mb gb w v l oz lb lbs "
    "mph i"
)
_UNITS = frozenset(_UNIT_NAMES.split())
"""What follows a number without turning it into a word: "45s" is a time."""

_AGES = frozenset({"yo", "yr", "yrs", "year", "years", "yearold", "yearsold", "yold"})
_SIGNS = frozenset("@$!|+*(")
_IRREGULAR = {
    "children": "child",
    "men": "man",
    "women": "woman",
    "knives": "knife",
    "wives": "wife",
    "corpses": "corpse",
    "thieves": "thief",
    "dying": "die",
    "dies": "die",
    "died": "die",
    "lying": "lie",
    "shot": "shoot",
    "hung": "hang",
    "bled": "bleed",
    "slit": "slit",
    "slew": "slay",
    "slain": "slay",
    "beaten": "beat",
    "stole": "steal",
    "stolen": "steal",
    "built": "build",
    "burnt": "burn",
    "drove": "drive",
    "blew": "blow",
    "blown": "blow",
    "bought": "buy",
    "sold": "sell",
    "fed": "feed",
    "made": "make",
    "making": "make",
    "taught": "teach",
    "broke": "break",
    "broken": "break",
    "hid": "hide",
    "hidden": "hide",
    "threw": "throw",
    "thrown": "throw",
    "tore": "tear",
    "torn": "tear",
    "showed": "show",
    "shown": "show",
    "said": "say",
    "gave": "give",
    "given": "give",
    "ran": "run",
    "took": "take",
    "taken": "take",
    "cooked": "cook",
    "hurting": "hurt",
    "starving": "starve",
}
_NUMBER_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_NUMBERS = {name: value for value, name in enumerate(_NUMBER_NAMES.split())}
LONGEST_WORD = 64
"""Letters that are looked at in one word; no vocabulary has longer ones."""

MOST_KNOWN = 1 << 15
"""Words whose forms are remembered."""

_VOWELS = "aeiouy"


class Vocabulary:
    """The words of a policy, and what a written word may stand for among them.

    Args:
        words: folded; ``=word`` is met as it is written only, ``word*`` by whatever begins with it.
        compounds: phrases without their spaces.
    """

    def __init__(self, words: Iterable[str], compounds: Iterable[str] = ()) -> None:
        """Make the tables."""
        self.compounds = frozenset(compounds).difference(words)
        self.words = frozenset(words) | self.compounds
        self._prefixes: dict[int, set[str]] = {}
        self._folded: dict[str, list[str]] = {}
        self._single: dict[str, list[str]] = {}
        for word in self.words:
            if word.endswith("*"):
                self._prefixes.setdefault(len(word) - 1, set()).add(word[:-1])
                continue
            plain = word.lstrip("=")
            if len(plain) >= 3 and plain.isalpha():
                for key in {plain.translate(_LEET), _single(plain.translate(_LEET))}:
                    if len(key) >= 2:
                        self._folded.setdefault(key, []).append(word)
                if len(plain) >= 3:
                    self._single.setdefault(_single(plain), []).append(word)
        self._starts = {word[:-1]: word[:-1].translate(_LEET) for word in self.words if word.endswith("*")}
        self._known: dict[str, tuple[tuple[str, ...], int | None]] = {}

    def forms(self, word: str) -> tuple[str, ...]:
        """Return the vocabulary's words that a folded word may stand for, the likeliest first."""
        return self.known(word)[0]

    def known(self, word: str) -> tuple[tuple[str, ...], int | None]:
        """Return the forms of a word, and the number that it is."""
        found = self._known.get(word)
        if found is None:
            found = tuple(dict.fromkeys(self._find(word[:LONGEST_WORD]))), value_of(word)
            if len(self._known) < MOST_KNOWN:
                self._known[word] = found
        return found

    def plain_forms(self, word: str) -> list[str]:
        """Return the forms by spelling and ending alone."""
        found = []
        for form in (word, f"={word}"):
            if form in self.words:
                found.append(form)
        found += [stem for stem in stems(word) if stem in self.words]
        for length, starts in self._prefixes.items():
            if word[:length] in starts:
                found.append(f"{word[:length]}*")
        return found

    def _find(self, word: str) -> list[str]:
        found = self.plain_forms(word)
        if len(word) < 3:
            return found
        if word.isalpha():
            hidden = [] if found else self._stretched(word)
        else:
            # a word that is known with its digits may still hide another
            hidden = self._starred(word) if "*" in word else self._leet(word) if disguised(word) else []
        return found + hidden + [form for one in hidden for form in self.plain_forms(one.strip("=*"))]

    def _leet(self, word: str) -> list[str]:
        found: list[str] = []
        for candidate in (word, *stems_of_disguised(word)):
            key = candidate.translate(_LEET)
            if len(key) >= 3:
                found += self._folded.get(key, ())
                single = _single(key)
                if not found and len(single) >= 3:
                    found += self._folded.get(single, ())
            if found:
                break
        if not found:
            key = word.translate(_LEET)
            found = [f"{start}*" for start, folded in self._starts.items() if key.startswith(folded)]
        return found

    def _stretched(self, word: str) -> list[str]:
        """Return the forms of "kiiill" and "nnuuddee"; one doubled letter alone is common spelling and stays."""
        runs = [length for _, length in _runs(word) if length > 1]
        if not runs or (max(runs) < 3 and len(runs) < 2):
            return []
        for shorter in ("".join(letter * min(length, 2) for letter, length in _runs(word)), _single(word)):
            if forms := self.plain_forms(shorter):
                return forms
        for stem in (_single(word), *stems(_single(word))):
            if stem in self._single:
                return list(self._single[stem])
        return []

    def _starred(self, word: str) -> list[str]:
        """Return the forms of "f*ck": each star is one vowel, at most two of them."""
        if word.count("*") > 2 or len(word) - word.count("*") < 2:
            return []
        candidates = [word]
        while "*" in candidates[0]:
            candidates = [one.replace("*", vowel, 1) for one in candidates for vowel in _VOWELS]
        return [form for one in candidates for form in self.plain_forms(one)]


def value_of(word: str) -> int | None:
    """Return the whole number that a word is ("14", "twelve"), below 1,000."""
    if word.isdigit() and word.isascii():
        return int(word) if len(word) <= 3 else None
    return _NUMBERS.get(word)


def age_of(word: str) -> tuple[str, str] | None:
    """Take "14yo" apart into the number and what follows it; None where it is not an age."""
    digits = 0
    while digits < len(word) and word[digits].isdigit():
        digits += 1
    return (word[:digits], word[digits:]) if 0 < digits <= 3 and word[digits:] in _AGES else None


def disguised(word: str) -> bool:
    """Say whether a word with digits or signs may hide one of letters: "h3ll", and neither "45s" nor "1080p"."""
    if not any(letter.isalpha() for letter in word):
        return False
    rest = word.lstrip("0123456789")
    return rest not in _UNITS or rest == word


def signed(word: str) -> bool:
    """Say whether a word holds a sign that also parts words."""
    return not word.isalnum() and any(letter in _SIGNS for letter in word)


def stems(word: str) -> Iterator[str]:
    """Yield what a word may be an ending of, the likeliest first: plurals, -ing, -ed, and the irregular ones."""
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    if len(word) < 4:
        return
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]
            if word.endswith("ies"):
                yield f"{word[:-3]}y"
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            base = word[: -len(ending)]
            yield base
            yield f"{base}e"
            if len(base) > 2 and base[-1] == base[-2]:
                yield base[:-1]
            if ending == "ed" and base.endswith("i"):
                yield f"{base[:-1]}y"
    if word.endswith("in") and len(word) > 5:
        yield word[:-2]


def stems_of_disguised(word: str) -> Iterator[str]:
    """Yield what a word with digits may be a plural or an -ing of."""
    if len(word) > 4 and word[-1] in "sz$5":
        yield word[:-1]
    if len(word) > 6 and word[-3:] in {"ing", "1ng", "!ng"}:
        yield word[:-3]
        yield f"{word[:-3]}e"


def _runs(word: str) -> list[tuple[str, int]]:
    runs: list[tuple[str, int]] = []
    for letter in word:
        if runs and runs[-1][0] == letter:
            runs[-1] = (letter, runs[-1][1] + 1)
        else:
            runs.append((letter, 1))
    return runs


def _single(word: str) -> str:
    return "".join(letter for letter, _ in _runs(word))
