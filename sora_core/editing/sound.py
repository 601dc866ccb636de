"""Sound for a film, and a film for a sound, by a model that makes both.

For example:

    heard = foley(maker, FileFilm("silent.mp4"))
    seen = sound_to_video(maker, FileFilm("ball.mp4"), width=64, height=64)
"""

# C sound channels, S samples

from __future__ import annotations

from ..errors import SoraError
from .canvas import KEEP, MAKE, Canvas, Part, Track
from .checks import check_total, frames_of_seconds
from .conform import conform, on_grid
from .engine import Settings, fill
from .film import Film, FilmStream, MemoryFilm
from .keyframes import first_frames
from .maker import Maker
from .profile import SoundProfile
from .resample import resample


def foley(maker: Maker, film: Film, *, settings: Settings | None = None) -> FilmStream:
    """Return the film with a sound made to its picture; a sound that it has is replaced.

    Raises:
        SoraError: the model makes no sound.
    """
    sound = _require_sound(maker)
    film = on_grid(film, maker.profile)
    check_total(film.num_frames, film.fps)
    part = Part(frames=film.num_frames, film=conform(film, channels=0), picture=KEEP, sound=MAKE)
    canvas = Canvas(
        parts=[part],
        width=film.width,
        height=film.height,
        fps=film.fps,
        sample_rate=sound.rate,
        channels=sound.channels,
    )
    return fill(maker, canvas, settings)


def sound_to_video(
    maker: Maker,
    track: Track | None,
    *,
    width: int,
    height: int,
    fps: float | None = None,
    seconds: float | None = None,
    settings: Settings | None = None,
) -> FilmStream:
    """Return a film made to a sound.

    Args:
        maker: the model with the prompt. track: the sound; a film's own will do.
        width, height: pixels, cut to the model's grid. fps: None takes the family's.
        seconds: of the film; None is as long as the sound.

    Raises:
        SoraError: no sound, or a model that makes none.
    """
    sound = _require_sound(maker)
    profile = maker.profile
    if track is None or not track.channels:
        raise SoraError("the clip is silent, and its sound is what the film is made to; give one with sound")
    wave = track.sound(0)
    assert wave is not None
    rate = fps or profile.fps
    length = wave.shape[1] / track.sample_rate if seconds is None else seconds
    frames = frames_of_seconds(length, rate)
    made = profile.at_least(frames)
    heard = MemoryFilm(
        picture=wave.new_zeros(made, 1, 1, 3).byte(),
        audio=resample(wave, track.sample_rate, sound.rate, channels=sound.channels),
        fps=rate,
        sample_rate=sound.rate,
    )
    columns, rows = profile.size(width, height)
    canvas = Canvas(
        parts=[Part(frames=made, track=heard, picture=MAKE, sound=KEEP)],
        width=columns,
        height=rows,
        fps=rate,
        sample_rate=sound.rate,
        channels=sound.channels,
    )
    return first_frames(fill(maker, canvas, settings), frames)


def _require_sound(maker: Maker) -> SoundProfile:
    if maker.profile.sound is None or not maker.sound:
        raise SoraError(
            f"{maker.profile.family} makes no sound here; use a model that makes picture and sound together, with its "
            "audio VAE"
        )
    return maker.profile.sound
