"""What a reader of marks finds, second by second."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["present", "partial", "absent"]
"""partial: in some stretches and not in others that could carry it."""


class SecondReading(NamedTuple):
    """A stretch of a film. start_s, stop_s: seconds. score: in the reader's own unit. present: is the mark there?"""

    start_s: float
    stop_s: float
    score: float
    present: bool
