"""What a remix changes and what it leaves: each attribute of the result against source and new prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...editing.film import MemoryFilm
from ...editing.remix import remix
from ...editing.strength import read_strength
from ..detector import Detection
from ..prompts import expected
from .cases import Change
from .measured import Measured, mean, share_of
from .seams import follow
from .studio import Studio

KEPT_BAR, CHANGED_BAR = 0.95, 0.90
STRENGTH = "mild"


@dataclass
class Shares:
    """What was right, by attribute: those that the new prompt changes, and those that it leaves."""

    kept: dict[str, list[bool]] = field(default_factory=dict)
    changed: dict[str, list[bool]] = field(default_factory=dict)

    def see(self, change: Change, seen: Detection, words: dict[str, str]) -> None:
        """Judge one clip by the words of its target; what is left is what source and target share."""
        for name, word in words.items():
            column = self.changed if name in change.changed else self.kept
            column.setdefault(name, []).append(getattr(seen, name) == word)

    def share(self, column: dict[str, list[bool]]) -> float | None:
        """Return the share of right answers over all attributes of a column."""
        return mean([right for answers in column.values() for right in answers])


def judge(studio: Studio, changes: Sequence[Change], seen: Sequence[Detection]) -> Shares:
    """Say what of each change is right in what is seen of it."""
    shares = Shares()
    for change, detection in zip(changes, seen, strict=True):
        shares.see(change, detection, expected(change.target.attributes, studio.level))
    return shares


def remixed(studio: Studio, changes: Sequence[Change], strength: str | float = STRENGTH) -> list[MemoryFilm]:
    """Remix each true source to its target's prompt."""
    made: list[MemoryFilm] = []
    for change, film in zip(changes, studio.sources([change.source for change in changes]), strict=True):
        settings = studio.settings(change.target, "remix")
        maker = studio.maker(change.target.prompt, read_strength(strength))
        stream = remix(maker, film, strength=strength, settings=settings)
        made.append(studio.finish("remix", change.target, stream))
    return made


def place_error(studio: Studio, changes: Sequence[Change], films: Sequence[MemoryFilm]) -> float | None:
    """Return how far the actor is from where it was in the source: frame heights, mean over frames and clips.

    Words do not say where, so that clips from text alone do not know; of the changes that leave the motion as it is.
    """
    far: list[float] = []
    sources = studio.sources([change.source for change in changes])
    for change, source, film in zip(changes, sources, films, strict=True):
        if change.attribute == "motion":
            continue
        was, now = (follow(shown.picture, studio.detector.scenes) for shown in (source, film))
        both = was.seen & now.seen
        if both.any():
            far.append(float(np.linalg.norm(was.centre - now.centre, axis=1)[both].mean()))
    return mean(far)


def measure_remix(
    studio: Studio,
    changes: Sequence[Change],
    films: Sequence[MemoryFilm],
    true: Sequence[Detection],
    plain: Sequence[Detection],
) -> dict[str, Measured]:
    """Measure what is kept and what is changed, each over what clips from the same new prompts alone get right.

    The truth is the target rendered; the baseline is the source as it was. Both figures are blind to what no word says:
    a remix that is made wholly anew does as well as text alone, which is why `place_error` stands beside them.

    Args:
        studio, changes: what was done. films: what came of it.
        true, plain: what is seen in the targets' true clips, and in clips made from their prompts.
    """
    usual = judge(studio, changes, plain)
    sources = [studio.detect(film) for film in studio.sources([change.source for change in changes])]
    columns = {
        "value": judge(studio, changes, [studio.detect(film) for film in films]),
        "ground_truth": judge(studio, changes, true),
        "baseline": judge(studio, changes, sources),
    }
    kept = {name: share_of(one.share(one.kept), usual.share(usual.kept)) for name, one in columns.items()}
    changed = {name: share_of(one.share(one.changed), usual.share(usual.changed)) for name, one in columns.items()}
    return {
        "remix_kept": Measured(bar=KEPT_BAR, **kept),
        "remix_changed": Measured(bar=CHANGED_BAR, **changed),
    }
