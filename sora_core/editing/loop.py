"""A film that can be shown again and again without a seam, in picture and sound.

For example:

    endless = loop(maker, FileFilm("ball.mp4"), seconds=1)
"""

from __future__ import annotations

from collections.abc import Iterator

from .canvas import KEEP, Canvas, Part
from .checks import check_total, frames_of_seconds
from .conform import on_grid
from .engine import Settings, fill
from .film import Film, FilmStream, MemoryFilm, Piece, samples_at
from .joining import FADE_FRAMES
from .maker import Maker
from .plan import context_frames


def loop(maker: Maker, film: Film, *, seconds: float, settings: Settings | None = None) -> FilmStream:
    """Return the film with a way from its end back to its start.

    The way is made first, between the film's last and first frames; both of its seams fade like those of `connect`, so
    the result may be cut anywhere.

    Args:
        maker: the model with the prompt of the film.
        film: at least two frames.
        seconds: of the way back.

    Raises:
        SoraError: as `extend.extend`.
    """
    settings = settings or Settings()
    way = frames_of_seconds(seconds, film.fps)
    film = on_grid(film, maker.profile)
    check_total(film.num_frames + way, film.fps)
    context = context_frames(settings.context_for(film.fps, maker.profile), film.fps, maker.profile) + FADE_FRAMES
    head = min(context, film.num_frames // 2 or 1)
    tail = min(context, film.num_frames - head or 1)
    parts = [
        Part(frames=tail, film=film, first=film.num_frames - tail, picture=KEEP, sound=KEEP),
        Part(frames=way),
        Part(frames=head, film=film, picture=KEEP, sound=KEEP),
    ]
    bridge = fill(maker, Canvas.like(film, parts), settings)
    return FilmStream(
        pieces=_around(film, bridge, head, tail),
        num_frames=film.num_frames + way,
        width=film.width,
        height=film.height,
        fps=film.fps,
        sample_rate=film.sample_rate,
        channels=film.channels,
    )


def _around(film: Film, bridge: FilmStream, head: int, tail: int) -> Iterator[Piece]:
    """Yield the film with its ends from the bridge, and then the way back."""
    made = bridge.collect()
    middle = film.num_frames - head - tail
    if middle < 0:
        # A film of one frame is its own head and tail.
        tail, middle = 0, 0
    begin = made.num_frames - head
    places = [(made, begin, made.num_frames), (film, head, head + middle)]
    skipped = (film.num_frames == 1) * 1
    places.append((made, skipped, begin))
    yield from joined(places, film.fps, film.sample_rate)


def joined(places: list[tuple[Film | MemoryFilm, int, int]], fps: float, sample_rate: int) -> Iterator[Piece]:
    """Yield frames ``start`` to ``stop`` of each film, one after another, with the sound of exactly their time."""
    done = 0
    for film, start, stop in places:
        at = start
        for frames in film.frames(start, stop):
            count = len(frames)
            samples = samples_at(done + count, fps, sample_rate) - samples_at(done, fps, sample_rate)
            origin = samples_at(at, fps, sample_rate)
            yield Piece(frames, film.sound(origin, origin + samples))
            at, done = at + count, done + count
