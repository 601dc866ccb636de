"""Sounds that the audio autoencoder learns from: the world's impacts, looser kin of them, textures, silence."""

# B clips, K impacts, P partials, S samples, F frequencies

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..types import SAMPLE_RATE, SAMPLES_PER_LATENT, ClipFormat, frames_on_grid
from ..world.render import render_sound
from ..world.sample import sample_attributes
from ..world.sound import FULL_SPEED, PITCH, PITCH_OF_RADIUS, impacts
from ..world.spec import LEVELS, SIZES

LEAD = 4800
"""Samples rendered before a clip starts (300 ms), so that some clips open on a sound that is already ringing."""


class Sounds(NamedTuple):
    """A batch of clips. audio: float32 ``[B, S]`` in [-1, 1]; contacts: seconds of each impact, by clip, sorted."""

    audio: Tensor
    contacts: list[Tensor]


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return numbers drawn evenly from ``[low, high)``."""
    return low + (high - low) * torch.rand(*shape, generator=generator)


def _log_uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return numbers whose logarithm is drawn evenly."""
    return torch.exp(_uniform(generator, math.log(low), math.log(high), *shape))


def _impact_times(count: int, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return seconds from the lead's start and relative speeds, ``[B, 6]``: half bounces, half unrelated impacts."""
    seconds = (samples + LEAD) / SAMPLE_RATE
    first_B1 = _uniform(generator, 0.0, seconds, count, 1)
    restitution_B1 = _uniform(generator, 0.45, 0.9, count, 1)
    fall_B6 = restitution_B1 ** torch.arange(6)
    gap_B1 = _uniform(generator, 0.15, 0.9, count, 1)
    bounces_B6 = first_B1 + torch.cat((torch.zeros(count, 1), gap_B1 * fall_B6[:, :5].cumsum(1)), dim=1)
    single_B6 = _uniform(generator, 0.0, seconds, count, 6)
    bouncing_B1 = torch.rand(count, 1, generator=generator) < 0.5
    number_B1 = torch.randint(1, 7, (count, 1), generator=generator)
    number_B1 = torch.where(bouncing_B1, 6, torch.minimum(number_B1, torch.tensor(3)))
    times_B6 = torch.where(bouncing_B1, bounces_B6, single_B6)
    times_B6 = torch.where(torch.arange(6) < number_B1, times_B6, torch.inf)
    loud_B1 = _uniform(generator, 0.15, 1.2, count, 1)
    speed_B6 = torch.where(bouncing_B1, loud_B1 * fall_B6, _uniform(generator, 0.1, 1.2, count, 6))
    return times_B6, speed_B6


def world_impacts(count: int, samples: int, generator: torch.Generator, level: int = max(LEVELS)) -> Sounds:
    """Draw impacts with the timbres, pitches and loudness of one level of the world, at arbitrary times."""
    times_B6, speed_B6 = _impact_times(count, samples, generator)
    radius_B = _uniform(generator, 0.93 * min(SIZES.values()), 1.07 * max(SIZES.values()), count)
    ratios, names = [PITCH[name] for name in LEVELS[level].objects], LEVELS[level].materials
    ratio_B = torch.tensor([ratios[int(i)] for i in torch.randint(len(ratios), (count,), generator=generator)])
    materials = [names[int(i)] for i in torch.randint(len(names), (count,), generator=generator)]
    pitch_B = ratio_B * PITCH_OF_RADIUS / radius_B
    audio_BS = impacts(times_B6, speed_B6 * FULL_SPEED, pitch_B, materials, samples + LEAD)[:, LEAD:]
    begin, end = LEAD / SAMPLE_RATE, (samples + LEAD) / SAMPLE_RATE
    contacts = [t[(t >= begin) & (t < end)].sort().values - begin for t in times_B6]
    return Sounds(audio=audio_BS, contacts=contacts)


def world_sounds(count: int, samples: int, generator: torch.Generator, level: int = max(LEVELS)) -> Tensor:
    """Return ``[B, S]``: all that is heard in clips of one level of the world, from anywhere within their motions.

    Engines, birds and weather lie under the impacts. Most clips of level 1 are silent.
    """
    fps = ClipFormat().fps
    fmt = ClipFormat(frames=frames_on_grid(math.ceil(samples / SAMPLE_RATE * fps) + 1), fps=fps)
    shown = [sample_attributes(LEVELS[level], generator) for _ in range(count)]
    seeds = torch.randint(1 << 30, 1 << 31, (count,), generator=generator).tolist()
    starts = _uniform(generator, 0.0, 3.0, count).tolist()
    return render_sound(shown, seeds, fmt, starts=starts)[:, :samples]


def free_impacts(count: int, samples: int, generator: torch.Generator) -> Tensor:
    """Return ``[B, S]``: struck resonators of any pitch, partials, decay and click, each clip another one."""
    times_B6, speed_B6 = _impact_times(count, samples, generator)
    pitch_B1 = _log_uniform(generator, 90, 1200, count, 1)
    decay_B1 = _log_uniform(generator, 0.02, 0.4, count, 1)
    click_B1 = _uniform(generator, 0.0, 0.4, count, 1)
    ratio_B4 = torch.cat((torch.ones(count, 1), _uniform(generator, 1.5, 6.0, count, 3)), dim=1)
    weight_B4 = torch.rand(count, 4, generator=generator) * torch.tensor([1.0, 0.6, 0.4, 0.3])
    total = samples + LEAD
    time_S = torch.arange(total) / SAMPLE_RATE
    noise_BS = torch.rand(count, total, generator=generator) * 2 - 1
    audio_BS = torch.zeros(count, total)
    for k in range(3):
        since_BS = (time_S - times_B6[:, k : k + 1]).clamp(min=0.0).nan_to_num(posinf=0.0)
        wave_BS = click_B1 * noise_BS * torch.exp(-since_BS / 0.004) * (since_BS > 0)
        for p in range(4):
            ratio_B1 = ratio_B4[:, p : p + 1]
            ring_BS = torch.sin(2 * math.pi * pitch_B1 * ratio_B1 * since_BS)
            wave_BS = wave_BS + weight_B4[:, p : p + 1] * ring_BS * torch.exp(-since_BS * ratio_B1.sqrt() / decay_B1)
        audio_BS = audio_BS + speed_B6[:, k : k + 1] * wave_BS
    return (0.6 * audio_BS[:, LEAD:]).clamp(-1.0, 1.0)


def textures(count: int, samples: int, generator: torch.Generator) -> Tensor:
    """Return ``[B, S]``: band-limited noise with a slow swell (rain, wind), hums (motors) or sweeps (chirps)."""
    time_S = torch.arange(samples) / SAMPLE_RATE
    spectrum_BF = torch.fft.rfft(torch.randn(count, samples, generator=generator))
    octave_F = torch.log2(torch.linspace(0, SAMPLE_RATE / 2, spectrum_BF.shape[1]).clamp(min=20.0))
    centre_B1 = torch.log2(_log_uniform(generator, 150, 5000, count, 1))
    width_B1 = _uniform(generator, 0.3, 2.0, count, 1)
    noise_BS = torch.fft.irfft(spectrum_BF * torch.exp(-0.5 * ((octave_F - centre_B1) / width_B1) ** 2), n=samples)
    noise_BS = noise_BS / noise_BS.std(dim=1, keepdim=True)
    pitch_B1 = _log_uniform(generator, 40, 160, count, 1)
    hum_BS = torch.zeros(count, samples)
    for harmonic in range(1, 9):
        phase_B1 = _uniform(generator, 0, 2 * math.pi, count, 1)
        hum_BS = hum_BS + torch.sin(2 * math.pi * harmonic * pitch_B1 * time_S + phase_B1) / harmonic
    start_B1 = _log_uniform(generator, 600, 3000, count, 1)
    slope_B1 = _uniform(generator, -2000, 2000, count, 1)
    turns_BS = start_B1 * time_S + 0.5 * slope_B1 * time_S.square()
    gate_BS = torch.sin(math.pi * (time_S * _uniform(generator, 1, 6, count, 1))).clamp(min=0.0).square()
    chirp_BS = torch.sin(2 * math.pi * turns_BS) * gate_BS
    kind_B1 = torch.randint(3, (count, 1), generator=generator)
    audio_BS = torch.where(kind_B1 == 0, noise_BS * 0.3, torch.where(kind_B1 == 1, hum_BS * 0.4, chirp_BS))
    swell_BS = 0.7 + 0.3 * torch.sin(2 * math.pi * time_S * _uniform(generator, 0.1, 4, count, 1))
    return audio_BS * swell_BS * _log_uniform(generator, 0.03, 0.5, count, 1)


def draw_sounds(
    count: int, generator: torch.Generator, samples: int = 16 * SAMPLES_PER_LATENT, level: int = max(LEVELS)
) -> Tensor:
    """Return a training batch ``[B, S]``, float32 in [-1, 1].

    70 % the impacts of this level of the world, half of them with all that is heard beside them where the level has
    more than impacts; of the rest, free impacts, textures, both at once, and digital silence (5 % of all).
    Every clip gets a gain of its own between -14 and +1 dB, half of them none.
    """
    kind_B1 = torch.rand(count, 1, generator=generator)
    world_BS = world_impacts(count, samples, generator, level).audio
    if level > 1:
        half = count // 2
        world_BS[:half] = world_sounds(half, samples, generator, level)
    other = int((kind_B1 >= 0.70).sum())
    audio_BS = world_BS.clone()
    if other:
        free_OS, texture_OS = free_impacts(other, samples, generator), textures(other, samples, generator)
        share_O1 = kind_B1[kind_B1[:, 0] >= 0.70]
        mixed_OS = torch.where(share_O1 < 0.83, free_OS, torch.where(share_O1 < 0.90, texture_OS, free_OS + texture_OS))
        audio_BS[kind_B1[:, 0] >= 0.70] = torch.where(share_O1 < 0.95, mixed_OS, torch.zeros(()))
    gain_B1 = 10 ** _uniform(generator, -0.7, 0.05, count, 1)
    gain_B1 = torch.where(torch.rand(count, 1, generator=generator) < 0.5, gain_B1, 1.0)
    return (audio_BS * gain_B1).clamp(-1.0, 1.0)
