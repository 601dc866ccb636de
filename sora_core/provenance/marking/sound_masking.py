"""How much of a change each part of a sound hides: a masking model on the Bark scale."""

# C channels, S samples, F bins, T frames, K critical bands

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

FULL_SCALE_SPL = 96.0
"""Loudness in dB SPL at which a full-scale tone is taken to be played. Our decision: the step of 16 bits is 0 dB."""

_TONE_OFFSET, _NOISE_OFFSET = 14.5, 5.5
_NOISE_FLATNESS_DB, _TONE_FLATNESS_DB = -2.5, -20.0
_NEAR = 2
_SHORT_S, _AFTER_S = 0.001, 0.004
_LOCAL_RATIO = 0.25


_WINDOW_S = 0.032


def window_samples(sample_rate: int) -> int:
    """Return the samples of the analysis window: 32 ms, a multiple of 8."""
    return 8 * round(_WINDOW_S * sample_rate / 8)


def bark(hz: Tensor) -> Tensor:
    """Return the critical-band rate of frequencies. Source: Zwicker and Terhardt 1980."""
    return 13 * torch.atan(0.00076 * hz) + 3.5 * torch.atan((hz / 7500).square())


def quiet_db(hz: Tensor) -> Tensor:
    """Return the threshold in quiet, dB SPL. Source: Terhardt 1979."""
    khz = hz.clamp(min=20.0) / 1000
    return 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3).square()) + 1e-3 * khz**4


@dataclass(frozen=True, kw_only=True)
class Ear:
    """The masking model of one sample rate.

    Attributes:
        window: samples of a frame, 32 ms.
        hz: centre of each bin, ``[F]``.
        band: float32 ``[F, K]``, 1 where a bin is of a critical band.
        near: the same, with the neighbours of each band, for tonality.
        spread: power that one band lends to another, ``[K, K]``.
        quiet: threshold in quiet, as power re full scale, ``[K]``.
    """

    window: int
    hz: Tensor
    band: Tensor
    near: Tensor
    spread: Tensor
    quiet: Tensor

    @property
    def hop(self) -> int:
        """Samples from frame to frame, 8 ms."""
        return self.window // 4

    @property
    def shape(self) -> Tensor:
        """The window, used before and after: its square sums to 2 over frames."""
        return torch.hann_window(self.window, dtype=torch.float64).sqrt().float()

    @property
    def full_scale(self) -> float:
        """Power of the strongest bin of a full-scale tone."""
        return float(self.shape.sum() / 2) ** 2


