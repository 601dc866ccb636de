"""A film with something about it changed.

For example:

    another = remix(maker, FileFilm("ball.mp4"), strength="subtle", keep_sound=True)
"""

from __future__ import annotations

from .canvas import KEEP, MAKE, Canvas, Part
from .checks import check_total
from .conform import on_grid
from .engine import Settings, fill
from .film import Film, FilmStream
from .maker import Maker
from .strength import CUSTOM, STRENGTHS, read_strength

__all__ = ["CUSTOM", "STRENGTHS", "read_strength", "remix"]


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
        film: the source. strength: a name in `strength.STRENGTHS`, or a share in (0, 1]: more changes more.
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
