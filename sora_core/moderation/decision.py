"""What came of judging one text, film or sound: the same shape for every stage, and nothing of the prompt in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Action = Literal["allow", "label", "review", "block"]
Stage = Literal["prompt", "input_media", "frames", "audio", "cameo"]

ACTIONS: tuple[Action, ...] = get_args(Action)
"""From the mildest to the strictest; the strictest of all that applies is the decision."""

STAGES: tuple[str, ...] = get_args(Stage)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a classifier said. source: its name. label: one of its own. value: 0 to 1, the highest of all frames."""

    source: str
    label: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Where a rule was met, so that it can be shown: characters of the text from ``start`` up to ``stop``."""

    rule: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The strictest action of all rules that were met, and why.

    action: "block" and "review" hold the work up; "label" and "allow" do not. stage: what was judged.
    policy: SHA-256 of the policy in force. rules, categories: of everything met, strictest first.
    messages: a sentence for each, for the user. They quote the policy's words, or a handle, never the prompt.
    scores: of the user's classifiers. labels: of rules with the action "label"; "unjudged" where there was nothing to
    judge by. reasons: codes of what went wrong ("classifier-missing"). degraded: failures were let pass on purpose.
    marks: where in a text.
    """

    action: Action
    stage: str
    policy: str
    rules: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    labels: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    degraded: bool = False
    marks: tuple[Mark, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether the work must not go on without a person: blocked, or held for review."""
        return self.action in {"block", "review"}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, for a manifest or a report."""
        return asdict(self)

    def record(self) -> dict[str, Any]:
        """Return what is logged: no messages and no places, for those could tell what was written."""
        return {name: value for name, value in asdict(self).items() if name not in {"messages", "marks"}}


def strictest_of(decisions: Sequence[Decision]) -> Decision:
    """Return the strictest of some decisions, the first of equals."""
    return max(decisions, key=lambda one: ACTIONS.index(one.action))


def strictest(actions: list[Action]) -> Action:
    """Return the strictest action, "allow" where there is none."""
    highest = max(map(ACTIONS.index, actions), default=0)
    return ACTIONS[highest]
