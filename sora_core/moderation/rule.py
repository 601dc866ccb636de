"""One rule of a policy, as it is read from a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..errors import SoraError
from .decision import ACTIONS, STAGES, Action
from .pattern import Pattern, parse

MATCHERS = ("words", "names", "handles", "classifier", "blocklist")
SCOPES = ("prompt", "sentence")
KINDS = ("image", "text", "sound", "transcript")
"""What a classifier takes: frames, a text, a sound; or a sound that it turns into a text."""

TEXT_STAGES = frozenset({"prompt", "audio", "cameo"})
MOST_PATTERNS, LONGEST_MESSAGE, LONGEST_NAME = 400, 400, 64

_PLAIN = {"id", "stage", "matcher", "scope", "category", "action", "severity", "message", "must_match", "must_not"}
_OWN = {
    "words": {"match", "always", "allow", "unless", "excuses"},
    "names": {"example_names"},
    "handles": set(),
    "classifier": {"label", "at_least"},
    "blocklist": set(),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is looked for, where, and what follows.

    id: dotted name. stages: where it applies. matcher: "words" (patterns), "names" (people on the list), "handles"
    (``@name`` without a grant), "classifier" (a label of the user's own) or "blocklist" (the user's own hashes).
    scope: within which ``&`` joins and ``unless`` counts. severity: 1 to 5, told and ordered by, decides nothing.
    match: patterns. allow: harmless contexts; what shares a word with one does not count. unless: as soon as one
    is met in the scope, ``match`` does not count. always: patterns that nothing excuses. excuses: ids of other rules in
    which matches that share a word with this one do not count; for the action "allow" alone.
    label, at_least: of a classifier, any classifier that has it. must_match, must_not: tests: texts, for a classifier
    scores.
    """

    id: str
    stages: tuple[str, ...]
    matcher: str
    scope: str
    category: str
    action: Action
    severity: int
    message: str
    match: tuple[Pattern, ...] = ()
    always: tuple[Pattern, ...] = ()
    allow: tuple[Pattern, ...] = ()
    unless: tuple[Pattern, ...] = ()
    excuses: tuple[str, ...] = ()
    label: str = ""
    at_least: float = 1.0
    example_names: tuple[str, ...] = ()
    must_match: tuple[str | float, ...] = ()
    must_not: tuple[str | float, ...] = ()

    def patterns(self) -> tuple[Pattern, ...]:
        """Return all patterns."""
        return (*self.match, *self.always, *self.allow, *self.unless)


def rule_from(table: Mapping[str, Any], place: str) -> Rule:
    """Read a rule.

    Args:
        table: as TOML gives it.
        place: where it stands, for the sentence.

    Raises:
        SoraError: it is not one; the sentence says where and why.
    """
    name = text_of(table, "id", place, LONGEST_NAME)
    if not name.replace(".", "").replace("_", "").replace("-", "").isalnum() or not name.isascii():
        raise SoraError(f"{place} has the id {name!r}; use letters, digits, dots, _ and -")
    place = f"{place} ({name})"
    matcher = one_of(table, "matcher", MATCHERS, place, "words")
    unknown = sorted(set(table) - _PLAIN - _OWN[matcher])
    if unknown:
        allowed = ", ".join(sorted(_PLAIN | _OWN[matcher]))
        raise SoraError(f"{place} has the key {unknown[0]!r}; a rule with the matcher {matcher} may have {allowed}")
    severity = table.get("severity", 3)
    if not isinstance(severity, int) or isinstance(severity, bool) or not 1 <= severity <= 5:
        raise SoraError(f"{place} has the severity {severity!r:.40}; it must be a whole number from 1 to 5")
    action = one_of(table, "action", ACTIONS, place)
    rule = Rule(
        id=name,
        stages=_stages(table, matcher, place),
        matcher=matcher,
        scope=one_of(table, "scope", SCOPES, place, "prompt"),
        category=text_of(table, "category", place, LONGEST_NAME),
        action=cast("Action", action),
        severity=severity,
        message=text_of(table, "message", place, LONGEST_MESSAGE),
        match=patterns_of(table, "match", place),
        always=patterns_of(table, "always", place),
        allow=patterns_of(table, "allow", place, joined=False),
        unless=patterns_of(table, "unless", place, joined=False),
        excuses=strings_of(table, "excuses", place),
        label=text_of(table, "label", place, LONGEST_NAME) if matcher == "classifier" else "",
        at_least=_share(table, "at_least", place) if matcher == "classifier" else 1.0,
        example_names=strings_of(table, "example_names", place),
        must_match=_tests(table, "must_match", matcher, place),
        must_not=_tests(table, "must_not", matcher, place),
    )
    _check(rule, place)
    return rule


