"""Whether a rule of words is met by a text, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .lexicon import Compiled, Found, Scan, Span, overlaps
from .rule import Rule


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that was met. spelled: in the policy's words. places: characters of the text."""

    rule: Rule
    spelled: str
    places: tuple[Span, ...]


def hits_of(rules: Iterable[Rule], scan: Scan) -> list[Hit]:
    """Return the rules of words that a text meets.

    Raises:
        TooCostly: the text needs more joins than the budget.
    """
    rules = list(rules)
    excused: dict[str, set[Span]] = {}
    for rule in rules:
        for other in rule.excuses:
            excused.setdefault(other, set()).update(_marked(rule, scan))
    hits = []
    for rule in rules:
        found = find(rule, scan, excused)
        if found is not None:
            hits.append(Hit(rule, scan.spelled(found), scan.places(found)))
    return hits


def find(rule: Rule, scan: Scan, excused: Mapping[str, set[Span]]) -> Found | None:
    """Return where a rule is met first, or None."""
    for pattern in scan.met(rule.always):
        found = _met(pattern, scan, rule.scope, set(), frozenset())
        if found is not None:
            return found
    candidates = [one for one in scan.met(rule.match) if _met(one, scan, rule.scope, set(), frozenset()) is not None]
    if not candidates:
        return None
    spared = scan.parts(rule.allow) | excused.get(rule.id, set())
    quiet = frozenset(scan.sentence(span) for span in scan.parts(rule.unless))
    if quiet and rule.scope == "prompt":
        return None
    for pattern in candidates:
        found = _met(pattern, scan, rule.scope, spared, quiet)
        if found is not None:
            return found
    return None


def _met(pattern: Compiled, scan: Scan, scope: str, spared: set[Span], quiet: frozenset[int]) -> Found | None:
    """Return where a pattern is met outside of what is spared, all its chains in one scope."""
    chains: list[dict[int, Found]] = []
    for steps in pattern.chains:
        met: dict[int, Found] = {}
        for found in scan.chain(steps):
            sentence = scan.sentence(found.parts[0]) if scope == "sentence" else 0
            if sentence in met or (quiet and sentence in quiet):
                continue
            if spared and any(overlaps(part, spared) for part in found.parts):
                continue
            met[sentence] = found
            if scope == "prompt":
                break
        if not met:
            return None
        chains.append(met)
    shared = set(chains[0]).intersection(*chains[1:])
    if not shared:
        return None
    first = min(shared)
    return Found(tuple(part for met in chains for part in met[first].parts))


def _marked(rule: Rule, scan: Scan) -> set[Span]:
    """Return every place that a rule is met at."""
    return {
        part
        for compiled in scan.met((*rule.match, *rule.always))
        for chain in compiled.chains
        for found in scan.chain(chain)
        for part in found.parts
    }
