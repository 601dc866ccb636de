"""How the visible mark looks and moves."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import SoraError

DEFAULT_TEXT = "AI \u00b7 Sora Nodes"

SHORTEST_SIDE = 240
"""Pixels. Below, letters of a size that does not disturb can no longer be read after compression."""


@dataclass(frozen=True, kw_only=True)
class BadgeConfig:
    """What a user may set; the reader needs the same `letter_height`.

    Args:
        letter_height: of a capital, as a part of the short side, 0.03 to 0.12; the line with its outline takes about
            half as much again.
        opacity: of the letters, 0.4 to 1.
        dwell_s: how long the badge stays about one place, 0.3 to 1.25 seconds; each stay is up to a fifth shorter.
        travel_s: how long it takes to the next place, 0.2 to 0.6 seconds. On the way in, there and on the way out
            it covers no pixel for more than 2 seconds.
        texture: strength of the full-frame texture on flat ground, 0 to 4 grey levels of 255 (root mean square);
            on busy ground it rises to three times as much. 0 leaves it out.

    Raises:
        SoraError: a value outside its range.

    Source: our decision. Published descriptions of moving badges disagree on size and timing.
    """

    letter_height: float = 0.042
    opacity: float = 0.85
    dwell_s: float = 1.25
    travel_s: float = 0.6
    texture: float = 0.8

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name, low, high in (
            ("letter_height", 0.03, 0.12),
            ("opacity", 0.4, 1.0),
            ("dwell_s", 0.3, 1.25),
            ("travel_s", 0.2, 0.6),
            ("texture", 0.0, 4.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SoraError(f"the badge's {name} {value} is outside {low} to {high}; choose one between them")