def _check(rule: Rule, place: str) -> None:
    if rule.matcher == "words" and not (rule.match or rule.always):
        raise SoraError(f"{place} looks for nothing; give patterns in match or always")
    if rule.excuses and rule.action != "allow":
        raise SoraError(f"{place} excuses other rules with the action {rule.action}; only the action allow can")
    if rule.matcher != "blocklist" and not (rule.must_match and rule.must_not):
        raise SoraError(f"{place} has no tests; give at least one text in must_match and one in must_not")
    if rule.matcher == "names" and not rule.example_names:
        raise SoraError(f"{place} has no example_names to test with; make up at least one")


def _stages(table: Mapping[str, Any], matcher: str, place: str) -> tuple[str, ...]:
    given = table.get("stage")
    stages = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else ()
    if not stages or any(stage not in STAGES for stage in stages):
        raise SoraError(f"{place} has the stage {given!r:.60}; it must be one or a list of {', '.join(STAGES)}")
    if matcher in {"words", "names", "handles"} and not set(stages) <= TEXT_STAGES:
        raise SoraError(
            f"{place} looks for words in {given!r:.60}; words are in {', '.join(sorted(TEXT_STAGES))} alone"
        )
    return stages


def patterns_of(table: Mapping[str, Any], key: str, place: str, *, joined: bool = True) -> tuple[Pattern, ...]:
    """Return the patterns of a key; ``joined`` says whether they may hold ``&``."""
    patterns = []
    for source in strings_of(table, key, place):
        try:
            pattern = parse(source)
        except SoraError as error:
            raise SoraError(f"{place}, {key}: {error}") from None
        if len(pattern.chains) > 1 and not joined:
            raise SoraError(f"{place}, {key}: the pattern {source!r} has &, which only match and always may have")
        patterns.append(pattern)
    return tuple(patterns)


def strings_of(table: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    """Return a list of texts, empty where the key is missing."""
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SoraError(f"{place} has {key} = {values!r:.60}; it must be a list of texts")
    if len(values) > MOST_PATTERNS:
        raise SoraError(f"{place} has {len(values)} entries in {key}; at most {MOST_PATTERNS} are allowed")
    return tuple(values)


def text_of(table: Mapping[str, Any], key: str, place: str, longest: int) -> str:
    """Return a text that must be there."""
    value = table.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > longest or not value.isprintable():
        raise SoraError(f"{place} has {key} = {value!r:.60}; it must be one line of text, at most {longest} characters")
    return value


def one_of(table: Mapping[str, Any], key: str, allowed: tuple[str, ...], place: str, default: str | None = None) -> str:
    """Return one of a few words."""
    value = table.get(key, default)
    if not isinstance(value, str) or value not in allowed:
        raise SoraError(f"{place} has {key} = {value!r:.60}; it must be one of {', '.join(allowed)}")
    return value


def _share(table: Mapping[str, Any], key: str, place: str) -> float:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise SoraError(f"{place} has {key} = {value!r:.60}; it must be a number from 0 to 1")
    return float(value)


def _tests(table: Mapping[str, Any], key: str, matcher: str, place: str) -> tuple[str | float, ...]:
    if matcher != "classifier":
        return strings_of(table, key, place)
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(one, (int, float)) for one in values):
        raise SoraError(f"{place} has {key} = {values!r:.60}; for a classifier it must be a list of scores")
    return tuple(float(one) for one in values)
