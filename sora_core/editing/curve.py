"""How much of the second film a blend shows, from its start to its end. Needs no torch."""

from __future__ import annotations

from itertools import pairwise

from ..errors import SoraError

Curve = tuple[tuple[float, float], ...]
"""Points (place, influence of the second film), both in [0, 1], places ascending from 0 to 1; straight between."""

CURVES: dict[str, Curve] = {
    "transition": ((0.0, 0.0), (0.2, 0.0), (0.8, 1.0), (1.0, 1.0)),
    "mix": ((0.0, 0.5), (1.0, 0.5)),
    "sample": ((0.0, 0.0), (0.2, 0.0), (0.5, 0.7), (0.8, 0.0), (1.0, 0.0)),
}
"""Influence curves by name. Sora had such a choice; its curves were never published, so these are ours."""

CUSTOM = "custom"

AMOUNT = 0.8
"""How far an even mix is made anew where nothing else is asked: wholly would leave nothing of either film in a mix that
is even throughout (ours)."""


def read_curve(curve: str | Curve) -> Curve:
    """Return a curve's points: by name, given, or written ``"0:0, 0.5:0.3, 1:1"``.

    Raises:
        SoraError: an unknown name, or points that do not ascend from 0 to 1 with influences in [0, 1].
    """
    if isinstance(curve, str):
        if curve in CURVES:
            return CURVES[curve]
        try:
            pairs = [tuple(float(value) for value in pair.split(":")) for pair in curve.split(",")]
        except ValueError:
            pairs = []
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise SoraError(
                f"curve {curve!r} is not known; choose one of {', '.join(CURVES)}, or write points such as "
                "0:0, 0.5:0.3, 1:1"
            )
        curve = tuple((place, influence) for place, influence in pairs)
    steps = [place for place, _ in curve]
    if steps[0] != 0 or steps[-1] != 1 or not all(a < b for a, b in pairwise(steps)):
        raise SoraError(f"the curve's places {', '.join(f'{s:g}' for s in steps)} must rise from 0 to 1")
    for _, influence in curve:
        if not 0 <= influence <= 1:
            raise SoraError(f"the curve's influence {influence:g} must lie between 0 (first clip) and 1 (second)")
    return curve


def check_amount(amount: float) -> None:
    """Refuse an amount that an even mix cannot be made anew by.

    Raises:
        SoraError: it is not more than 0 and at most 1.
    """
    if not 0 < amount <= 1:
        raise SoraError(f"amount {amount:g} must be more than 0 and at most 1; 1 makes an even mix wholly anew")
