"""Which task a step trains at which format: shares of the steps, within a limit of packed layouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .encoded import KINDS, can_cut
from .tasks import TaskMix

LAYOUTS = ("cut", "references", "image", "silent", "later")
"""Tasks of a whole step, each with its share in `TaskMix`; the first ones are the last that a limit leaves out."""

COST = {"references": 2, "later": 0}
"""Packed layouts of a task at one format: one picture or two; windows from within a motion are as joint as any."""

JOINT = "joint"
MOSTLY_JOINT = 0.25
"""Share of a format's steps, windows from within a motion aside, that stay joint where there is a choice."""


@dataclass(frozen=True)
class StepPlan:
    """What a run's steps are drawn from.

    tasks, places: of each kind of step its task (of `LAYOUTS`, or joint) and the place of its format.
    chances: of each, adding up to 1. layouts: packed layouts in all.
    """

    tasks: tuple[str, ...]
    places: tuple[int, ...]
    chances: tuple[float, ...]
    layouts: int

    def of_kind(self, kind: str, place: int) -> float:
        """Return the share of steps on clips of one of `KINDS` at one format."""
        found = zip(self.tasks, self.places, self.chances, strict=True)
        return sum(share for task, at, share in found if at == place and (task if task in KINDS else KINDS[0]) == kind)


def plan_steps(
    mix: TaskMix, frames: Sequence[int], shares: Sequence[float], batches: Sequence[int], most: int = 0
) -> StepPlan:
    """Return a run's steps.

    Joint steps and windows from within a motion are trained at every format. The other tasks are given to formats in
    turns, to the one with the most steps first, until the limit is reached; a task keeps its share of all steps, and a
    format its share of all clips.

    Args:
        mix: shares of the tasks. frames: latent frames of each format. shares: of the clips, relative.
        batches: clips in a step of each format. most: packed layouts in all, 0 for no limit.
    """
    weights = [share / batch for share, batch in zip(shares, batches, strict=True)]
    whole = sum(weights)
    weights = [weight / whole for weight in weights]
    ranked = sorted(range(len(frames)), key=lambda place: -weights[place])
    room = most - len(frames) if most else 1 << 30
    chosen: dict[str, list[int]] = {task: [] for task in LAYOUTS if getattr(mix, task) > 0}
    left = [weight * (1 - mix.later) * (1 - MOSTLY_JOINT) for weight in weights]
    for turn in range(len(frames)):
        for task, places in chosen.items():
            able = [place for place in ranked if place not in places and is_possible(task, frames[place])]
            # every task has one format at least, whatever the limit: the first that still has as many steps
            if able and (turn == 0 or COST.get(task, 1) <= max(0, room)):
                share = getattr(mix, task) if turn == 0 and task != "later" else 0.0
                places.append(next((place for place in able if left[place] >= share), able[0]))
                left[places[-1]] -= share
                room -= COST.get(task, 1)
    table: dict[tuple[str, int], float] = {}
    for task, places in chosen.items():
        there = sum(weights[place] for place in places)
        for place in places:
            table[task, place] = getattr(mix, task) * weights[place] / there
    for place, weight in enumerate(weights):
        taken = sum(share for (_, at), share in table.items() if at == place)
        table[JOINT, place] = max(0.0, weight - taken)
    used = [key for key, share in table.items() if share > 0]
    total = sum(table.values())
    return StepPlan(
        tasks=tuple(task for task, _ in used),
        places=tuple(place for _, place in used),
        chances=tuple(table[key] / total for key in used),
        layouts=sum(COST.get(task, 1) for task, _ in used),
    )


def is_possible(task: str, frames: int) -> bool:
    """Say whether a clip of so many latent frames is long enough for a task."""
    return {"cut": can_cut(frames), "later": frames > 1}.get(task, True)
