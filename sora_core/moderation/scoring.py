"""What a classifier gave, as numbers that can be trusted, or a failure."""
# F frames

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .classifier import Card
from .failure import Failure


def label_scores(card: Card, given: object) -> dict[str, float]:
    """Return one score for each label of the card.

    Raises:
        Failure: one is missing, or is no number from 0 to 1.
    """
    return {name: _score(value) for name, value in _labelled(card, given).items()}


def frame_scores(card: Card, given: object, num_frames: int) -> dict[str, float]:
    """Return for each label of the card the highest score of all frames.

    Raises:
        Failure: one is missing, the count is another than that of the frames, or a score is no number from 0 to 1.
    """
    highest = {}
    for name, values in _labelled(card, given).items():
        try:
            scores = [_score(value) for value in values]
        except TypeError:
            raise Failure("wrong-count") from None
        if len(scores) != num_frames:
            raise Failure("wrong-count")
        highest[name] = max(scores)
    return highest


def _labelled(card: Card, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping) or any(name not in given for name in card.labels):
        raise Failure("label-missing")
    return {name: given[name] for name in card.labels}


def _score(value: Any) -> float:  # noqa: ANN401  whatever a stranger's classifier gives
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise Failure("bad-score") from None
    if not math.isfinite(number) or not 0 <= number <= 1:
        raise Failure("bad-score")
    return number
