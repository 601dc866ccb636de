"""The one engine of the editor: keep what a canvas keeps, make the rest in one or more runs, join in pixels."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import SoraError
from .buffer import Buffer, Take
from .canvas import Canvas
from .checks import CONTEXT_S, check_context_s
from .film import FilmStream, Piece
from .joining import FADE_FRAMES, FADE_S, fade_weights, mix_frames, mix_sound
from .maker import Maker
from .plan import Job, Place, plan
from .profile import Profile
from .window import Window, longer_seed, run

Report = Callable[[int, int], None]
"""Runs done, and runs in all."""

CONTEXT_SHARE = 0.6
"""At most so much of a model's longest clip is context that nobody asked for (ours)."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a canvas is filled.

    Args:
        context_s: seconds of the film that a run sees at either side of what it makes; None takes `CONTEXT_S`, less
            where there is less of it or where a model's clips are short at the film's rate.
        seed: of the first run. strength: share in (0, 1] of the schedule that is run: below 1 what is known is varied.
        report: told before the first run and after each.
    """

    context_s: float | None = None
    seed: int = 0
    strength: float = 1.0
    report: Report | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_context_s(self.context_s)
        if not 0 < self.strength <= 1:
            raise SoraError(f"strength {self.strength:g} must be more than 0 and at most 1; 1 makes everything anew")

    def context_for(self, fps: float, profile: Profile) -> float:
        """Return the seconds of context for a film of that rate."""
        return min(CONTEXT_S, CONTEXT_SHARE * profile.longest / fps) if self.context_s is None else self.context_s


def fill(maker: Maker, canvas: Canvas, settings: Settings | None = None) -> FilmStream:
    """Return the film that a canvas becomes, made while it is read.

    What is kept comes out as it went in, but for `FADE_FRAMES` beside each border. A stretch longer than the model's
    longest clip is made in several runs; each sees the end of the one before. A stretch of which only what follows is
    known is made from its end to its beginning, and waits on disk.

    Raises:
        SoraError: a context that leaves a run nothing to make, at once; what a model refuses, while the film is read.
    """
    settings = settings or Settings()
    jobs = plan(canvas, maker.profile, settings.context_for(canvas.fps, maker.profile))
    return FilmStream(
        pieces=_Filling(maker, canvas, settings, jobs).pieces(),
        num_frames=canvas.num_frames,
        width=canvas.width,
        height=canvas.height,
        fps=canvas.fps,
        sample_rate=canvas.sample_rate,
        channels=canvas.channels,
    )


class _Filling:
    """One canvas on its way to a film."""

    def __init__(self, maker: Maker, canvas: Canvas, settings: Settings, jobs: list[Job]) -> None:
        self.maker, self.canvas, self.settings, self.jobs = maker, canvas, settings, jobs
        self.done, self.runs = 0, sum(len(job.places) for job in jobs)
        # A run sees what lies before what it makes, of which the last frames are the fade of the run before.
        self.hold = FADE_FRAMES + max((place.low - place.start for job in jobs for place in job.places), default=0)

    def pieces(self) -> Iterator[Piece]:
        buffer = Buffer(self.canvas)
        self._report()
        for job in self.jobs:
            yield from self._copy(buffer, min(place.low for place in job.places))
            if job.backwards:
                yield from self._make_backwards(job, buffer)
                continue
            for place in job.places:
                buffer.put(self._make(place, buffer.held, None))
                yield from buffer.give(self.hold)
        yield from self._copy(buffer, self.canvas.num_frames)
        yield from buffer.give(0)

    def _report(self) -> None:
        if self.settings.report:
            self.settings.report(self.done, self.runs)

    def _copy(self, buffer: Buffer, stop: int) -> Iterator[Piece]:
        """Copy what is kept into the buffer, up to frame ``stop``."""
        if buffer.end >= stop:
            return
        for frames in self.canvas.copy(buffer.end, stop):
            wave = self.canvas.sound(buffer.end, buffer.end + len(frames))
            buffer.put(Take(buffer.end, frames, wave))
            yield from buffer.give(self.hold)

    def _make_backwards(self, job: Job, buffer: Buffer) -> Iterator[Piece]:
        """Make a job from its end to its beginning; the takes wait on disk."""
        with tempfile.TemporaryDirectory(prefix="sora-") as folder:
            paths = [Path(folder) / f"{index}.safetensors" for index in range(len(job.places))]
            later: Take | None = None
            for place, path in zip(job.places, paths, strict=True):
                later = self._make(place, None, later)
                wave = {} if later.wave is None else {"wave": later.wave.contiguous()}
                save_file({"frames": later.frames.contiguous(), **wave}, path)
            for place, path in reversed(list(zip(job.places, paths, strict=True))):
                kept = load_file(path)
                take = Take(place.low, kept["frames"], kept.get("wave"))
                # Its first frames were faded over by the run that was made after it, which lies before it.
                buffer.put(take.cut(max(place.low, buffer.end), take.stop, self.canvas))
                yield from buffer.give(self.hold)

    def _make(self, place: Place, earlier: Take | None, later: Take | None) -> Take:
        """Make one run, and return what it changes: what is new, and the fades beside it.

        Args:
            place: the run. earlier: what is finished up to the new frames. later: from behind them on; None is the
                canvas.
        """
        canvas, total = self.canvas, self.canvas.num_frames
        start, stop = max(0, place.start), min(total, place.start + place.frames)
        seen, wave = canvas.see(start, stop), canvas.sound(start, stop)
        # Frames that another run makes, or has made, are no business of this one.
        for take, low, high in ((earlier, start, place.low), (later, place.high, stop)):
            if low >= high or take is None:
                continue
            known = take.cut(low, high, canvas)
            seen.frames[low - start : high - start] = known.frames
            for values, value in ((seen.known, True), (seen.picture, 0), (seen.sound, 0)):
                values[low - start : high - start] = value
            if wave is not None and known.wave is not None:
                first = canvas.samples_at(low) - canvas.samples_at(start)
                wave[:, first : first + known.wave.shape[1]] = known.wave
        before = start - place.start
        made = run(
            self.maker,
            Window(
                frames=_around(seen.frames, before, place.frames, 0),
                known=_around(seen.known, before, place.frames, False),
                picture=_around(seen.picture, before, place.frames, 1.0),
                sound=_around(seen.sound, before, place.frames, 1.0),
                wave=self._wave_around(wave, before, place.frames),
                sample_rate=canvas.sample_rate,
                fps=canvas.fps,
                start=place.start / canvas.fps,
                seed=longer_seed(self.settings.seed, self.done),
                strength=self.settings.strength,
            ),
        )
        self.done += 1
        self._report()
        weight = fade_weights(seen.picture > 0, FADE_FRAMES)
        frames = mix_frames(seen.frames, made.frames[before : before + stop - start], weight)
        if wave is not None and made.wave is not None:
            heard = made.wave[:, canvas.samples_at(before) :][:, : wave.shape[1]]
            heard = torch.nn.functional.pad(heard, (0, wave.shape[1] - heard.shape[1]))
            wave = mix_sound(wave, heard, self._sound_weights(seen.sound > 0, start, wave.shape[1]))
        first = max(start, place.low - FADE_FRAMES)
        last = stop if later is not None else min(stop, place.high + FADE_FRAMES)
        return Take(start, frames, wave).cut(first if earlier is not None else place.low, last, canvas)

    def _wave_around(self, wave: Tensor | None, before: int, frames: int) -> Tensor | None:
        if wave is None:
            return None
        padded = torch.zeros(wave.shape[0], self.canvas.samples_at(frames))
        first = self.canvas.samples_at(before)
        length = min(wave.shape[1], padded.shape[1] - first)
        padded[:, first : first + length] = wave[:, :length]
        return padded

    def _sound_weights(self, new_F: Tensor, start: int, samples: int) -> Tensor:
        """Return the share of the made sound for each sample from frame ``start`` on."""
        edges = [self.canvas.samples_at(start + frame) - self.canvas.samples_at(start) for frame in range(len(new_F))]
        lengths = torch.tensor([*edges[1:], samples]) - torch.tensor(edges)
        return fade_weights(new_F.repeat_interleave(lengths), round(FADE_S * self.canvas.sample_rate))


def _around(values: Tensor, before: int, length: int, fill_value: float) -> Tensor:
    """Return values ``[length, ...]`` with ``fill_value`` before and behind them."""
    padded = torch.full((length, *values.shape[1:]), fill_value, dtype=values.dtype)
    padded[before : before + len(values)] = values
    return padded
