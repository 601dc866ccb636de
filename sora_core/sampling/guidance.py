"""Classifier-free guidance: push the velocity from what no prompt would give towards what the prompt gives."""

# B batch, ... every other axis of one half

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How strongly the prompt is followed.

    Args:
        video: scale for the picture; 1 follows the model as it is, more follows the prompt harder.
        audio: scale for the sound; None takes the picture's.
        rescale: share in [0, 1] of the contrast that guidance added and that is taken back again.
    """

    video: float = 1.0
    audio: float | None = None
    rescale: float = 0.0

    @property
    def audio_scale(self) -> float:
        """Scale in use for the sound."""
        return self.video if self.audio is None else self.audio

    @property
    def needs_null(self) -> bool:
        """Whether the model must also be asked without the prompt."""
        return self.video != 1 or self.audio_scale != 1


def guide(with_prompt: Tensor, without: Tensor, scale: float) -> Tensor:
    """Return ``without + scale (with_prompt - without)``; a scale of 1 returns ``with_prompt`` bit for bit.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance" (arXiv 2207.12598), equation 6, where w = scale - 1.
    """
    return with_prompt if scale == 1 else without + scale * (with_prompt - without)


def rescale_contrast(
    guided: Tensor, with_prompt: Tensor, x: Tensor, sigma: Tensor, *, weight: Tensor, share: float
) -> Tensor:
    """Give the guided clean estimate back the spread of the unguided one, by ``share``, and return its velocity.

    Source: Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (arXiv 2305.08891), equations
    15 and 16. They rescale their v, which at pure noise is the clean clip; we rescale the clean estimate at every
    level (our decision: a flow velocity holds the noise, whose spread guidance leaves alone).

    Args:
        guided, with_prompt: velocities, float32 ``[B, ...]``.
        x: the noisy half, ``[B, ...]``.
        sigma: noise level of every value, broadcasts to ``x``.
        weight: 1 where the clip is generated, 0 where it is kept and must not count; broadcasts to ``x``.
        share: in [0, 1]; 0 returns ``guided``.
    """
    if share == 0:
        return guided
    clean_guided = x - sigma * guided
    spread = _spread(x - sigma * with_prompt, weight) / _spread(clean_guided, weight).clamp_min(1e-6)
    clean = clean_guided * (share * spread + (1 - share))
    # The change alone is divided by sigma: x - clean would lose its digits where sigma is small.
    return guided + torch.where(sigma > 0, (clean_guided - clean) / sigma.clamp_min(1e-6), 0)


def _spread(x: Tensor, weight: Tensor) -> Tensor:
    """Return the standard deviation of each sample's values where ``weight`` is 1, as ``[B, 1, ...]``."""
    axes = tuple(range(1, x.ndim))
    weight = weight.expand_as(x)
    total = weight.sum(axes, keepdim=True).clamp_min(1)
    mean = (x * weight).sum(axes, keepdim=True) / total
    return (((x - mean).square() * weight).sum(axes, keepdim=True) / total).sqrt()
