"""Shapes, time bases and the latent pair that every part of the core hands to the next.

Imports torch for annotations only, so that the command line can check a request before torch is loaded.
"""

# B batch, C channels, F pixel frames, T latent frames, H W height and width (pixels or latent cells, as said), S audio
# samples, A audio latents

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .errors import SoraError

if TYPE_CHECKING:
    from torch import Tensor

SPATIAL_RATIO = 8
"""Pixels per latent cell, each way (our decision: the ratio of most video VAEs)."""

TEMPORAL_RATIO = 4
"""Frames per latent frame after the first, which stands alone (causal VAE, so one frame is an image)."""

PATCH = 2
"""Latent cells per transformer token, each way; pixel sizes are therefore multiples of 16."""

GRID = SPATIAL_RATIO * PATCH

SAMPLE_RATE = 16_000
"""Audio samples per second, mono."""

SAMPLES_PER_LATENT = 640
"""Audio samples per audio latent: 25 latents per second."""

VIDEO_CHANNELS = 16
AUDIO_CHANNELS = 32


class LatentShape(NamedTuple):
    """Size of a clip in latents: video ``[frames, height, width]`` cells and ``audio`` latents."""

    frames: int
    height: int
    width: int
    audio: int

    @property
    def video_tokens(self) -> int:
        """Transformer tokens of the picture; each audio latent is one more."""
        return self.frames * (self.height // PATCH) * (self.width // PATCH)


@dataclass(frozen=True, kw_only=True)
class ClipFormat:
    """Size of a clip in pixels, frames and seconds.

    Args:
        width, height: pixels, multiples of 16.
        frames: ``1 + 4 k``; 1 is an image.
        fps: frames per second.

    Raises:
        SoraError: a value off the grid; the sentence names the nearest allowed one.
    """

    width: int = 64
    height: int = 64
    frames: int = 25
    fps: float = 12.0

    def __post_init__(self) -> None:
        """Refuse what the grid cannot hold."""
        for name, value in (("width", self.width), ("height", self.height)):
            if value <= 0 or value % GRID:
                raise SoraError(
                    f"{name} {value} must be a positive multiple of {GRID}; the nearest is {nearest_grid(value)}"
                )
        if self.frames < 1 or (self.frames - 1) % TEMPORAL_RATIO:
            raise SoraError(
                f"frames {self.frames} must be 1 + a multiple of {TEMPORAL_RATIO}; "
                f"the next is {frames_on_grid(self.frames)}"
            )
        if not self.fps > 0:
            raise SoraError(f"fps {self.fps} must be more than 0, for example 12")

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.fps

    @property
    def pixels(self) -> int:
        """Pixels of all frames together."""
        return self.width * self.height * self.frames

    @property
    def latent(self) -> LatentShape:
        """Size in latents; the audio covers the whole length of the picture, rounded up."""
        return LatentShape(
            frames=1 + (self.frames - 1) // TEMPORAL_RATIO,
            height=self.height // SPATIAL_RATIO,
            width=self.width // SPATIAL_RATIO,
            audio=audio_latents(self.seconds),
        )

    @property
    def samples(self) -> int:
        """Audio samples that the audio latents decode to (a multiple of 640, at least ``seconds`` long)."""
        return self.latent.audio * SAMPLES_PER_LATENT


def nearest_grid(pixels: int) -> int:
    """Return the nearest positive multiple of 16 pixels."""
    return max(GRID, round(pixels / GRID) * GRID)


def frames_on_grid(frames: int) -> int:
    """Return the smallest ``1 + 4 k`` that is not less than ``frames``."""
    return 1 + -(-max(frames - 1, 0) // TEMPORAL_RATIO) * TEMPORAL_RATIO


def audio_latents(seconds: float) -> int:
    """Return how many audio latents cover ``seconds`` (25 per second, rounded up, at least one)."""
    return max(1, -int(-seconds * SAMPLE_RATE // SAMPLES_PER_LATENT))


class AVLatent(NamedTuple):
    """A clip in latent space; either half may be absent.

    video: float ``[B, 16, T, H, W]``; audio: float ``[B, 32, A, 1]`` (the host's nested-latent convention).
    """

    video: Tensor | None
    audio: Tensor | None


class Clip(NamedTuple):
    """A decoded clip. frames: uint8 ``[F, H, W, 3]``; audio: float32 ``[S]`` in [-1, 1] or None, 16 kHz."""

    frames: Tensor
    audio: Tensor | None
    fps: float
