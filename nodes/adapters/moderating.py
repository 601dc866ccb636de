"""The policy before ComfyUI's texts and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...sora_core.cameo.handles import granted_in
from ...sora_core.errors import SoraError
from ...sora_core.moderation.decision import Decision, strictest_of
from ...sora_core.moderation.log import FOLDER, DecisionLog
from ...sora_core.moderation.moderator import Moderator
from ...sora_core.moderation.policy import load_policy, policy_names
from ...sora_core.provenance.home import Home
from .decisions import sealed
from .films import film_of

POLICIES = "policies"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What may go on. words: for the node. sealed: the decision, for the manifest."""

    words: str
    sealed: str


def own_policies() -> dict[str, Path]:
    """Return the user's own policies, by name."""
    folder = Home.default().folder / POLICIES
    return {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder.is_dir() else {}


def policy_choices() -> list[str]:
    """Return the policies of the package and the user's own."""
    return list(dict.fromkeys([*policy_names(), *own_policies()]))


def judged_by(policy: str, text: object) -> str:
    """Return what a decision depends on besides the node's inputs: the policy's file, and the handles that are lent."""
    path = own_policies().get(policy)
    written = path.stat().st_mtime_ns if path is not None and path.exists() else 0
    # a text that comes over a wire is not known yet
    lent = sorted(granted_in(text, Home.default())) if isinstance(text, str) else []
    return f"{policy} {written} {' '.join(lent)}"


def moderate(text: str, *, policy: str, names: Sequence[str], degraded: bool, video: Any) -> Judged:
    """Judge a text and a VIDEO; what may not go on is raised as a sentence.

    Raises:
        SoraError: it is refused or held back, with the rule and its reason; or there is no such policy.
    """
    home, own = Home.default(), own_policies()
    if policy not in policy_choices():
        raise SoraError(f"the policy {policy!r:.60} is not there; choose one of {', '.join(policy_choices())}")
    loaded = load_policy(own.get(policy, policy))
    moderator = Moderator(
        loaded,
        names=[name.strip() for name in names if name.strip()],
        granted=granted_in(text, Home.default()),
        log=DecisionLog(home.file(FOLDER)),
        degraded=degraded,
    )
    decisions = [moderator.text(text)]
    if video is not None:
        decisions += moderator.film(film_of(video))
    decision = strictest_of(decisions)
    if decision.stopped:
        # each message says itself what was done, and by which rule
        raise SoraError(f"the {decision.stage} may not go on: {'; '.join(decision.messages)}")
    return Judged(words="\n".join(map(_told, decisions)), sealed=sealed(decision, loaded.name, home))


def _told(decision: Decision) -> str:
    why = "; ".join((*decision.labels, *decision.messages))
    return f"{decision.stage}: {decision.action}{f' ({why})' if why else ''}"
