"""Cameos that a clip shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..provenance.home import Home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..cameo.use import Use
    from ..provenance.manifest.generation import CameoUse
    from .judging import Judged


class Borrowed:
    """Cameos that a command shows: one use for each clip, begun before anything is made, and each with an end.

    Args:
        names: one or two cameos. prompt: all words that shape the clip. clips: how many. judged: by which policy.

    Raises:
        SoraError: a use is not allowed; the refusal is in the log.
    """

    def __init__(self, names: Sequence[str], prompt: str, clips: int, judged: Judged | None) -> None:
        from ..cameo.ledger import Ledger
        from ..cameo.use import Ask

        self.ledger = Ledger(Home.default())
        policy = None if judged is None else judged.policy.sha256
        tags = () if judged is None else (*judged.decision.categories, *judged.decision.labels)
        asks = [Ask(cameo=name) for name in names]
        self.open: list[Use] = []
        try:
            for _ in range(clips):
                self.open.append(self.ledger.begin_use(asks, prompt=prompt, policy=policy, tags=tags))
        except BaseException:
            self.end("refused")
            raise

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Return what may be shown to the model, uint8 ``[H, W, 3]`` each: one of each of two, or all of one.

        Raises:
            SoraError: it is not allowed any more.
        """
        # copies, for what the ledger hands out cannot be written to
        lent = self.ledger.likeness(self.open[0]).values()
        found = [[picture.copy() for picture in each.pictures] for each in lent]
        return [pictures[0] for pictures in found if pictures] if len(found) > 1 else list(found[0])

    def next(self) -> tuple[tuple[CameoUse, ...], Callable[[str], None]]:
        """Return what the next clip's manifest says of its use, and what is told the finished file's hash."""
        use = self.open[0]

        def finish(sha256: str) -> None:
            self.open.remove(use)
            self.ledger.finish_use(use, output_sha256=sha256)

        self.ledger.check_again(use)
        return use.claims(), finish

    def end(self, why: str) -> None:
        """End all uses of which nothing came."""
        while self.open:
            self.ledger.finish_use(self.open.pop(), failed=why)
