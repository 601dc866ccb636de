"""The grid of cells in time and frequency that a sound's mark is written on, and the values of its cells."""

# C channels, S samples, F bins, T frames of the fine spectrogram, B bands, Q quarters of a chip, J chips

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import SoraError
from .sound_masking import ear, room_of_power, window_samples

CHIP_S = 0.04
"""Seconds of a cell. Our decision: longer than two windows of the codecs, short enough for many cells in 2 s."""

CYCLE = 512
"""Cells in time until the pattern repeats: 24.6 s."""

QUARTERS = 4
"""Places within a chip at which the reader tries to begin."""

RATES = (8_000, 96_000)
"""Sample rates that can be marked and read."""

FLOOR_DB = -60.0
"""Level under the loud parts of a sound below which a bin says nothing."""

_LOW_HZ, _HIGH_HZ = 300.0, 7_000.0
_NARROWEST_HZ, _RELATIVE_WIDTH = 125.0, 0.07
_FINE = 8
MEMORY_S = 0.34
LIMIT_DB = 4.0
BIN_LIMIT_DB = 8.0
ROOM_POWER = 1.0
CELL_POWER = 0.5
NEAR_BANDS = 5
MOST_DB = 4.0


def _edges() -> tuple[float, ...]:
    edges = [_LOW_HZ]
    while edges[-1] < _HIGH_HZ:
        edges.append(edges[-1] + max(_NARROWEST_HZ, _RELATIVE_WIDTH * edges[-1]))
    return tuple(edges)


EDGES_HZ = _edges()
"""Edges of the bands: 125 Hz wide below 1.5 kHz, 8 % of their frequency above."""

BANDS = len(EDGES_HZ) - 1


def check_sound(sound_CS: Tensor, sample_rate: int) -> None:
    """Raise SoraError if this is not float sound ``[C, S]`` of one or two channels at 8 to 96 kHz."""
    check_rate(sample_rate)
    if sound_CS.ndim != 2 or sound_CS.shape[0] not in {1, 2}:
        raise SoraError(f"a sound of shape {list(sound_CS.shape)} cannot be marked; pass [1, samples] or [2, samples]")
    if not sound_CS.is_floating_point():
        raise SoraError(f"a sound of type {sound_CS.dtype} cannot be marked; pass floats in [-1, 1]")


def check_rate(sample_rate: int) -> None:
    """Raise SoraError if the rate is outside 8 to 96 kHz."""
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise SoraError(f"sample rate {sample_rate} cannot be marked; use {RATES[0]} to {RATES[1]} Hz")


@dataclass(frozen=True, kw_only=True)
class Spectrogram:
    """Changes of level in a mono sound.

    Attributes:
        change: ``[F, T]``, level of each bin in dB less its mean over a third of a second, times its weight.
        weight: ``[F, T]``, 0 to 1: by how much of the most the marker may have changed the bin, 0 in silence.
        bin_hz, step_s: the grid.
        floor_db: what silence reads as.
        top_hz: Nyquist frequency.
    """

    change: Tensor
    weight: Tensor
    bin_hz: float
    step_s: float
    floor_db: float
    top_hz: float

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return (self.change.shape[1] - 1) * self.step_s


