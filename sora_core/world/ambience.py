"""Quiet sounds under the impacts: motors that run while they move, chirps, rain and wind."""

# B clips, N picked clips, S samples, G steps of a coarse time grid

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ..types import SAMPLE_RATE
from .actors import groups, move
from .dice import Dice
from .physics import Body
from .spec import Attributes

GRID_RATE = 100
"""Steps per second at which the speed of a motor is looked up."""

LOOP = 1 << 16
"""Samples of the noise that rain, wind and roars are cut from (4.1 s), which joins at its ends."""

FULL_MOTOR = 0.15
"""Speed in frame heights per second from which a motor runs at its full loudness."""

CHIRP = 0.085
"""Seconds of one chirp; they come in pairs."""

_MIDDLE_RADIUS = 0.15


def ambience(shown: Sequence[Attributes], body: Body, dice: Dice, samples: int) -> Tensor | None:
    """Render what is heard beside the impacts.

    Args:
        shown, body, dice: the batch.
        samples: length at 16 kHz.

    Returns:
        float32 ``[B, S]``, peak about 0.15, or None where every clip is silent but for its impacts. The voice is that
        of the first actor.
    """
    device = dice.rolls.device
    time_S = torch.arange(samples, device=device) / SAMPLE_RATE
    track = torch.zeros(len(shown), samples, device=device)
    heard = False
    for name, index in groups([a.object for a in shown], device):
        part, rolls, some = body.pick(index), dice.pick(index), [shown[i] for i in index.tolist()]
        if name in MOTORS:
            heard = True
            gate_NS = _running(some, part, rolls, samples)
            track[index] += gate_NS * MOTORS[name](time_S, _lower(part.radius), rolls)
        elif name == "bird":
            heard = True
            track[index] += _chirps(time_S, _lower(part.radius), rolls)
    for name, index in groups([a.weather for a in shown], device):
        if name in WEATHERS_HEARD:
            heard = True
            track[index] += WEATHERS_HEARD[name](time_S, dice.pick(index))
    return track if heard else None


def _lower(radius_N: Tensor) -> Tensor:
    """Return the factor ``[N, 1]`` by which the size of an actor moves its voice: larger is lower."""
    return (_MIDDLE_RADIUS / radius_N).sqrt()[:, None]


def _running(shown: Sequence[Attributes], body: Body, dice: Dice, samples: int) -> Tensor:
    """Return the loudness of a motor, 0 to 1, ``[N, S]``: it runs while its actor moves or turns."""
    steps = samples * GRID_RATE // SAMPLE_RATE + 2
    grid_G = torch.arange(steps, device=dice.rolls.device, dtype=torch.float32) / GRID_RATE
    path = move(shown, body, dice, grid_G[None])
    way = torch.hypot(path.x.diff(dim=1), path.y.diff(dim=1)) + body.radius[:, None] * path.angle.diff(dim=1).abs()
    gate = (way * GRID_RATE / FULL_MOTOR).clamp(max=1.0)
    # A motor takes 50 ms to start and to stop, so that it makes no onset of its own.
    gate = torch.nn.functional.avg_pool1d(gate[:, None], 9, 1, 4)[:, 0]
    place = torch.arange(samples, device=gate.device) * (GRID_RATE / SAMPLE_RATE)
    low = place.long()
    return torch.lerp(gate[:, low], gate[:, (low + 1).clamp(max=gate.shape[1] - 1)], (place - low)[None])


@lru_cache(maxsize=8)
def _noise(low: float, high: float, device: torch.device) -> Tensor:
    """Return a loop of noise between two frequencies in Hz, RMS 1, ``[LOOP]``: the same always and everywhere."""
    white = torch.randn(LOOP, generator=torch.Generator().manual_seed(7))
    hertz = torch.linspace(0, SAMPLE_RATE / 2, LOOP // 2 + 1)
    band = 1 / (1 + (low / hertz.clamp(min=1.0)) ** 4) / (1 + (hertz / high) ** 4)
    loop = torch.fft.irfft(torch.fft.rfft(white) * band, n=LOOP)
    return (loop / loop.square().mean().sqrt()).to(device)


def _cut(low: float, high: float, time_S: Tensor, dice: Dice) -> Tensor:
    """Return a piece of the loop that begins anywhere, ``[N, S]``."""
    begin = (dice("sound") * LOOP).long()
    return _noise(low, high, time_S.device)[(begin[:, None] + torch.arange(len(time_S), device=time_S.device)) % LOOP]


def _hum(time_S: Tensor, pitch_N1: Tensor, harmonics: int) -> Tensor:
    """Return a buzz ``[N, S]`` of harmonics that fall off as 1 / h, peak below 1."""
    waves = [torch.sin(2 * math.pi * h * pitch_N1 * time_S + h * h) / h for h in range(1, harmonics + 1)]
    return 0.5 * torch.stack(waves).sum(0)


def _car(time_S: Tensor, lower_N1: Tensor, _dice: Dice) -> Tensor:
    return 0.14 * _hum(time_S, 92 * lower_N1, 7)


def _boat(time_S: Tensor, lower_N1: Tensor, dice: Dice) -> Tensor:
    beat = 0.92 + 0.08 * torch.sin(2 * math.pi * (8 * time_S + dice("sound")[:, None]))
    return 0.14 * beat * _hum(time_S, 58 * lower_N1, 6)


def _rocket(time_S: Tensor, lower_N1: Tensor, dice: Dice) -> Tensor:
    return 0.009 * _cut(90, 700, time_S, dice) + 0.08 * _hum(time_S, 46 * lower_N1, 4)


def _chirps(time_S: Tensor, lower_N1: Tensor, dice: Dice) -> Tensor:
    """Return pairs of rising whistles, one pair each 0.6 to 0.9 s, ``[N, S]``."""
    every = dice.between("sound", 0.6, 0.9)[:, None]
    since = (time_S + dice("shower")[:, None] * every) % every
    second = since >= 1.5 * CHIRP
    since = torch.where(second, since - 1.5 * CHIRP, since)
    rise = since / CHIRP
    turns = lower_N1 * CHIRP * (2300 * rise + 500 * rise**2)
    loud = torch.where(rise < 1.0, torch.sin(math.pi * rise) ** 2, 0.0)
    return 0.08 * loud * torch.sin(2 * math.pi * turns)


def _rain(time_S: Tensor, dice: Dice) -> Tensor:
    return 0.007 * _cut(1200, 5500, time_S, dice)


def _wind(time_S: Tensor, dice: Dice) -> Tensor:
    swell = 0.65 + 0.35 * torch.sin(2 * math.pi * (0.45 * time_S + dice("shower")[:, None]))
    return 0.012 * swell * _cut(160, 520, time_S, dice)


MOTORS: dict[str, Callable[[Tensor, Tensor, Dice], Tensor]] = {"car": _car, "boat": _boat, "rocket": _rocket}
"""Objects with a motor: ``(time_S, factor of the pitch [N, 1], dice) -> [N, S]``."""

WEATHERS_HEARD: dict[str, Callable[[Tensor, Dice], Tensor]] = {"rain": _rain, "snow": _wind}
"""Weathers that are heard; snow comes with wind."""
