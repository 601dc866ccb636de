"""Latents between nodes: one stream or two, their lengths, and noise by seed."""

# B batch, C channels, T latent frames, A audio latents

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import comfy.nested_tensor
import comfy.sample
import torch
from torch import Tensor

FPS = "sora_fps"
FRAMES = "sora_frames"
"""Keys that our LATENTs carry beside the host's own: frames per second, and how many frames were asked for (the grid
may hold up to three more)."""

SEEDS = 2**64
"""How many seeds there are; a variation beyond the last one begins again at 0."""


class Streams(NamedTuple):
    """The two halves of a LATENT; either may be absent. video ``[B, C, T, H, W]``, audio ``[B, C, A, F]``."""

    video: Tensor | None
    audio: Tensor | None


def streams_of(samples: Any) -> Streams:
    """Return the halves of a LATENT's samples, whichever family made them (video first, then audio)."""
    return told_apart(list(samples.unbind()) if getattr(samples, "is_nested", False) else [samples])


def told_apart(tensors: Sequence[Tensor]) -> Streams:
    """Return streams as picture (five axes) and sound."""
    return Streams(
        video=next((stream for stream in tensors if stream.ndim == 5), None),
        audio=next((stream for stream in tensors if stream.ndim != 5), None),
    )


def join(video: Tensor | None, audio: Tensor | None) -> Any:
    """Return samples of both halves, nested, or of the one that is there."""
    given = [stream for stream in (video, audio) if stream is not None]
    return given[0] if len(given) == 1 else comfy.nested_tensor.NestedTensor(given)


def draw_noise(samples: Any, seed: int) -> Any:
    """Return standard normal noise for a LATENT's samples; variation i is seeded with ``seed + i``.

    Each variation has one CPU generator for both halves, picture first, as the library has: a seed means the same clip
    alone and in a batch, here and on the command line.
    """
    halves = streams_of(samples)
    drawn: dict[str, list[Tensor]] = {"video": [], "audio": []}
    first = halves.video if halves.video is not None else halves.audio
    assert first is not None
    for index in range(first.shape[0]):
        generator = torch.Generator().manual_seed((seed + index) % SEEDS)
        for name, half in halves._asdict().items():
            if half is not None:
                drawn[name].append(torch.randn(half.shape[1:], generator=generator))
    stacked = {name: torch.stack(each) if each else None for name, each in drawn.items()}
    return join(stacked["video"], stacked["audio"])


def fix_empty(model: Any, samples: Any) -> Any:
    """Return an all-zero latent of another family in the model's own channels, as the host's samplers do."""
    return comfy.sample.fix_empty_latent_channels(model, samples)
