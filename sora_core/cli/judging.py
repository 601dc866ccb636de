"""Prompts before the policy, ahead of anything that takes time; decisions are logged without the prompts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SoraError
from .marks import NO_POLICY

if TYPE_CHECKING:
    from ..moderation.decision import Decision
    from ..moderation.policy import Policy


@dataclass(frozen=True)
class Judged:
    """A decision that lets the work go on, and the policy that it was made by."""

    decision: Decision
    policy: Policy


def judge(args: argparse.Namespace, prompts: Sequence[str]) -> Judged | None:
    """Put prompts before the policy that was asked for; None where none was.

    Raises:
        SoraError: one of them is refused, with the rule and its reason; or the policy cannot be loaded.
    """
    if args.policy == NO_POLICY:
        return None
    from ..moderation.decision import strictest_of

    policy = policy_of(args.policy)
    decisions = [decide(policy, prompt) for prompt in dict.fromkeys(prompts) if prompt] or [decide(policy, "")]
    decision = strictest_of(decisions)
    if decision.stopped:
        raise SoraError(f"{refusal(decision)}; --policy {NO_POLICY} or a policy of your own decides otherwise")
    return Judged(decision, policy)


def policy_of(named: str) -> Policy:
    """Return a policy of the package by name, or one from a file.

    Raises:
        SoraError: there is none, or it fails a test of its own.
    """
    from ..moderation.policy import load_policy, policy_names

    return load_policy(named if named in policy_names() else Path(named))


def decide(policy: Policy, prompt: str) -> Decision:
    """Return what a policy says of one prompt; handles that the ledger lends are allowed."""
    from ..cameo.handles import granted_in
    from ..moderation.log import FOLDER, DecisionLog
    from ..moderation.moderator import Moderator
    from ..provenance.home import Home

    home = Home.default()
    log = DecisionLog(home.file(FOLDER))
    return Moderator(policy, granted=granted_in(prompt, home), log=log).text(prompt)


def refusal(decision: Decision) -> str:
    """Return a sentence: the rule, and its reason."""
    rules, messages = ", ".join(decision.rules) or ", ".join(decision.reasons), "; ".join(decision.messages)
    return f"the prompt is {'held back' if decision.action == 'review' else 'refused'} by the rule {rules}: {messages}"
