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
from ...types import frames_on_grid
from ..onsets import SILENCE
from .cases import draw_sources, film_truth
from .measured import Measured, mean
from .steps import LEAST_STEP, over_own, picture_steps, widest
from .studio import Studio

BAR = 1.5
WAY_S = 1.0

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
    """Ratios: of the model, of true clips, and of cuts."""

    made: list[float] = field(default_factory=list)
    true: list[float] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)

    def measured(self) -> Measured:
        """Return the mean of each."""
        return Measured(value=mean(self.made), bar=BAR, ground_truth=mean(self.true), baseline=mean(self.cut))


def picture_ratio(frames: Tensor, clip: Tensor, fade: int = FADE_FRAMES, *, comes_back: bool = True) -> float:
    """Return how much wider than usual the widest step of a loop's picture is, from the clip's end to its start again.

    At the two joins usual is the mean step of the loop. From join to join it is the greatest step of the clip itself,
    so that a cut within the way counts like one at a join.

    Args:
        frames: the loop, uint8 ``[F, H, W, 3]``: the clip and the way back.
        clip: as it was, uint8 ``[f, H, W, 3]``.
        fade: kept frames at both joins that fade into what was made.
        comes_back: False for frames that only go on, of which the last is not held against the first.

    Returns:
        About 1 where a loop looks like any other clip.
    """
    steps, end, total = picture_steps(frames), len(clip), len(frames)
    if not comes_back:
        steps[0] = 0.0
    begin, back = end - fade, total + fade
    joins = torch.maximum(widest(steps, begin, end), widest(steps, total, back)) / steps.mean().clamp(min=LEAST_STEP)
    return max(float(joins), over_own(widest(steps, begin, back), clip))


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
    """Measure loops: the mean over clips for the picture, over the joins that are heard for the sound.

    The truth of the picture is the clip rendered on for as long as the way takes, that of the sound is true clips at
    every place, where there is no join. The baseline begins the clip again with a cut.
    """
    cases = draw_sources(studio.level, count, seed, MOTIONS)
    way = round(WAY_S * studio.fps)
    longer = film_truth(cases, replace(studio.plan.format, frames=frames_on_grid(studio.plan.frames + way)))
    films = [
        cut_short(film, struck.tolist()) for film, struck in zip(studio.sources(cases), longer.contacts, strict=True)
    ]
    pictures, sounds = Columns(), Columns()
    for case, film, shown in zip(cases, films, longer.frames, strict=True):
        made = loop(studio.maker(case.prompt), film, seconds=WAY_S, settings=studio.settings(case, "loop"))
        looped = studio.finish("loop", case, made)
        end = film.num_frames
        pictures.made.append(picture_ratio(looped.picture, film.picture))
        pictures.true.append(picture_ratio(shown[: end + way], film.picture, comes_back=False))
        pictures.cut.append(picture_ratio(film.picture, film.picture, fade=0))
        sounds.made += heard_ratios(looped, [end, 0])
        sounds.true += heard_ratios(film, range(FADE_FRAMES + 1, end - FADE_FRAMES))
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


def heard_ratios(film: MemoryFilm, joins: Sequence[int]) -> list[float]:
    """Return `sound_ratio` at each of these frames around which something is heard."""
    audio = film.clip().audio
    if audio is None:
        return []
    places = [samples_at(join, film.fps, film.sample_rate) for join in joins]
    ratios = [sound_ratio(audio, place, film.sample_rate) for place in places]
    return [ratio for ratio in ratios if ratio is not None]
