"""Policies: files of rules that are checked, tested and hashed as they are loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import SoraError
from .absolute import PREFIX, absolute_sets, absolute_source
from .decision import STAGES
from .lexicon import Lexicon, WordSet
from .reading import read_toml
from .rule import KINDS, Rule, patterns_of, rule_from, strings_of, text_of
from .testing import test_rules

VERSION = 1
FOLDER = Path(__file__).parent / "policies"
LONGEST_CHAIN = 8
MOST_RULES = 500

_KEYS = {"version", "name", "title", "extends", "sets", "add", "rule", "disable", "names", "requires", "limits"}
_FITTING = {
    "prompt": ("text",),
    "input_media": ("image", "sound", "transcript"),
    "frames": ("image",),
    "audio": ("sound", "transcript"),
    "cameo": KINDS,
}
"""The kinds of classifiers that each stage calls."""

_LIMITS = {
    "longest_prompt": (2000, 1, 20_000),
    "frames_per_second": (4.0, 0.1, 240.0),
    "timeout_s": (30.0, 0.01, 600.0),
}
"""Of each limit: what it is where no policy says, and the least and most that one may say."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy in force. Made by `load_policy`; the absolute rules apply beside it whatever it says.

    chain: the names of the policies that it stands on, itself first. rules, sets: its own and what it inherits.
    names: people who must not be shown. requires: for a stage, the kinds of classifiers without which it is blocked.
    longest_prompt: characters. frames_per_second: of film that are judged. timeout_s: of one call of a classifier.
    sha256: of everything that decides, the absolute rules included.
    """

    name: str
    title: str
    chain: tuple[str, ...]
    rules: tuple[Rule, ...]
    sets: Mapping[str, WordSet]
    names: tuple[str, ...]
    requires: Mapping[str, tuple[str, ...]]
    longest_prompt: int
    frames_per_second: float
    timeout_s: float
    sha256: str = ""
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def lexicon(self) -> Lexicon:
        """Return the words of all rules, ready to search."""
        return Lexicon(self.sets, [pattern for rule in self.rules for pattern in rule.patterns()])


def policy_names() -> tuple[str, ...]:
    """Return the policies that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_policy(source: str | Path = "default") -> Policy:
    """Load a policy, and run the tests in its rules.

    Args:
        source: the name of a policy of the package, or a file.

    Raises:
        SoraError: it is none, or a rule fails a test of its own; nothing of it is in force then.
    """
    if "\0" in str(source):
        raise SoraError(f"{str(source)!r:.60} is no policy; name one of {', '.join(policy_names())}, or a file")
    path = FOLDER / f"{source}.toml" if isinstance(source, str) and source in policy_names() else Path(source)
    tables = _chain(path)
    merged = _merge(tables)
    sets = {**absolute_sets(), **_sets(merged["sets"])}
    rules = tuple(rule_from(table, f"rule {index + 1}") for index, table in enumerate(merged["rules"]))
    limits = {name: merged["limits"].get(name, default) for name, (default, _, _) in _LIMITS.items()}
    policy = Policy(
        name=merged["name"],
        title=merged["title"],
        chain=tuple(table["name"] for table in tables),
        rules=rules,
        sets=sets,
        names=merged["names"],
        requires=merged["requires"],
        longest_prompt=int(limits["longest_prompt"]),
        frames_per_second=float(limits["frames_per_second"]),
        timeout_s=float(limits["timeout_s"]),
        sha256=_digest({**merged, "absolute": absolute_source()}),
        source=merged,
    )
    ids = [rule.id for rule in rules]
    for rule in rules:
        for other in rule.excuses:
            if other not in ids:
                raise SoraError(f"the rule {rule.id} excuses {other!r:.60}, which is no rule of the policy; name one")
    test_rules(rules, policy.lexicon)
    return policy


def _chain(path: Path) -> list[dict[str, Any]]:
    """Return the tables of a policy and of those that it extends, itself first."""
    tables: list[dict[str, Any]] = []
    seen: list[Path] = []
    while True:
        real = path.resolve()
        if real in seen:
            raise SoraError(f"the policy {path.name} extends itself through {len(seen)} files; break the circle")
        if len(seen) >= LONGEST_CHAIN:
            raise SoraError(f"the policy {seen[0].name} stands on more than {LONGEST_CHAIN} others; flatten it")
        seen.append(real)
        table = _checked(read_toml(path)[0], path.name)
        tables.append(table)
        if "extends" not in table:
            return tables
        path = _extended(table["extends"], path)


def _extended(name: object, below: Path) -> Path:
    """Return the file that ``extends`` names: a policy of the package, or a file beside."""
    place = f"the policy {below.name} extends {name!r:.60}"
    if not isinstance(name, str) or not name.strip():
        raise SoraError(f"{place}; name a policy of the package ({', '.join(policy_names())}) or a file beside it")
    if name in policy_names():
        return FOLDER / f"{name}.toml"
    if any(sign in name for sign in '/\\:\0*?"<>|') or name.startswith(".") or not name.endswith(".toml"):
        raise SoraError(
            f"{place}; name a policy of the package ({', '.join(policy_names())}), or a .toml file beside it, "
            "by its plain name"
        )
    path = below.parent / name
    if path.resolve().parent != below.parent.resolve():
        raise SoraError(f"{place}, which leads out of the folder; put the file itself there")
    return path


