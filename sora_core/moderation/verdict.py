"""A decision while it is being made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .classifier import Card
from .decision import ACTIONS, Action, Decision, Mark, Score, strictest
from .failure import OVERRIDABLE, SENTENCES, Failure
from .lexicon import Span
from .rule import Rule

UNJUDGED = "unjudged"


class Verdict:
    """Collects what was met and what went wrong.

    Args:
        stage: what is judged.
        policy: its hash.
        degraded: failures of plugged-in parts are noted and do not block.
    """

    def __init__(self, stage: str, policy: str, *, degraded: bool) -> None:
        """Begin with nothing."""
        self.stage, self._policy, self._degraded = stage, policy, degraded
        self._met: dict[str, tuple[Action, int, str, str]] = {}
        self._notes: list[str] = []
        self._scores: list[Score] = []
        self._labels: list[str] = []
        self._reasons: list[str] = []
        self._marks: list[Mark] = []
        self._failed = self._used_override = False

    def meet(self, rule: Rule, spelled: str, places: Iterable[Span]) -> None:
        """Note a rule that was met. spelled: by what, in the policy's words."""
        self._add(rule.id, rule.action, rule.severity, (rule.category, rule.message, spelled))
        if rule.action == "label":
            self._labels.append(rule.category)
        self._marks += [Mark(rule=rule.id, start=start, stop=stop) for start, stop in places]

    def score(self, card: Card, name: str, value: float) -> None:
        """Note a score, and what the card's own limits make of it."""
        self._scores.append(Score(source=card.name, label=name, value=value))
        label = card.labels[name]
        limits: tuple[tuple[Action, float | None], ...] = (("block", label.block), ("review", label.review))
        for action, limit in limits:
            if limit is not None and value >= limit:
                rule = f"classifier.{card.name}.{name}"
                words = (label.category, f"{card.name} found {name}.", f"score {value:.2f}, limit {limit:g}")
                self._add(rule, action, 3, words)
                return

    def on_list(self, name: str, rule: Rule | None) -> None:
        """Note that what is judged is on a block list; without a rule for that it is blocked."""
        if rule is None:
            self._add(f"blocklist.{name}", "block", 4, ("listed", "This is on a block list of yours.", name))
        else:
            self.meet(rule, name, ())

    def unjudged(self, what: str) -> None:
        """Note that there was nothing to judge by."""
        self._labels.append(UNJUDGED)
        self._notes.append(f"{what} not judged: no classifier given")

    def fail(self, code: str, sentence: str = "") -> None:
        """Note what went wrong; it blocks, unless it may be let pass and was asked to be."""
        self._reasons.append(code)
        passed = self._degraded and code in OVERRIDABLE
        self._used_override |= passed
        self._failed |= not passed
        word = "Let pass, as you asked" if passed else "Blocked"
        self._notes.append(f"{word} ({code}): {sentence or SENTENCES[code]}")

    @contextmanager
    def plugged(self) -> Iterator[None]:
        """Use a plugged-in part; what goes wrong with it is noted."""
        try:
            yield
        except Failure as failure:
            self.fail(failure.code)

    def decision(self) -> Decision:
        """Return the decision."""
        met = sorted(self._met.items(), key=lambda one: (-_rank(one[1][0]), -one[1][1]))
        actions: list[Action] = [action for _, (action, _, _, _) in met]
        if self._failed:
            actions.append("block")
        elif self._used_override:
            actions.append("label")
        return Decision(
            action=strictest(actions),
            stage=self.stage,
            policy=self._policy,
            rules=tuple(rule for rule, _ in met),
            categories=tuple(dict.fromkeys(category for _, (_, _, category, _) in met)),
            messages=(*(message for _, (_, _, _, message) in met), *self._notes),
            scores=tuple(self._scores),
            labels=tuple(dict.fromkeys([*self._labels, *(["degraded"] if self._used_override else [])])),
            reasons=tuple(dict.fromkeys(self._reasons)),
            degraded=self._used_override,
            marks=tuple(self._marks),
        )

    def _add(self, rule: str, action: Action, severity: int, words: tuple[str, str, str]) -> None:
        """Note a rule once. words: its category, its sentence, and what it was met by."""
        category, message, spelled = words
        done = {"block": "Blocked", "review": "Held for review", "label": "Labelled", "allow": "Noted"}[action]
        reason = f'; read as "{spelled}"' if spelled else ""
        self._met.setdefault(rule, (action, severity, category, f"{done}: {message} (rule {rule}{reason})"))


def _rank(action: Action) -> int:
    return ACTIONS.index(action)
