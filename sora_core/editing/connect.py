"""From the end of one film to the start of another.

For example:

    film = connect(maker, FileFilm("ball.mp4"), FileFilm("box.mp4"), seconds=2)
"""

from __future__ import annotations

from .canvas import KEEP, Canvas, Part
from .checks import check_context, check_total, frames_of_seconds
from .conform import RESIZE, alike, on_grid
from .engine import Settings, fill
from .film import Film, FilmStream
from .maker import Maker


def connect(
    maker: Maker, film: Film, other: Film, *, seconds: float, unlike: str = RESIZE, settings: Settings | None = None
) -> FilmStream:
    """Return both films with ``seconds`` made between them.

    Args:
        maker: the model with the prompt of what lies between.
        film, other: what comes before and after; the second is brought to the first one's size and rates.
        unlike: whether a second film of another size or frame rate is resized or refused (see `conform.alike`).

    Raises:
        SoraError: as `extend.extend` and `conform.alike`.
    """
    settings = settings or Settings()
    between = frames_of_seconds(seconds, film.fps)
    film = on_grid(film, maker.profile)
    other = alike(film, other, unlike)
    check_total(film.num_frames + between + other.num_frames, film.fps)
    for clip, what in ((film, "the first clip"), (other, "the second clip")):
        check_context(clip, settings, maker.profile, what)
    before, after = (Part(frames=clip.num_frames, film=clip, picture=KEEP, sound=KEEP) for clip in (film, other))
    return fill(maker, Canvas.like(film, [before, Part(frames=between), after]), settings)
