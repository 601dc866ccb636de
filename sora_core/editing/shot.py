"""One shot of a storyboard, as it is made: from its text, its first picture, its clip, or the shot before."""

# F frames, H W pixels

from __future__ import annotations

from collections.abc import Iterator

from ..errors import SoraError
from .canvas import KEEP, Canvas, Part
from .checks import frames_of_seconds
from .conform import conform
from .engine import Report, Settings, fill
from .film import Film, FilmStream, MemoryFilm, Piece, samples_at
from .joining import FADE_FRAMES
from .keyframes import Pin, keyframes
from .maker import Maker
from .storyboard_plan import context_of


def lead_of(context: int) -> int:
    """Return how many frames a shot that goes on begins earlier, to lie over the last ones of the shot before."""
    return min(FADE_FRAMES, context)


def make_shot(
    maker: Maker,
    *,
    frames: int,
    width: int,
    height: int,
    fps: float,
    seed: int = 0,
    context: int | None = None,
    image: Film | None = None,
    video: Film | None = None,
    before: Film | None = None,
    report: Report | None = None,
) -> FilmStream:
    """Return a shot, made while it is read; one longer than the model's longest clip in several runs.

    Args:
        maker: the model with the shot's prompt.
        frames: of the shot. width, height: pixels, cut to the model's grid. fps: frames per second. seed: of the noise.
        context: frames that a run sees of what is there; None is 1.1 s.
        image: its first frame is the shot's. video: what it begins with, cut or gone on from to the shot's length.
        before: the shot before, where this one goes on from its last frames, as many of ``context`` as the model's grid
            allows: the result then has ``lead_of`` these frames more, to take the place of that one's last.
        report: as in `Settings`.

    Raises:
        SoraError: more than one thing to begin with, a length that cannot be, or a shot before that is too short.
    """
    if sum(given is not None for given in (image, video, before)) > 1:
        raise SoraError(
            "a shot begins with a picture, with a clip or with the shot before, not with several; take some away"
        )
    frames_of_seconds(frames / fps, fps)
    profile = maker.profile
    seen = context or context_of(fps, profile)
    settings = Settings(context_s=seen / fps, seed=seed, report=report)
    if video is None and before is None:
        pins = [] if image is None else [Pin(at_s=0.0, film=_still(image, fps))]
        return keyframes(maker, pins, seconds=frames / fps, fps=fps, width=width, height=height, settings=settings)
    columns, rows = profile.size(width, height)
    given = video or before
    assert given is not None
    heard = profile.sound if maker.sound else None
    film = conform(
        given,
        width=columns,
        height=rows,
        fps=fps,
        sample_rate=heard.rate if heard else None,
        channels=heard.channels if heard else None,
    )
    if video is not None:
        kept, rest = min(frames, film.num_frames), frames - film.num_frames
        parts = [Part(frames=kept, film=film, picture=KEEP, sound=KEEP)]
        if rest > 0:
            parts.append(Part(frames=rest))
        return fill(maker, Canvas.like(film, parts), settings)
    seen = profile.at_most(min(seen, film.num_frames)) or profile.at_least(1)
    if film.num_frames < seen:
        raise SoraError(
            f"the shot before has {film.num_frames} frames, fewer than the {seen} that this one goes on from; "
            "make it longer, or ask for less context"
        )
    held = Part(frames=seen, film=film, first=film.num_frames - seen, picture=KEEP, sound=KEEP)
    return _without(fill(maker, Canvas.like(film, [held, Part(frames=frames)]), settings), seen - lead_of(seen))


def _still(film: Film, fps: float) -> Film:
    """Return a film's first frame, which at another rate would be several."""
    return MemoryFilm(picture=next(iter(film.frames(0, 1))), audio=None, fps=fps)


def _without(stream: FilmStream, frames: int) -> FilmStream:
    """Return a film without its first frames."""
    rate = stream.sample_rate

    def rest() -> Iterator[Piece]:
        at = 0
        for piece in stream.pieces:
            gone = min(max(0, frames - at), len(piece.frames))
            cut = samples_at(at + gone, stream.fps, rate) - samples_at(at, stream.fps, rate)
            at += len(piece.frames)
            if gone < len(piece.frames):
                yield Piece(piece.frames[gone:], None if piece.sound is None else piece.sound[:, cut:])

    return FilmStream(
        pieces=rest(),
        num_frames=stream.num_frames - frames,
        width=stream.width,
        height=stream.height,
        fps=stream.fps,
        sample_rate=rate,
        channels=stream.channels,
    )
