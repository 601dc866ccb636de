"""More of a film: after its end, or before its beginning.

For example:

    longer = extend(maker, FileFilm("ball.mp4"), seconds=3)
"""

from __future__ import annotations

from ..errors import SoraError
from .canvas import KEEP, Canvas, Part
from .checks import check_context, check_total, frames_of_seconds
from .conform import on_grid
from .engine import Settings, fill
from .film import Film, FilmStream
from .maker import Maker

FORWARD, BACKWARD = "forward", "backward"
DIRECTIONS = (FORWARD, BACKWARD)


def extend(
    maker: Maker, film: Film, *, seconds: float, direction: str = FORWARD, settings: Settings | None = None
) -> FilmStream:
    """Return the film with more of it, in one or many runs.

    Args:
        maker: the model with the prompt of what goes on.
        film: of any length and size; cut to the model's grid of pixels.
        seconds: to add.
        direction: ``forward`` goes on after the end, ``backward`` makes what came before.

    Raises:
        SoraError: a length or direction that cannot be, a film shorter than the context, or more than ten minutes.
    """
    settings = settings or Settings()
    if direction not in DIRECTIONS:
        raise SoraError(f"direction {direction!r} is not known; choose one of {', '.join(DIRECTIONS)}")
    added = frames_of_seconds(seconds, film.fps)
    check_total(film.num_frames + added, film.fps)
    film = on_grid(film, maker.profile)
    check_context(film, settings, maker.profile)
    kept, new = Part(frames=film.num_frames, film=film, picture=KEEP, sound=KEEP), Part(frames=added)
    parts = [kept, new] if direction == FORWARD else [new, kept]
    return fill(maker, Canvas.like(film, parts), settings)
