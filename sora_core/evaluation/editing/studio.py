"""The editor at work on true clips with one checkpoint, and what is kept of its runs."""

# F frames, H W pixels, T latent frames, S samples

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...editing.engine import Settings
from ...editing.film import FilmStream, MemoryFilm
from ...editing.pipeline_maker import PipelineMaker
from ...pipeline import Pipeline
from ...request import Plan, Request, resolve
from ...world.spec import Level
from ..detector import Detection, Detector
from ..make import Maker as ClipMaker
from ..make import true_clips
from ..prompts import Case
from .album import Album

Tick = Callable[[str], None]
"""Told after each sampling run what it was for."""

BATCH = 16
"""Clips made from text at a time."""


@dataclass(frozen=True, kw_only=True)
class Studio:
    """One checkpoint with its default settings.

    Args:
        pipeline: the models. plan: the default clip and sampler. level: of the world. tick: see `Tick`.
        album: is shown what is made.
    """

    pipeline: Pipeline
    plan: Plan
    level: Level
    tick: Tick
    album: Album = field(default_factory=Album)
    detector: Detector = field(init=False)

    def __post_init__(self) -> None:
        """Take the detector of the level."""
        object.__setattr__(self, "detector", Detector(self.level))

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.plan.format.fps

    def maker(self, prompt: str, strength: float = 1.0) -> PipelineMaker:
        """Return the model with a prompt; with a strength below 1, as a request to vary a clip chooses it."""
        plan = self.plan
        if strength < 1:
            plan = resolve(Request(prompt=prompt, strength=strength), self.pipeline.defaults)
        return PipelineMaker(pipeline=self.pipeline, plan=plan, prompt=prompt)

    def settings(self, case: Case, edit: str) -> Settings:
        """Return the settings of an edit: the case's seed, and every run told."""
        return Settings(seed=case.seed, report=lambda done, _total: self.tick(edit) if done else None)

    def sources(self, cases: Sequence[Case]) -> list[MemoryFilm]:
        """Render the clips to edit, of the plan's length."""
        return [MemoryFilm.of(clip) for clip in true_clips(cases, self.plan)]

    def from_text(self, cases: Sequence[Case]) -> list[MemoryFilm]:
        """Make clips from text alone."""
        maker, made = ClipMaker(pipeline=self.pipeline, plan=self.plan), []
        for start in range(0, len(cases), BATCH):
            batch = cases[start : start + BATCH]
            for case, clip in zip(batch, maker.generate(batch), strict=True):
                made.append(MemoryFilm.of(clip))
                self.album.see("text to video", case.prompt, clip.frames)
                self.tick("text to video")
        return made

    def round_trip(self, film: MemoryFilm) -> Tensor:
        """Return a clip's picture after the video VAE, uint8 ``[F, H, W, 3]``."""
        latents = self.pipeline.encode_video(film.picture)
        return torch.cat(list(self.pipeline.decode_frames(latents, film.num_frames)))

    def detect(self, film: MemoryFilm) -> Detection:
        """Say what a film shows and sounds like."""
        return self.detector(film.clip())

    def finish(self, edit: str, case: Case, stream: FilmStream) -> MemoryFilm:
        """Make what an edit is to make, and show it to the album."""
        film = stream.collect()
        self.album.see(edit, case.prompt, film.picture)
        return film


def frozen(film: MemoryFilm, frames: int) -> MemoryFilm:
    """Return a film of so many frames that stands still, in silence, once it has ended."""
    last = film.picture[-1:].expand(frames - film.num_frames, -1, -1, -1)
    return replace(film, picture=torch.cat([film.picture, last]))
