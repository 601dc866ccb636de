"""Pictures and clips pinned at times, and the film between them.

For example:

    film = keyframes(maker, [Pin(at_s=0, film=first), Pin(at_s=-1, film=last)], seconds=4)
"""

# F frames, H W pixels

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import SoraError
from .canvas import KEEP, MAKE, Canvas, Part
from .checks import frames_of_seconds
from .conform import conform
from .engine import Settings, fill
from .film import Film, FilmStream, MemoryFilm, Piece, samples_at
from .maker import Maker
from .profile import Profile
from .window import spans


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A film that is seen from ``at_s`` seconds on; of one frame, a picture. ``at_s`` -1 is the end."""

    at_s: float
    film: Film


def keyframes(
    maker: Maker,
    pins: Sequence[Pin],
    *,
    seconds: float,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
    sound: bool = True,
    settings: Settings | None = None,
) -> FilmStream:
    """Return a film in which each pin is seen at its time.

    A latent frame stands for several frames, so a picture is held over those of the one that its time lies in.

    Args:
        maker: the model with the prompt. pins: in any order; none makes the film from the prompt alone.
        seconds: of the film. fps: None takes the family's. width, height: None takes the first pin's.
        sound: whether to make sound, where the model can. A clip's own sound is kept with it.

    Raises:
        SoraError: a pin outside the film or on another one, a size that is not given nor known.
    """
    profile = maker.profile
    rate = fps or profile.fps
    frames = frames_of_seconds(seconds, rate)
    if not pins and not (width and height):
        raise SoraError("neither a picture nor a size is given; give width and height, or pin a picture")
    columns, rows = profile.size(width or pins[0].film.width, height or pins[0].film.height)
    made = profile.at_least(frames)
    heard = profile.sound if sound and maker.sound else None
    own = next((pin.film for pin in pins if pin.film.channels), None)
    channels = heard.channels if heard else own.channels if own else 0
    sample_rate = heard.rate if heard else own.sample_rate if own else 48_000
    placed: list[tuple[int, int, Film]] = []
    for pin in pins:
        film = conform(pin.film, width=columns, height=rows, fps=rate, sample_rate=sample_rate, channels=channels)
        placed.append(_placed(pin, film, frames, made, profile))
    canvas = Canvas(
        parts=list(_parts(placed, made, rate)),
        width=columns,
        height=rows,
        fps=rate,
        sample_rate=sample_rate,
        channels=channels,
    )
    return first_frames(fill(maker, canvas, settings), frames)


def from_prompt(
    maker: Maker,
    *,
    seconds: float,
    width: int,
    height: int,
    fps: float | None = None,
    sound: bool = True,
    settings: Settings | None = None,
) -> FilmStream:
    """Return a film of the prompt alone; arguments as `keyframes`."""
    return keyframes(maker, (), seconds=seconds, fps=fps, width=width, height=height, sound=sound, settings=settings)


def first_frames(stream: FilmStream, frames: int) -> FilmStream:
    """Return the first ``frames`` frames of a film."""
    if frames == stream.num_frames:
        return stream

    def cut() -> Iterator[Piece]:
        done = 0
        for piece in stream.pieces:
            kept = min(len(piece.frames), frames - done)
            if kept <= 0:
                return
            span = samples_at(done + kept, stream.fps, stream.sample_rate) - samples_at(
                done, stream.fps, stream.sample_rate
            )
            yield Piece(piece.frames[:kept], None if piece.sound is None else piece.sound[:, :span])
            done += kept

    return FilmStream(
        pieces=cut(),
        num_frames=frames,
        width=stream.width,
        height=stream.height,
        fps=stream.fps,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
    )


def _placed(pin: Pin, film: Film, frames: int, made: int, profile: Profile) -> tuple[int, int, Film]:
    """Return a pin's first and end frame on the canvas."""
    at = frames - film.num_frames if pin.at_s == -1 else round(pin.at_s * film.fps)
    if not 0 <= at < frames or (film.num_frames > 1 and at + film.num_frames > frames):
        raise SoraError(
            f"a keyframe at {pin.at_s:g} s, {film.num_frames / film.fps:.2f} s long, does not lie in the film of "
            f"{frames / film.fps:.2f} s; give it an earlier time, or -1 for the end"
        )
    if film.num_frames > 1:
        return at, at + film.num_frames, film
    low, high = next((first, last) for _, _, first, last in spans(made, profile) if first <= at < last)
    if pin.at_s == -1:
        high = made
    picture = next(iter(film.frames(0, 1)))
    still = MemoryFilm(picture=picture.expand(high - low, -1, -1, -1), audio=None, fps=film.fps)
    return low, high, still


def _parts(placed: list[tuple[int, int, Film]], made: int, fps: float) -> Iterator[Part]:
    end = 0
    for low, high, film in sorted(placed, key=lambda each: each[:2]):
        if low < end:
            raise SoraError(
                f"two keyframes meet at {low / fps:.2f} s; a picture takes {(high - low) / fps:.2f} s, so put them "
                "further apart"
            )
        if low > end:
            yield Part(frames=low - end)
        kept = min(high, made) - low
        yield Part(frames=kept, film=film, picture=KEEP, sound=KEEP if film.channels else MAKE)
        end = low + kept
    if end < made:
        yield Part(frames=made - end)


def read_times(text: str) -> list[float]:
    """Return times written ``"0, 1.5, end"`` in seconds; ``end`` is -1.

    Raises:
        SoraError: one that is neither.
    """
    times: list[float] = []
    for word in (piece.strip() for piece in text.split(",")):
        if not word:
            continue
        try:
            times.append(-1.0 if word.lower() == "end" else float(word))
        except ValueError:
            raise SoraError(f"time {word!r} is not a number of seconds; write for example: 0, 1.5, end") from None
    return times
