"""A film trimmed, and sections of it made anew between what stays.

For example:

    better = recut(maker, FileFilm("ball.mp4"), start_s=0.5, redo=[Redo(start_s=1, end_s=1.5)])
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import SoraError
from .canvas import KEEP, Canvas, Part
from .checks import check_total, frames_of_seconds
from .conform import on_grid
from .engine import Settings, fill
from .film import Film, FilmStream
from .maker import Maker
from .redo import Redo, in_order

__all__ = ["Redo", "recut"]


def recut(
    maker: Maker,
    film: Film,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    redo: Sequence[Redo] = (),
    settings: Settings | None = None,
) -> FilmStream:
    """Return the film from ``start_s`` to ``end_s``, with sections of it made anew.

    Args:
        maker: the model with the prompt of what the new sections show.
        film: the source. end_s: None is its end.
        redo: sections inside what is left, that do not overlap.

    Raises:
        SoraError: a trim or section outside the film, or sections that overlap.
    """
    film = on_grid(film, maker.profile)
    whole = film.num_frames / film.fps
    end = whole if end_s is None else end_s
    if not 0 <= start_s < end <= whole + 0.5 / film.fps:
        raise SoraError(
            f"a cut from {start_s:g} to {end:g} s must lie in the clip, 0 to {whole:.2f} s, and start before it ends"
        )
    first, last = round(start_s * film.fps), min(film.num_frames, max(1, round(end * film.fps)))
    first = min(first, last - 1)
    parts: list[Part] = []
    at = first
    for section in in_order(redo):
        low, high = round(section.start_s * film.fps), round(section.end_s * film.fps)
        if not first <= low < high <= last:
            raise SoraError(
                f"a section from {section.start_s:g} to {section.end_s:g} s must lie in what is left of the clip, "
                f"{first / film.fps:.2f} to {last / film.fps:.2f} s, and hold a frame"
            )
        if low > at:
            parts.append(Part(frames=low - at, film=film, first=at, picture=KEEP, sound=KEEP))
        length = high - low if section.seconds is None else frames_of_seconds(section.seconds, film.fps)
        parts.append(Part(frames=length))
        at = high
    if at < last:
        parts.append(Part(frames=last - at, film=film, first=at, picture=KEEP, sound=KEEP))
    if redo and all(part.film is None for part in parts):
        raise SoraError("nothing of the clip is left to begin or end with; make anew less of it")
    canvas = Canvas.like(film, parts)
    check_total(canvas.num_frames, canvas.fps)
    return fill(maker, canvas, settings)
