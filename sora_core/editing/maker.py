"""What the editor asks of a model: the one seam between its plans and the library's pipeline or a host's nodes."""

# T latent frames, A audio latents, h w latent cells, F frames, H W pixels, C channels, S samples

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from .profile import Profile

Prompt = TypeVar("Prompt")


class Latents(NamedTuple):
    """A clip in a family's latent space. video ``[1, C, T, h, w]``; audio of the family's own shape, or None."""

    video: Tensor
    audio: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Task:
    """One sampling run.

    Args:
        frames: of the clip, a valid length of the profile. fps: frames per second.
        start: second of the film at which the clip begins; below 0 where its first frames lie before the film.
        given: latents of the whole clip. What they hold where the mask is 1 does not matter, unless ``strength`` < 1.
        video_mask: float32 ``[T]``, the share of the noise that each latent frame gets: 0 keeps, 1 generates. Values
            between are for families of strategy TOKEN.
        audio_mask: float32 ``[A]``, likewise; None where there is no sound.
        strength: share in (0, 1] of the schedule that is run; below 1 the clip varies what is given.
        seed: of the noise.
    """

    frames: int
    fps: float
    start: float = 0.0
    given: Latents
    video_mask: Tensor
    audio_mask: Tensor | None
    strength: float = 1.0
    seed: int = 0

    def cues_within(self, cues: Sequence[tuple[float, Prompt]]) -> tuple[Prompt | None, list[tuple[float, Prompt]]]:
        """Return which cue of the film holds where the clip begins, None before the first, and those that follow in it.

        Args:
            cues: prompts with the second of the film at which each takes over, in order; the result's are the clip's.
        """
        end = self.start + self.frames / self.fps
        before = [prompt for at, prompt in cues if at <= self.start]
        later = [(at - self.start, prompt) for at, prompt in cues if self.start < at < end]
        return before[-1] if before else None, later


class Maker(Protocol):
    """A model with its prompt, VAEs and sampler settings.

    Its picture is uint8 ``[F, H, W, 3]`` and its sound float32 ``[C, S]`` at the profile's rate, both on the CPU.
    """

    @property
    def profile(self) -> Profile:
        """The model's family."""
        ...

    @property
    def sound(self) -> bool:
        """Whether sound is made: the family has it and its VAE is at hand."""
        ...

    def encode_video(self, frames: Tensor) -> Tensor:
        """Encode a whole clip of a valid length and size to ``[1, C, T, h, w]``."""
        ...

    def encode_sound(self, sound: Tensor, latents: int) -> Tensor:
        """Encode sound to exactly so many latents; what is missing is silence."""
        ...

    def sample(self, task: Task) -> Latents:
        """Run the sampler; kept latents come back as they were given."""
        ...

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        """Yield the clip's frames in pieces, uint8."""
        ...

    def decode_sound(self, audio: Tensor) -> Tensor:
        """Return the clip's sound at the loudness that the model gave it."""
        ...
