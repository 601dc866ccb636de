"""How far a remix leaves its source. Needs no torch."""

from __future__ import annotations

from ..errors import SoraError

STRENGTHS = {"subtle": 0.75, "mild": 0.9, "strong": 0.97}
"""Share of the noise schedule that is run, by the names of Sora's editor. Its own values were never published: these
were measured on our model (what each keeps and changes stands in the README)."""

CUSTOM = "custom"


def read_strength(strength: str | float) -> float:
    """Return a strength as a share of the schedule: by name, or the number itself, which may be written as text.

    Raises:
        SoraError: an unknown name, or a share that is not more than 0 and at most 1.
    """
    try:
        share = STRENGTHS[strength] if strength in STRENGTHS else float(strength)
    except ValueError:
        names = ", ".join(STRENGTHS)
        raise SoraError(f"strength {strength!r} is not known; choose one of {names}, or a share up to 1") from None
    if not 0 < share <= 1:
        raise SoraError(f"strength {share:g} must be more than 0 and at most 1; 0.9 is usual")
    return share