def _checked(table: dict[str, Any], file: str) -> dict[str, Any]:
    place = f"the policy {file}"
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise SoraError(f"{place} has the key {unknown[0]!r}; it may have {', '.join(sorted(_KEYS))}")
    if table.get("version") != VERSION or isinstance(table["version"], bool):
        raise SoraError(f"{place} has version = {table.get('version')!r:.40}; this program reads version {VERSION}")
    text_of(table, "name", place, 64)
    text_of(table, "title", place, 200)
    strings_of(table, "disable", place)
    strings_of(table, "names", place)
    for key in ("sets", "add"):
        one = table.get(key, {})
        if not isinstance(one, dict) or not all(isinstance(value, dict) for value in one.values()):
            raise SoraError(f"{place} has a wrong [{key}]; write [{key}.NAME] with words and but")
        for name, value in one.items():
            if not name.replace("_", "a").isalnum() or name == "self" or set(value) - {"words", "but"}:
                raise SoraError(f"{place} has a wrong [{key}.{name!r:.40}]; it may have words and but")
            if name in absolute_sets():
                raise SoraError(f"{place} changes the set {{{name}}} of the built-in rules; choose another name")
    rules = table.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules) or len(rules) > MOST_RULES:
        raise SoraError(f"{place} has wrong rules; write [[rule]] tables, at most {MOST_RULES}")
    _check_requires(table.get("requires", {}), place)
    _check_limits(table.get("limits", {}), place)
    return table


def _check_requires(table: object, place: str) -> None:
    if not isinstance(table, dict):
        raise SoraError(f'{place} has a wrong [requires]; write for example frames = ["image"]')
    for stage, kinds in table.items():
        if stage not in STAGES or not isinstance(kinds, list) or any(kind not in KINDS for kind in kinds):
            raise SoraError(
                f"{place} requires {stage!r:.40} = {kinds!r:.60}; a stage ({', '.join(STAGES)}) needs a list of "
                f"{', '.join(KINDS)}"
            )
        for kind in kinds:
            if kind not in _FITTING[stage]:
                raise SoraError(
                    f"{place} requires the kind {kind!r} for {stage}, which is never asked there; "
                    f"it can require {', '.join(_FITTING[stage])}"
                )


def _check_limits(table: object, place: str) -> None:
    if not isinstance(table, dict) or set(table) - set(_LIMITS):
        raise SoraError(f"{place} has wrong [limits]; it may have {', '.join(_LIMITS)}")
    for name, value in table.items():
        _, least, most = _LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise SoraError(f"{place} has the limit {name} = {value!r:.40}; it must be from {least} to {most}")


def _merge(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Lay the policies over each other, the lowest first; a rule or set of the same name replaces the inherited one."""
    rules: dict[str, dict[str, Any]] = {}
    sets: dict[str, dict[str, list[str]]] = {}
    names: list[str] = []
    requires: dict[str, tuple[str, ...]] = {}
    limits: dict[str, float] = {}
    for table in reversed(tables):
        place = f"the policy {table['name']}"
        for name, one in table.get("sets", {}).items():
            sets[name] = {key: list(strings_of(one, key, f"{place}, set {name}")) for key in ("words", "but")}
        for name, one in table.get("add", {}).items():
            if name not in sets:
                raise SoraError(
                    f"{place} adds to the set {{{name}}}, which it does not inherit; define it under [sets]"
                )
            more = {key: list(strings_of(one, key, f"{place}, add {name}")) for key in ("words", "but")}
            sets[name] = {key: sets[name][key] + more[key] for key in ("words", "but")}
        for name in table.get("disable", []):
            if name.startswith(PREFIX):
                raise SoraError(f"{place} disables {name!r:.60}; the built-in rules cannot be switched off")
            if rules.pop(name, None) is None:
                raise SoraError(f"{place} disables {name!r:.60}, which it does not inherit; name one that it does")
        own: set[str] = set()
        for index, rule in enumerate(table.get("rule", [])):
            name = text_of(rule, "id", f"{place}, rule {index + 1}", 64)
            if name.startswith(PREFIX) or any(
                other.startswith(PREFIX) for other in rule.get("excuses", []) if isinstance(other, str)
            ):
                raise SoraError(f"{place} touches a built-in rule in {name!r:.60}; those cannot be replaced or excused")
            if name in own:
                raise SoraError(f"{place} has two rules {name!r:.60}; give one another id")
            own.add(name)
            rules[name] = rule
        names += table.get("names", [])
        # what one policy requires, none above it can take away by being silent; it must write an empty list
        requires |= {stage: tuple(kinds) for stage, kinds in table.get("requires", {}).items()}
        limits |= table.get("limits", {})
    return {
        "name": tables[0]["name"],
        "title": tables[0]["title"],
        "rules": list(rules.values()),
        "sets": sets,
        "names": tuple(dict.fromkeys(names)),
        "requires": requires,
        "limits": limits,
    }


def _sets(tables: Mapping[str, Mapping[str, list[str]]]) -> dict[str, WordSet]:
    return {
        name: WordSet(
            name=name,
            words=patterns_of(table, "words", f"the set {{{name}}}", joined=False),
            but=patterns_of(table, "but", f"the set {{{name}}}", joined=False),
        )
        for name, table in tables.items()
    }


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