def spectrogram(
    mono_S: Tensor, sample_rate: int, *, floor_db: float | None = None, widest: float = 1.13
) -> Spectrogram:
    """Return levels every 4 ms up to the highest band times ``widest``.

    Args:
        mono_S: float ``[S]``.
        sample_rate: Hz.
        floor_db: level of silence; None takes 60 dB under the loud bins of this sound.
        widest: largest factor by which the bands will be moved up.
    """
    window = window_samples(sample_rate)
    hop = window // _FINE
    bin_hz = sample_rate / window
    bins = min(window // 2 + 1, math.ceil(EDGES_HZ[-1] * widest / bin_hz) + 2)
    padded = torch.nn.functional.pad(mono_S.float(), (window // 2, window // 2 + hop))
    frames = padded.unfold(0, window, hop)
    shape = torch.hann_window(window)
    power = (
        torch.cat([torch.fft.rfft(part * shape).abs()[:, :bins].square() for part in frames.split(1024)]).T
        * (2 / window) ** 2
    )
    if floor_db is None:
        loud = float(torch.quantile(power[:, :: max(1, power.shape[1] // 4000)].amax(0), 0.95)) if power.numel() else 0
        floor_db = max(10 * math.log10(loud + 1e-20) + FLOOR_DB, -110.0)
    level_FT = 10 * torch.log10(power + 10 ** (floor_db / 10))
    room_FT = room_of_power(ear(sample_rate, bins), power * 4, most_db=MOST_DB, margin_db=0.0) / MOST_DB
    weight_FT = room_FT.pow(ROOM_POWER) * (level_FT > floor_db + 3.0)
    change_FT = _less_mean(level_FT, weight_FT, round(MEMORY_S * sample_rate / hop) | 1).clamp(
        -BIN_LIMIT_DB, BIN_LIMIT_DB
    )
    return Spectrogram(
        change=change_FT * weight_FT,
        weight=weight_FT,
        bin_hz=bin_hz,
        step_s=hop / sample_rate,
        floor_db=floor_db,
        top_hz=sample_rate / 2,
    )


def _between(total: Tensor, place: Tensor) -> Tensor:
    """Return a running total (last axis) at fractional places."""
    place = place.clamp(0, total.shape[-1] - 1)
    low = place.floor().long().clamp(max=total.shape[-1] - 2)
    part = (place - low).to(total.dtype)
    return total[..., low] * (1 - part) + total[..., low + 1] * part


def _less_mean(level_FT: Tensor, weight_FT: Tensor, width: int) -> Tensor:
    near = _box(weight_FT, width).clamp(min=1e-6)
    return level_FT - _box(level_FT * weight_FT, width) / near


def shares(hz_F: Tensor, scale: float = 1.0) -> Tensor:
    """Return which part of each bin lies in each band, ``[F, B]``, the bands' edges moved by ``scale``."""
    half = float(hz_F[1]) / 2
    edge = torch.tensor(EDGES_HZ) * scale
    shared = torch.minimum(hz_F[:, None] + half, edge[1:]) - torch.maximum(hz_F[:, None] - half, edge[:-1])
    return (shared / (2 * half)).clamp(0, 1)


def band_levels(seen: Spectrogram, scale: float = 1.0) -> Tensor:
    """Return the weighted change of level of each band and its weight, ``[2, B, T]``.

    The bands' edges are moved by ``scale``. Bands above the Nyquist frequency weigh nothing.
    """
    share_FB = shares(torch.arange(seen.change.shape[0]) * seen.bin_hz, scale)
    share_FB[:, torch.tensor(EDGES_HZ[1:]) * scale > seen.top_hz] = 0.0
    return torch.stack([share_FB.T @ seen.change, share_FB.T @ seen.weight])


def cells(
    band_2BT: Tensor, seen: Spectrogram, *, pace: float = 1.0, start_s: float = 0.0, stop_s: float | None = None
) -> Tensor:
    """Return the cells' whitened values ``[B, Q]``: chips that begin every quarter of a chip from ``start_s`` on.

    Args:
        band_2BT: `band_levels`.
        seen: their spectrogram.
        pace: length of a chip in this sound over its length when marked.
        start_s, stop_s: the stretch that is looked at.
    """
    stop_s = seen.seconds if stop_s is None else stop_s
    chip = CHIP_S * pace
    count = max(0, math.floor((stop_s - start_s) / chip * QUARTERS) - QUARTERS + 1)
    total = torch.nn.functional.pad(band_2BT.double().cumsum(2), (1, 0))
    first = start_s + torch.arange(count, dtype=torch.float64) * (chip / QUARTERS)
    sums = _between(total, (first + chip) / seen.step_s + 0.5) - _between(total, first / seen.step_s + 0.5)
    change_BQ, weight_BQ = (sums / (chip / seen.step_s)).float()
    return _whiten(change_BQ, weight_BQ)


def _box(x: Tensor, width: int) -> Tensor:
    """Return the sliding sum over the last axis."""
    total = torch.nn.functional.pad(x.double().cumsum(-1), (1, 0))
    at = torch.arange(x.shape[-1])
    high, low = (at + width // 2 + 1).clamp(max=x.shape[-1]), (at - width // 2).clamp(min=0)
    return (total[..., high] - total[..., low]).to(x.dtype)


def _whiten(change_BQ: Tensor, weight_BQ: Tensor) -> Tensor:
    """Return weighted changes less those of the neighbouring bands, limited."""
    if change_BQ.shape[1] == 0:
        return change_BQ
    near_BQ = _box(change_BQ.T, NEAR_BANDS).T / _box(weight_BQ.T, NEAR_BANDS).T.clamp(min=1e-6)
    mean_BQ = change_BQ / weight_BQ.clamp(min=1e-6) - near_BQ
    return mean_BQ.clamp(-LIMIT_DB, LIMIT_DB) * weight_BQ.clamp(min=0).pow(CELL_POWER)
