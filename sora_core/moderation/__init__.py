"""What may be asked for and shown: a policy of rules with tests, and one decision with its reasons."""

from __future__ import annotations

from .blocklist import BlockList
from .classifier import Card, Classifier, Label, read_card
from .decision import Decision, Mark, Score
from .log import DecisionLog
from .moderator import Moderator
from .policy import Policy, load_policy, policy_names

__all__ = [
    "BlockList",
    "Card",
    "Classifier",
    "Decision",
    "DecisionLog",
    "Label",
    "Mark",
    "Moderator",
    "Policy",
    "Score",
    "load_policy",
    "policy_names",
    "read_card",
]
