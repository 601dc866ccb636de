"""The tests inside the rules of a policy."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SoraError
from .lexicon import Lexicon, TooCostly
from .matching import find
from .names import NameList
from .normalise import read
from .rule import Rule


def test_rules(rules: Iterable[Rule], lexicon: Lexicon) -> None:
    """Run the tests of each rule, by itself.

    Raises:
        SoraError: a rule is not met by a text of its ``must_match``, or is by one of ``must_not``.
    """
    for rule in rules:
        for tests, wanted in ((rule.must_match, True), (rule.must_not, False)):
            for test in tests:
                if meets(rule, test, lexicon) is not wanted:
                    verb, place = ("does not match", "must_match") if wanted else ("matches", "must_not")
                    raise SoraError(
                        f"the rule {rule.id} {verb} {test!r:.200}, which is in its {place}; mend the rule or the test; "
                        "the policy is not loaded"
                    )


test_rules.__test__ = False  # type: ignore[attr-defined]


def meets(rule: Rule, test: str | float, lexicon: Lexicon) -> bool:
    """Say whether a rule is met, by a text or, for a classifier, by a score."""
    if not isinstance(test, str):
        return test >= rule.at_least
    if rule.matcher == "names":
        return bool(NameList(rule.example_names).find(test))
    if rule.matcher == "handles":
        return bool(read(test).handles)
    try:
        return find(rule, lexicon.scan(test), {}) is not None
    except TooCostly:
        return True
