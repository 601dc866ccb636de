"""One figure of the editor beside what it should reach, what is true, and what needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row of the table.

    value: of the model. bar: what it should reach. ground_truth: of true clips by the same code, None where there is no
    truth. baseline: of the simplest thing that could be done instead. None is also what could not be measured.
    """

    value: float | None
    bar: float | None
    ground_truth: float | None
    baseline: float | None

    def as_json(self) -> dict[str, float | None]:
        """Return it as plain numbers."""
        return asdict(self)


def mean(values: Sequence[float] | Sequence[bool]) -> float | None:
    """Return the mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


def rms(values: Sequence[float]) -> float | None:
    """Return the root of the mean square, or None of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else None


def share_of(value: float | None, whole: float | None, factor: float = 1.0) -> float | None:
    """Return ``factor * value / whole``, None where either is missing or the whole is nothing."""
    return None if value is None or not whole else factor * value / whole
