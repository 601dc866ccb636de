"""Training tasks as noise levels: which tokens of a batch are noisy, and which are given."""

# B clips, T latent frames, A audio latents

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import Config
from ..types import SAMPLE_RATE, SAMPLES_PER_LATENT, TEMPORAL_RATIO

LATENTS_PER_SECOND = SAMPLE_RATE / SAMPLES_PER_LATENT


@dataclass(frozen=True, kw_only=True)
class TaskMix(Config):
    """Shares of the tasks, and how noise levels are drawn.

    The first nine are drawn per clip and need not add up to 1. ``references``, ``image``, ``silent`` and ``cut``
    change the packed layout and ``later`` the clips, so they are drawn per step, the rest of the steps being joint.
    More than half of the clips start from text alone: a given frame shows what the words say, so that only the others
    teach the words.

    Args:
        text: everything is noise. image_first: the first frame is given. first_last: the last one too.
        extend: one to four latent frames are given, of a long clip up to half of it, with their sound.
        video_to_audio, audio_to_video: one half given. backward: as extend, at the end.
        forcing: every latent frame has its own level (diffusion forcing, 2407.01392).
        loop: one or two latent frames given at both ends, with sound.
        references: one or two pictures of the actor are given. image: a single frame. silent: video without sound.
        cut: two shots with a cue for the second. later: windows from within a motion, see `of_later`.
        drop_text: share of clips trained with an empty prompt, for guidance.
        shift: of the logit-normal video level; the audio's is its square root.
        shared: share of clips whose audio and video levels come from one draw.
        uniform: share of clips whose levels are uniform, for the ends of the schedule.
    """

    text: float = 0.53
    image_first: float = 0.10
    first_last: float = 0.03
    extend: float = 0.10
    backward: float = 0.03
    video_to_audio: float = 0.08
    audio_to_video: float = 0.08
    forcing: float = 0.04
    loop: float = 0.02
    references: float = 0.05
    image: float = 0.06
    silent: float = 0.02
    cut: float = 0.08
    later: float = 0.15
    drop_text: float = 0.10
    shift: float = 1.6
    shared: float = 0.6
    uniform: float = 0.1

    @property
    def of_later(self) -> TaskMix:
        """Shares for clips that begin within a motion: text alone cannot say when, so that something is always given.

        With the beginning, the end, both or one half given, a clip goes on from where it is.
        """
        tasks = {"extend": 0.5, "backward": 0.2, "video_to_audio": 0.08, "audio_to_video": 0.08, "loop": 0.14}
        return replace(self, **(dict.fromkeys(self.per_clip, 0.0) | tasks))

    @property
    def per_clip(self) -> dict[str, float]:
        """Shares of the tasks that are drawn per clip."""
        names = (
            "text",
            "image_first",
            "first_last",
            "extend",
            "backward",
            "video_to_audio",
            "audio_to_video",
            "forcing",
            "loop",
        )
        return {name: getattr(self, name) for name in names}


@dataclass
class Levels:
    """Noise levels of a batch. video: ``[B, T]``, audio: ``[B, A]``, in [0, 1]; 0 is given, not generated.

    tail: bool ``[B]``, clips whose last latent frame is to be that of a still last picture.
    """

    video: Tensor
    audio: Tensor
    tail: Tensor

    def to(self, device: torch.device | str) -> Levels:
        """Return the same levels on a device."""
        return Levels(video=self.video.to(device), audio=self.audio.to(device), tail=self.tail.to(device))


def shift_level(level: Tensor, shift: float) -> Tensor:
    """Return ``s t / (1 + (s - 1) t)`` (Esser et al. 2403.03206, eq. 23)."""
    return shift * level / (1 + (shift - 1) * level)


def _draw(shape: tuple[int, ...], mix: TaskMix, generator: torch.Generator) -> Tensor:
    normal = torch.sigmoid(torch.randn(shape, generator=generator))
    flat = torch.rand(shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < mix.uniform, flat, normal)


def draw_levels(batch: int, *, frames: int, audio: int, fps: float, mix: TaskMix, generator: torch.Generator) -> Levels:
    """Draw a task and its noise levels for each clip of a joint batch.

    Args:
        batch, frames, audio: B, T, A. fps: pixel frames per second.
        mix: shares. generator: on the CPU.
    """
    base = _draw((batch, 1), mix, generator)
    own = _draw((batch, 1), mix, generator)
    shared = torch.rand(batch, 1, generator=generator) < mix.shared
    video = shift_level(base, mix.shift).expand(-1, frames).clone()
    sound = shift_level(torch.where(shared, base, own), math.sqrt(mix.shift)).expand(-1, audio).clone()
    tail = torch.zeros(batch, dtype=torch.bool)
    shares = mix.per_clip
    names = list(shares)
    drawn = torch.multinomial(torch.tensor([shares[n] for n in names]), batch, replacement=True, generator=generator)
    for clip, which in enumerate(drawn.tolist()):
        task = names[which]
        if task in ("image_first", "first_last"):
            video[clip, 0] = 0.0
        if task == "first_last":
            video[clip, -1] = 0.0
            tail[clip] = True
        if task in ("extend", "backward", "loop"):
            most = min(2 if task == "loop" else max(4, frames // 2), frames - 1)
            kept = int(torch.randint(1, most + 1, (), generator=generator)) if frames > 1 else 0
            if kept and task != "backward":
                video[clip, :kept] = 0.0
                sound[clip, : _sound_of(kept, fps)] = 0.0
            if kept and task != "extend":
                video[clip, -kept:] = 0.0
                sound[clip, -int(TEMPORAL_RATIO * kept / fps * LATENTS_PER_SECOND) :] = 0.0
        elif task == "video_to_audio":
            video[clip] = 0.0
        elif task == "audio_to_video":
            sound[clip] = 0.0
        elif task == "forcing":
            each = shift_level(_draw((frames,), mix, generator), mix.shift)
            given = torch.rand(frames, generator=generator) < 0.15
            given[int(torch.randint(frames, (), generator=generator))] = False
            video[clip] = torch.where(given, 0.0, each)
    return Levels(video=video, audio=sound, tail=tail)


def _sound_of(latent_frames: int, fps: float) -> int:
    """Return how many audio latents lie wholly within the first ``latent_frames``."""
    return int((1 + TEMPORAL_RATIO * (latent_frames - 1)) / fps * LATENTS_PER_SECOND)
