"""A film with something about it changed."""

from __future__ import annotations

from ..errors import SoraError
from .canvas import KEEP, MAKE, Canvas, Part
from .checks import check_total
from .conform import on_grid
from .engine import Settings, fill
from .film import Film, FilmStream
from .maker import Maker

STRENGTHS = {"subtle": 0.5, "mild": 0.75, "strong": 0.95}
"""Share of the noise schedule that is run, by the names of Sora's editor. Its own values were never published: these
were measured on our model (what each keeps and changes stands in the README)."""

CUSTOM = "custom"


def remix(
    maker: Maker,
    film: Film,
    *,
    strength: str | float = "mild",
    keep_sound: bool = False,
    settings: Settings | None = None,
) -> FilmStream:
    """Return the film made anew from itself under noise (SDEdit, Meng et al. 2108.01073).

    Args:
        maker: the model with the prompt of what is to be seen now.
        film: the source. strength: a name in `STRENGTHS`, or a share in (0, 1]: more changes more.
        keep_sound: leave the sound as it is.

    Raises:
        SoraError: a strength that is not known or out of range.
    """
    settings = settings or Settings()
    film = on_grid(film, maker.profile)
    check_total(film.num_frames, film.fps)
    part = Part(frames=film.num_frames, film=film, picture=MAKE, sound=KEEP if keep_sound else MAKE)
    share = read_strength(strength)
    changed = Settings(context_s=settings.context_s, seed=settings.seed, strength=share, report=settings.report)
    return fill(maker, Canvas.like(film, [part]), changed)


def read_strength(strength: str | float) -> float:
    """Return a strength as a share of the schedule.

    Raises:
        SoraError: an unknown name, or a share that is not more than 0 and at most 1.
    """
    if isinstance(strength, str) and strength not in STRENGTHS:
        raise SoraError(f"strength {strength!r} is not known; choose one of {', '.join(STRENGTHS)}, or a share up to 1")
    share = STRENGTHS[strength] if isinstance(strength, str) else strength
    if not 0 < share <= 1:
        raise SoraError(f"strength {share:g} must be more than 0 and at most 1; 0.75 is usual")
    return share
