"""``sora moderate``: what a policy says of a prompt, or of a clip."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from .judging import decide, policy_of
from .marks import NO_POLICY, add_policy

if TYPE_CHECKING:
    from ..moderation.decision import Decision
    from ..moderation.policy import Policy

STOPPED = 3

EXAMPLES = """\
examples:
  sora moderate "kill the lights and shoot the scene"
      allow
  sora moderate --clip clip.mp4 --policy strict
      frames and sound, by the classifiers that the policy demands; without them it is blocked
  sora moderate "a red ball" --policy mine.toml --json

Exit code: 0 where it may go on, 3 where it is refused or held back, 2 on bad input. Nothing is sent anywhere.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "moderate",
        help="say what a policy decides on a prompt or a clip",
        description="Say what a policy decides on a prompt or a clip, by which rule and why.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="a text")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="a clip: its frames and its sound")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_policy(parser)


def run(args: argparse.Namespace) -> int:
    """Judge, and say so."""
    if args.prompt is None and args.clip is None:
        raise SoraError("there is nothing to judge; give a prompt, or --clip FILE")
    if args.policy == NO_POLICY:
        raise SoraError("--policy none judges nothing; name default, strict or a .toml of your own")
    policy = policy_of(args.policy)
    decisions = [] if args.prompt is None else [decide(policy, args.prompt)]
    if args.clip is not None:
        decisions += _clip(policy, args.clip)
    if args.json:
        told = [decision.to_dict() for decision in decisions]
        print(json.dumps({"policy": policy.name, "policy_sha256": policy.sha256, "decisions": told}, indent=2))
    else:
        for decision in decisions:
            print(f"{decision.stage}: {decision.action}{_why(decision)}")
    return STOPPED if any(decision.stopped for decision in decisions) else 0


def _clip(policy: Policy, path: Path) -> list[Decision]:
    from ..media.film_file import FileFilm
    from ..moderation.moderator import Moderator

    return Moderator(policy).film(FileFilm(path))


def _why(decision: Decision) -> str:
    rules = [*decision.rules, *decision.reasons, *decision.labels]
    return f" ({', '.join(dict.fromkeys(rules))}) {'; '.join(decision.messages)}".rstrip() if rules else ""