def ear(sample_rate: int, bins: int | None = None) -> Ear:
    """Return the model for a sample rate, of the lowest ``bins`` alone if told."""
    window = window_samples(sample_rate)
    hz_F = torch.arange(bins or window // 2 + 1) * (sample_rate / window)
    index_F = bark(hz_F).floor().long()
    count = int(index_F[-1]) + 1
    band_FK = torch.nn.functional.one_hot(index_F, count).float()
    apart = (index_F[:, None] - torch.arange(count)[None]).abs()
    # Spread of masking: Schroeder, Atal and Hall 1979; dz is from the masker to the masked band.
    dz = torch.arange(count)[None] - torch.arange(count)[:, None] + 0.0
    spread_db = 15.81 + 7.5 * (dz + 0.474) - 17.5 * (1 + (dz + 0.474).square()).sqrt()
    middle = (band_FK * hz_F[:, None]).sum(0) / band_FK.sum(0).clamp(min=1)
    return Ear(
        window=window,
        hz=hz_F,
        band=band_FK,
        near=(apart <= _NEAR).float(),
        spread=10 ** (spread_db / 10),
        quiet=10 ** ((quiet_db(middle) - FULL_SCALE_SPL) / 10),
    )


def band_thresholds(model: Ear, power_FT: Tensor) -> Tensor:
    """Return the power in each critical band below which an added sound is not heard, ``[K, T]``, re full scale.

    Each band's power is spread over its neighbours and lowered by 14.5 dB + Bark for tones, 5.5 dB for noise, by the
    spectral flatness around the band; the threshold in quiet is the least. Source: Johnston 1988, with the flatness
    taken band by band (our decision, since speech is tonal below and noise above).

    Args:
        power_FT: power of the bins re full scale.
    """
    band_KT = model.band.T @ power_FT
    bins_K1 = model.near.sum(0)[:, None]
    mean_log = model.near.T @ (power_FT + 1e-14).log10() / bins_K1
    log_mean = (model.near.T @ (power_FT + 1e-14) / bins_K1).log10()
    flatness_db = 10 * (mean_log - log_mean)
    tonal_KT = ((flatness_db - _NOISE_FLATNESS_DB) / (_TONE_FLATNESS_DB - _NOISE_FLATNESS_DB)).clamp(0, 1)
    rank_K1 = torch.arange(band_KT.shape[0])[:, None] + 0.5
    offset_db = tonal_KT * (_TONE_OFFSET + rank_K1) + (1 - tonal_KT) * _NOISE_OFFSET
    masked_KT = model.spread.T @ (band_KT * 10 ** (-offset_db / 10))
    return torch.maximum(masked_KT, model.quiet[:, None])


def room_db(model: Ear, spectrum_FT: Tensor, *, most_db: float, margin_db: float) -> Tensor:
    """Return by how many dB each bin may be raised or lowered unheard, ``[F, T]``, at most ``most_db``.

    Args:
        spectrum_FT: complex frames, windowed by `Ear.shape`.
        margin_db: how far over (or, if negative, under) the threshold the change may lie.
    """
    return room_of_power(model, spectrum_FT.abs().square() / model.full_scale, most_db=most_db, margin_db=margin_db)


def room_of_power(model: Ear, power_FT: Tensor, *, most_db: float, margin_db: float) -> Tensor:
    """Return the room of bins of this power re full scale; see `room_db`."""
    allowed = band_thresholds(model, power_FT) / model.band.sum(0)[:, None].clamp(min=1)
    ratio = (model.band @ allowed / power_FT.clamp(min=1e-16)).sqrt() * 10 ** (margin_db / 20)
    return (20 * torch.log10(1 + ratio)).clamp(max=most_db)


def gate(original_CS: Tensor, mark_CS: Tensor, sample_rate: int) -> Tensor:
    """Return the mark, held 12 dB under the sound's own power of that moment or up to 4 ms before.

    A window smears a mark to before an onset, where nothing hides it; this takes the pre-echo away, and leaves digital
    silence digital silence but for half a millisecond before a sound and four after it.
    """
    short = max(1, round(_SHORT_S * sample_rate))
    after = round(_AFTER_S * sample_rate)
    pad = torch.nn.functional.pad

    def power(x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool1d(pad(x.square()[None], (short // 2, short - 1 - short // 2)), short, 1)[0]

    own = torch.nn.functional.max_pool1d(pad(power(original_CS)[None], (after, 0)), after + 1, 1)[0]
    limit = (own * _LOCAL_RATIO**2 / power(mark_CS).clamp(min=1e-20)).sqrt().clamp(max=1.0)
    smooth = torch.nn.functional.avg_pool1d(
        pad(limit[None], (short // 2, short - 1 - short // 2), "replicate"), short, 1
    )
    return mark_CS * torch.minimum(smooth[0], limit) * (own > 0)


def frames_of(model: Ear, sound_CS: Tensor) -> Tensor:
    """Return the complex frames ``[C, F, T]`` of sound whose length is a multiple of the hop; no padding."""
    return torch.fft.rfft(sound_CS.unfold(-1, model.window, model.hop) * model.shape).transpose(1, 2)


def sound_of(model: Ear, spectrum_CFT: Tensor) -> Tensor:
    """Return the sound ``[C, S]`` of frames: the inverse of `frames_of` but at the first and last window."""
    parts = torch.fft.irfft(spectrum_CFT.transpose(1, 2), n=model.window) * model.shape / 2
    length = (parts.shape[1] - 1) * model.hop + model.window
    return torch.nn.functional.fold(parts.transpose(1, 2), (1, length), (1, model.window), stride=(1, model.hop))[
        :, 0, 0
    ]


class Audibility(NamedTuple):
    """What the model says of a change.

    snr_db: sound over change. si_snr_db: the same, up to a gain. noise_to_mask_db: mean over critical bands and frames
    that hold sound of change over threshold, in dB; 0 is just heard. over: part of those bands and frames above 0 dB.
    """

    snr_db: float
    si_snr_db: float
    noise_to_mask_db: float
    over: float


def audibility(original_CS: Tensor, changed_CS: Tensor, sample_rate: int) -> Audibility:
    """Return how far a changed sound of the same length is from the original."""
    change = changed_CS - original_CS
    energy = float(original_CS.square().sum()) + 1e-12
    gain = float((original_CS * changed_CS).sum()) / energy
    rest = float((changed_CS - gain * original_CS).square().sum()) + 1e-20
    model = ear(sample_rate)
    short = max(0, model.window - original_CS.shape[1])
    ratios = []
    for one, other in zip(original_CS, change, strict=True):
        both = torch.nn.functional.pad(torch.stack([one, other]), (0, short))
        power = frames_of(model, both).abs().square() / model.full_scale
        thresholds = band_thresholds(model, power[0])
        held = (model.band.T @ power[0]) > model.quiet[:, None]
        ratios.append(((model.band.T @ power[1]) / thresholds)[held])
    ratio = 10 * torch.cat(ratios).clamp(min=1e-6).log10()
    return Audibility(
        snr_db=10 * math.log10(energy / (float(change.square().sum()) + 1e-20)),
        si_snr_db=10 * math.log10(gain * gain * energy / rest + 1e-12),
        noise_to_mask_db=float(ratio.mean()) if len(ratio) else -60.0,
        over=float((ratio > 0).float().mean()) if len(ratio) else 0.0,
    )
