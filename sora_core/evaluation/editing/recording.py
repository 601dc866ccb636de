"""Makers that stand between the editor and a model, and see or do what a measure needs."""

# F frames, H W pixels, T latent frames

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...editing.maker import Latents, Maker, Task
from ...editing.profile import Profile


@dataclass
class Run:
    """One run of the model. given, made: uint8 ``[F, H, W, 3]`` before and after it. mask: noise ``[T]``, 0 kept."""

    given: Tensor
    mask: Tensor = field(default_factory=lambda: torch.zeros(0))
    made: Tensor = field(default_factory=lambda: torch.zeros(0))


@dataclass(frozen=True)
class _Passing:
    """A `Maker` that does as another does."""

    maker: Maker

    @property
    def profile(self) -> Profile:
        """As the maker's."""
        return self.maker.profile

    @property
    def sound(self) -> bool:
        """As the maker's."""
        return self.maker.sound

    def encode_video(self, frames: Tensor) -> Tensor:
        """As the maker."""
        return self.maker.encode_video(frames)

    def encode_sound(self, sound: Tensor, latents: int) -> Tensor:
        """As the maker."""
        return self.maker.encode_sound(sound, latents)

    def sample(self, task: Task) -> Latents:
        """As the maker."""
        return self.maker.sample(task)

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        """As the maker."""
        return self.maker.decode_video(video)

    def decode_sound(self, audio: Tensor) -> Tensor:
        """As the maker."""
        return self.maker.decode_sound(audio)


@dataclass(frozen=True)
class Recorder(_Passing):
    """Keeps what each run was given and what it gave, before the editor lays its own frames over it."""

    runs: list[Run] = field(default_factory=list)

    def encode_video(self, frames: Tensor) -> Tensor:
        """Begin a run."""
        self.runs.append(Run(given=frames))
        return self.maker.encode_video(frames)

    def sample(self, task: Task) -> Latents:
        """Keep the mask."""
        self.runs[-1].mask = task.video_mask
        return self.maker.sample(task)

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        """Keep the picture."""
        made = list(self.maker.decode_video(video))
        self.runs[-1].made = torch.cat(made)
        yield from made


@dataclass(frozen=True)
class Knowing(_Passing):
    """Gives back the latents of a true clip wherever something is to be made. frames: uint8 ``[F, H, W, 3]``."""

    frames: Tensor

    def sample(self, task: Task) -> Latents:
        """Return what is given where it is kept, and the truth elsewhere."""
        kept = (task.video_mask == 0)[:, None, None]
        return Latents(torch.where(kept, task.given.video, self.maker.encode_video(self.frames)), task.given.audio)
