"""What a comparison of two hashes found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["same", "alike", "different", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Match:
    """The best alignment of two clips.

    verdict: "same" is one clip, re-encoded, resized, trimmed or mirrored. "alike" agrees in the large alone: a crop of
    it, or another take of the same scene. "unclear" is where there is too little to compare, as in a flat or a silent
    clip, which is never the same as anything.
    bit_error: share of the bits that are sure in both and differ there, in [0, 1]; 0.5 is chance.
    cost: the worst error over its threshold; to 1 it is at least alike. detail_cost: the same for what tells takes
    apart; to 1 it is the same.
    seconds_aligned: how long they lie on each other. offset_s: when the second clip begins in the first.
    flipped: one is the mirror image of the other.
    """

    verdict: Verdict
    bit_error: float
    cost: float
    detail_cost: float
    seconds_aligned: float
    offset_s: float
    flipped: bool = False

    @property
    def same(self) -> bool:
        """Say whether both show one clip."""
        return self.verdict == "same"

    @property
    def confidence(self) -> float:
        """Return how far the nearest threshold is, in [0, 1]: 1 is a perfect copy or chance, 0 a verdict that hardly
        was, or an unclear one."""
        if self.verdict == "unclear":
            return 0.0
        if self.verdict == "different":
            return min(1.0, self.cost - 1.0)
        nearest = 1.0 - max(self.cost, self.detail_cost) if self.same else min(1.0 - self.cost, self.detail_cost - 1.0)
        return min(1.0, max(0.0, nearest))

    @staticmethod
    def unknown() -> Match:
        """Return the match of clips that cannot be compared."""
        return Match(
            verdict="unclear",
            bit_error=0.5,
            cost=2.0,
            detail_cost=2.0,
            seconds_aligned=0.0,
            offset_s=0.0,
            flipped=False,
        )


def verdict_of(cost: float, detail_cost: float, *, clear: bool) -> Verdict:
    """Return the verdict for errors that are each given over its threshold."""
    if not clear:
        return "unclear"
    if cost > 1.0:
        return "different"
    return "same" if detail_cost <= 1.0 else "alike"
