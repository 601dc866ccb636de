"""The sound of a clip: each impact is a struck resonator; between impacts there is digital silence."""

# B clips, K contacts, S samples, L samples of one strike

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..types import SAMPLE_RATE


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """How a material rings: partials as (frequency ratio, weight), decay of the first in seconds, click weight."""

    partials: tuple[tuple[float, float], ...]
    decay: float
    click: float


TIMBRE: dict[str, Timbre] = {
    "rubber": Timbre(partials=((1.0, 1.0), (2.05, 0.35)), decay=0.060, click=0.18),
    "wood": Timbre(partials=((1.0, 0.8), (2.57, 0.5), (4.05, 0.25)), decay=0.035, click=0.35),
    "metal": Timbre(partials=((1.0, 0.6), (2.76, 0.5), (5.40, 0.35)), decay=0.200, click=0.25),
}

PITCH: dict[str, float] = {
    "ball": 1.0,
    "box": 0.8,
    "star": 1.25,
    "ring": 1.5,
    "car": 0.7,
    "boat": 0.75,
    "fish": 1.1,
    "bird": 1.4,
    "rocket": 0.9,
    "tree": 0.65,
}
"""Frequency of the first partial, relative to a ball of that radius."""

PITCH_OF_RADIUS = 30.0
"""First partial in Hz times radius in frame heights: a medium ball rings at 200 Hz."""

FULL_SPEED = 2.2
"""Impact speed (frame heights per second) that strikes at amplitude 0.75."""

STRIKE = 0.5
"""Seconds after which a strike is silent."""


def _click(samples: int, device: torch.device) -> Tensor:
    """Return the same 4 ms of noise every time: a click that can be learned and repeated."""
    noise = torch.rand(samples, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return noise.to(device)


def strike(delay_N: Tensor, pitch_N: Tensor, amplitude_N: Tensor, material: str) -> Tensor:
    """Return ``[N, L]``: the sound of impacts that start ``delay`` (a fraction of a sample) after sample 0."""
    timbre = TIMBRE[material]
    length = int(STRIKE * SAMPLE_RATE)
    time_NL = (torch.arange(length, device=delay_N.device)[None] - delay_N[:, None]).clamp(min=0.0) / SAMPLE_RATE
    wave = torch.zeros_like(time_NL)
    for ratio, weight in timbre.partials:
        decay = timbre.decay / math.sqrt(ratio)
        wave = wave + weight * torch.sin(2 * math.pi * ratio * pitch_N[:, None] * time_NL) * torch.exp(-time_NL / decay)
    click = timbre.click * _click(length, delay_N.device)[None] * torch.exp(-time_NL / 0.004) * (time_NL > 0)
    return amplitude_N[:, None] * (wave + click)


def impacts(
    contact_time_BK: Tensor,
    contact_speed_BK: Tensor,
    pitch_B: Tensor,
    materials: list[str],
    samples: int,
) -> Tensor:
    """Render the impacts of a batch.

    Args:
        contact_time_BK: seconds, infinity where there is none.
        contact_speed_BK: frame heights per second.
        pitch_B: Hz of the first partial.
        materials: one per clip.
        samples: length at 16 kHz.

    Returns:
        float32 ``[B, S]``, peak about 0.8.
    """
    length = int(STRIKE * SAMPLE_RATE)
    track = torch.zeros(len(materials), samples + length, device=pitch_B.device)
    heard = contact_time_BK * SAMPLE_RATE < samples - 1
    for material in sorted(set(materials)):
        wanted = torch.tensor([m == material for m in materials], device=pitch_B.device)
        clip, order = torch.nonzero(heard & wanted[:, None], as_tuple=True)
        if len(clip) == 0:
            continue
        start = contact_time_BK[clip, order] * SAMPLE_RATE
        first = start.floor()
        amplitude = 0.75 * (contact_speed_BK[clip, order] / FULL_SPEED).clamp(max=1.2) ** 0.8
        waves = strike(start - first, pitch_B[clip], amplitude, material)
        place = first.long()[:, None] + torch.arange(length, device=pitch_B.device)[None]
        track.index_put_((clip[:, None].expand_as(place), place), waves, accumulate=True)
    return track[:, :samples].clamp(-1.0, 1.0)
