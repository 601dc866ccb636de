"""Where a loop begins again: do picture and sound go on?"""

# F frames, H W pixels, S samples, N short windows, B bins

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ...editing.film import MemoryFilm, samples_at
from ...editing.joining import FADE_FRAMES
from ...editing.loop import loop
from ..onsets import SILENCE
from .cases import draw_sources, film_truth
from .measured import Measured, mean
from .studio import Studio

BAR = 1.5
WAY_S = 1.0
LEAST_STEP = 0.25
"""Mean grey levels of 255 by which two neighbouring frames differ that look alike: a still scene after the VAE."""

WINDOW = 256
"""Samples of one spectrum: 16 ms."""

HOP = 128
ACROSS = 2
"""Steps before and after the window that is centred on a join which have the join in one of their windows."""

NEAR_S = 0.05
"""Seconds at both sides of a join in which something must be heard for it to count."""

LEAST_SOUND_STEP = 0.9
"""Sum over the bins by which neighbouring spectra of white noise of -60 dBFS differ: less is not heard."""

MOTIONS = ("bounce", "roll", "fall", "slide", "bounce", "rise", "stay")
"""Taken in turn. Those that strike are cut short while they ring, so that there is a sound to go on with."""

RINGS_S = 0.04
"""Seconds from a stroke to the end of a clip that is cut short, and up to a frame more."""

LEAST_FRAMES = 12

MOST = 4.0
"""The most that one join counts: a stroke that falls on it is as wide a step as the worst cut, and no fault."""


@dataclass
class Columns:
    """The ratios of joins: of the model, at places of true clips, and of cuts."""

    made: list[float] = field(default_factory=list)
    true: list[float] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)

    def measured(self) -> Measured:
        """Return the mean of each."""
        return Measured(value=mean(self.made), bar=BAR, ground_truth=mean(self.true), baseline=mean(self.cut))


def picture_ratio(frames: Tensor, at: int, fade: int = FADE_FRAMES, *, before: bool = False) -> float:
    """Return the greatest step between neighbouring frames at a join over the mean step of the loop.

    Args:
        frames: uint8 ``[F, H, W, 3]``, shown round and round.
        at: the first frame behind the join; 0 is where the loop begins again.
        fade: kept frames that fade into what was made: further steps that belong to the join.
        before: the kept side is the one before the join.

    Returns:
        1 where the join looks like any other place; a mean step of less than `LEAST_STEP` counts as that.
    """
    picture = frames.float()
    steps = (picture - picture.roll(1, 0)).abs().mean((1, 2, 3))
    places = [(at + (-k if before else k)) % len(frames) for k in range(fade + 1)]
    return float(steps[places].max() / steps.mean().clamp(min=LEAST_STEP))


def sound_ratio(audio_S: Tensor, at: int, sample_rate: int) -> float | None:
    """Return the mean step between the short spectra that see a join over the mean step of all that is heard.

    Args:
        audio_S: float ``[S]`` in [-1, 1], heard round and round.
        at: the first sample behind the join.
        sample_rate: samples per second.

    Returns:
        About 1 where the join sounds like any other place, at most `MOST`; None where nothing is heard within `NEAR_S`
        of it. A step is the sum of the absolute differences of two magnitude spectra that lie `HOP` samples apart: a
        click is a wide one, and so is a sound that breaks off. The ratio does not depend on the loudness of the whole.
    """
    wave = np.roll(audio_S.double().numpy(), len(audio_S) // 2 - at)
    middle, near = len(wave) // 2, round(NEAR_S * sample_rate)
    if np.abs(wave[max(0, middle - near) : middle + near]).max(initial=0.0) < SILENCE:
        return None
    # One of the windows is centred on the join.
    first = (middle - WINDOW // 2) % HOP
    windows_NW = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[first::HOP]
    steps = np.abs(np.diff(np.abs(np.fft.rfft(windows_NW * np.hanning(WINDOW), axis=1)), axis=0)).sum(1)
    peaks = np.abs(windows_NW).max(1)
    heard = np.maximum(peaks[1:], peaks[:-1]) >= SILENCE
    centre = (middle - WINDOW // 2 - first) // HOP
    across = steps[max(0, centre - ACROSS) : centre + ACROSS]
    usual = steps[heard].mean() if heard.any() else 0.0
    return min(MOST, float(across.mean() / max(LEAST_SOUND_STEP, usual)))


def measure_loop(studio: Studio, count: int, seed: int) -> dict[str, Measured]:
    """Measure both joins of loops, picture and sound: the mean over all joins, of sound over those that are heard.

    The truth is true clips at every place, where there is no join; the baseline begins the clip again with a cut.
    """
    cases = draw_sources(studio.level, count, seed, MOTIONS)
    pictures, sounds = Columns(), Columns()
    contacts = film_truth(cases, studio.plan.format).contacts
    films = [cut_short(film, struck.tolist()) for film, struck in zip(studio.sources(cases), contacts, strict=True)]
    for case, film in zip(cases, films, strict=True):
        settings = studio.settings(case, "loop")
        made = loop(studio.maker(case.prompt), film, seconds=WAY_S, settings=settings)
        looped = studio.finish("loop", case, made)
        end = film.num_frames
        inner = range(FADE_FRAMES + 1, end - FADE_FRAMES)
        pictures.made += [picture_ratio(looped.picture, end, before=True), picture_ratio(looped.picture, 0)]
        pictures.true += [picture_ratio(there_and_back(film.picture), place) for place in inner]
        pictures.cut.append(picture_ratio(film.picture, 0, fade=0))
        sounds.made += heard_ratios(looped, [end, 0])
        sounds.true += heard_ratios(film, inner)
        sounds.cut += heard_ratios(film, [0])
    return {"loop_frame_ratio": pictures.measured(), "loop_sound_ratio": sounds.measured()}


def cut_short(film: MemoryFilm, contacts: Sequence[float]) -> MemoryFilm:
    """Return a film up to just after the last stroke in it that leaves `LEAST_FRAMES`; all of it where there is none.

    Args:
        film: with sound. contacts: seconds of its strokes.
    """
    ends = [math.ceil((contact + RINGS_S) * film.fps) for contact in contacts]
    count = max((end for end in ends if LEAST_FRAMES <= end <= film.num_frames), default=film.num_frames)
    return replace(
        film, picture=film.picture[:count], audio=film.sound(0, samples_at(count, film.fps, film.sample_rate))
    )


def there_and_back(frames: Tensor) -> Tensor:
    """Return a film played forwards and backwards: it has the film's steps, and none from its end to its start."""
    return torch.cat([frames, frames[1:-1].flip(0)])


def heard_ratios(film: MemoryFilm, joins: Sequence[int]) -> list[float]:
    """Return `sound_ratio` at each of these frames around which something is heard."""
    audio = film.clip().audio
    if audio is None:
        return []
    places = [samples_at(join, film.fps, film.sample_rate) for join in joins]
    ratios = [sound_ratio(audio, place, film.sample_rate) for place in places]
    return [ratio for ratio in ratios if ratio is not None]
