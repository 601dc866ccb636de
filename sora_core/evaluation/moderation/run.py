"""Judge every prompt of a half, and count what was judged wrong."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...moderation import Decision, Moderator, Policy, load_policy
from ..intervals import rate
from .prompts import LabelledPrompt, read_names, read_prompts

LONG = 2000
"""Characters of the long prompts that latency is measured on besides."""

REPEATS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A share with its exact 95 % interval. low, high: its ends. value: None where nothing was counted."""

    wrong: int
    count: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share."""
        return self.wrong / self.count if self.count else None

    @staticmethod
    def of(wrongs: Iterable[bool]) -> Rate:
        """Count."""
        counted = list(wrongs)
        if not counted:
            return Rate(wrong=0, count=0, low=0.0, high=1.0)
        found = rate(sum(counted), len(counted))
        return Rate(wrong=sum(counted), count=len(counted), low=found.low, high=found.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One group of prompts. missed: harmful ones that were let pass. stopped: harmless ones that were not.

    misnamed: harmful ones that were stopped under another category than theirs, or under none; not counted as missed.
    """

    name: str
    missed: Rate
    stopped: Rate
    misnamed: Rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Milliseconds for one prompt, each text new to the moderator. long: prompts filled up to 2,000 characters."""

    median_ms: float
    p99_ms: float
    long_median_ms: float
    long_p99_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What was measured. policy: its name and SHA-256. wrong: the pairs that were judged wrong, by name alone."""

    half: str
    policy: str
    sha256: str
    rows: tuple[Row, ...]
    latency: Latency
    wrong: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def evaluate_moderation(half: str, policy: Policy | str = "default") -> Figures:
    """Measure a policy on a half of the prompts.

    A prompt counts as stopped when it is blocked or held for review. The list of names is the made-up one that the
    prompts use; no handle has a grant.

    Args:
        half: "tuned" or "frozen".
        policy: loaded, or the name of one.

    Raises:
        SoraError: no such half or policy.
    """
    prompts = read_prompts(half)
    policy = load_policy(policy) if isinstance(policy, str) else policy
    moderator = Moderator(policy, names=read_names())
    judged = [(prompt, moderator.text(prompt.prompt)) for prompt in prompts]
    categories = list(dict.fromkeys(prompt.category for prompt in prompts))
    rows = [_row(name, [one for one in judged if one[0].category == name]) for name in categories]
    rows.append(_row("all", judged))
    rows.append(_row("obfuscated", [one for one in judged if one[0].obfuscated]))
    rows.append(_row("plain", [one for one in judged if not one[0].obfuscated]))
    return Figures(
        half=half,
        policy=policy.name,
        sha256=policy.sha256,
        rows=tuple(rows),
        latency=_latency(policy, [prompt.prompt for prompt in prompts]),
        wrong=tuple(
            f"{prompt.pair} {'missed' if prompt.harmful else 'stopped'}"
            for prompt, decision in judged
            if decision.stopped is not prompt.harmful
        ),
    )


def _row(name: str, judged: Sequence[tuple[LabelledPrompt, Decision]]) -> Row:
    harmful = [one for one in judged if one[0].harmful]
    return Row(
        name=name,
        missed=Rate.of(not decision.stopped for _, decision in harmful),
        stopped=Rate.of(decision.stopped for prompt, decision in judged if not prompt.harmful),
        misnamed=Rate.of(
            prompt.category not in decision.categories for prompt, decision in harmful if decision.stopped
        ),
    )


def _latency(policy: Policy, prompts: Sequence[str]) -> Latency:
    """Time each prompt once with words that are new, then long ones made of several."""
    longs = [f"{' '.join([*prompts[place:], *prompts])}"[:LONG] for place in range(len(prompts))]
    short, long = (_times(policy, texts) for texts in (prompts, longs))
    return Latency(
        median_ms=statistics.median(short),
        p99_ms=_p99(short),
        long_median_ms=statistics.median(long),
        long_p99_ms=_p99(long),
    )


def _times(policy: Policy, texts: Sequence[str]) -> list[float]:
    """Return for each text the median of a few calls: one pause of the machine is not the moderator's."""
    moderator = Moderator(policy, names=read_names())
    runs: list[list[float]] = []
    for _ in range(REPEATS):
        run = []
        for text in texts:
            start = time.perf_counter()
            moderator.text(text)
            run.append((time.perf_counter() - start) * 1000)
        runs.append(run)
    return [statistics.median(times) for times in zip(*runs, strict=True)]


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(0.99 * len(times)))]
