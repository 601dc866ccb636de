"""What the editor knows of a family of video models: its grid, its sound, and how it takes frames that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ..errors import SoraError
from ..types import SAMPLE_RATE, SAMPLES_PER_LATENT, SPATIAL_RATIO, TEMPORAL_RATIO

LONGEST_SEARCH = 10_000
"""Latent frames up to which a valid length is sought."""


class Strategy(Enum):
    """How a model learns of frames that are kept, best first.

    TOKEN: its noise level differs by token, and kept ones are given clean. CONCAT: they stand beside the noise as extra
    channels. HOLD: they are put in clean at every step, under the step's one noise level. REPAINT: they are put in
    under the step's noise (Lugmayr et al., "RePaint", 2201.09865).
    """

    TOKEN = "token"
    CONCAT = "concat"
    HOLD = "hold"
    REPAINT = "repaint"


@dataclass(frozen=True, kw_only=True)
class SoundProfile:
    """A family's sound. rate: samples per second and channel of its VAE. channels: 1 or 2.

    latents: latents that stand for so many seconds of sound.
    """

    rate: int
    channels: int
    latents: Callable[[float], int]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A family of models, as the editor sees it.

    Args:
        family: name, for people.
        strategy: how kept frames reach the model.
        frames_of: frames that so many latent frames decode to. latents_of: latent frames that so many frames fill.
        multiple: both sides in pixels must divide by it.
        fps: frames per second that the family was trained on.
        longest: frames of the longest clip that it was trained on; longer films are made in several runs.
        sound: None where the family has none.
        max_batch: variations that one run may hold.
        two_models: whether the noise levels are split between two models.
    """

    family: str
    strategy: Strategy
    frames_of: Callable[[int], int]
    latents_of: Callable[[int], int]
    multiple: int
    fps: float
    longest: int
    sound: SoundProfile | None = None
    max_batch: int = 64
    two_models: bool = False

    def valid(self, frames: int) -> bool:
        """Say whether a clip may have exactly so many frames."""
        return frames > 0 and self.frames_of(self.latents_of(frames)) == frames

    def at_least(self, frames: int) -> int:
        """Return the smallest valid length that is not less than ``frames``."""
        if self.valid(frames):
            return frames
        latents = max(1, self.latents_of(frames))
        for longer in range(latents, latents + LONGEST_SEARCH):
            if (made := self.frames_of(longer)) >= frames and self.valid(made):
                return made
        raise SoraError(f"{self.family} has no length of {frames} frames or more")

    def at_most(self, frames: int) -> int:
        """Return the largest valid length that is not more than ``frames``, or 0 where there is none."""
        for fewer in range(max(0, self.latents_of(frames)), 0, -1):
            if (made := self.frames_of(fewer)) <= frames and self.valid(made):
                return made
        return 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the nearest valid width and height that are not larger, at least one multiple each."""
        return tuple(max(self.multiple, side // self.multiple * self.multiple) for side in (width, height))  # type: ignore[return-value]


def our_profile(fps: float = 12.0, longest: int = 25) -> Profile:
    """Return the profile of our own family."""
    return Profile(
        family="Sora Nodes",
        strategy=Strategy.TOKEN,
        frames_of=lambda latents: max(0, 1 + TEMPORAL_RATIO * (latents - 1)),
        latents_of=lambda frames: max(0, 1 + (frames - 1) // TEMPORAL_RATIO),
        multiple=SPATIAL_RATIO * 2,
        fps=fps,
        longest=longest,
        sound=SoundProfile(
            rate=SAMPLE_RATE,
            channels=1,
            latents=lambda seconds: max(1, -int(-seconds * SAMPLE_RATE // SAMPLES_PER_LATENT)),
        ),
    )
