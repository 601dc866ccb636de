"""Finding the mark of a sound whose beginning, speed and pace are not known."""

# C channels, S samples, B bands, Q quarters of a chip, J chips of the cycle, H hypotheses, W frequencies of the cycle

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .sound_grid import BANDS, CHIP_S, CYCLE, QUARTERS, Spectrogram, band_levels, cells, check_sound, spectrogram
from .sound_pattern import Pattern, decode

_STRETCH_S = 12.0
"""Seconds of the loudest stretch in which a change of speed is looked for: longer ones need finer steps."""

_DRIFT = 0.4
"""Chips by which the end of the stretch may be off between two steps of speed."""

_WINDOW_S = 6.0
"""Seconds of the stretches of a long sound that are looked at by themselves."""

_CANDIDATES = 24


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One guess. scale: of frequency. pace: length of a chip. start_s, stop_s: the part that is looked at."""

    scale: float = 1.0
    pace: float = 1.0
    start_s: float = 0.0
    stop_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sound as the search needs it, made without a secret.

    Attributes:
        seen: its spectrogram.
        guesses: what was tried.
        folded: per guess and quarter, the cells summed by their place in the cycle: float32 ``[H, 4, B, J]``.
        spectra: their transforms along J, complex64 ``[H, 4, B, W]``.
        energy: sum of the squares of the folded cells, ``[H, 4]``.
    """

    seen: Spectrogram
    guesses: tuple[Stretch, ...]
    folded: Tensor
    spectra: Tensor
    energy: Tensor


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best place of a mark. score: standard deviations. lead: by how many the worse half leads its next word."""

    score: float
    lead: float
    short_id: int
    guess: Stretch
    quarter: int
    first_chip: int


def prepare_sound(
    sound_CS: Tensor, *, sample_rate: int, slowest: float = 0.9, fastest: float = 1.11, thorough: bool = True
) -> Prepared:
    """Return a sound as the search needs it, for any number of secrets.

    Args:
        sound_CS: float ``[C, S]``.
        sample_rate: Hz, 8,000 to 96,000.
        slowest, fastest: speeds that are tried, as factors.
        thorough: try other speeds, other paces at the same pitch, and single stretches of long sounds.

    Raises:
        SoraError: a rate, a shape or a type that no mark is made for.
    """
    check_sound(sound_CS, sample_rate)
    seen = spectrogram(torch.nan_to_num(sound_CS).mean(0), sample_rate, widest=max(1.01, fastest) + 0.01)
    guesses = _guesses(seen, slowest, fastest) if thorough else [Stretch(stop_s=seen.seconds)]
    levels = {scale: band_levels(seen, scale) for scale in {g.scale for g in guesses}}
    folded = torch.zeros(len(guesses), QUARTERS, BANDS, CYCLE)
    for index, guess in enumerate(guesses):
        values = cells(levels[guess.scale], seen, pace=guess.pace, start_s=guess.start_s, stop_s=guess.stop_s)
        for quarter in range(QUARTERS):
            chips = values[:, quarter::QUARTERS]
            for start in range(0, chips.shape[1], CYCLE):
                part = chips[:, start : start + CYCLE]
                folded[index, quarter, :, : part.shape[1]] += part
    return Prepared(
        seen=seen,
        guesses=tuple(guesses),
        folded=folded,
        spectra=torch.fft.rfft(folded),
        energy=folded.square().sum((2, 3)),
    )


def _guesses(seen: Spectrogram, slowest: float, fastest: float) -> list[Stretch]:
    whole = seen.seconds
    guesses = [Stretch(stop_s=whole)]
    if whole > 1.5 * _WINDOW_S:
        starts = torch.arange(0, whole - _WINDOW_S / 2, _WINDOW_S / 2).tolist()
        guesses += [Stretch(start_s=start, stop_s=min(whole, start + _WINDOW_S)) for start in starts]
    start_s, stop_s = _loudest(seen)
    step = min(0.02, _DRIFT * CHIP_S / max(0.1, stop_s - start_s) * 2)
    below, above = math.floor(math.log(slowest) / step), math.ceil(math.log(fastest) / step)
    for count in range(below, above + 1):
        if count:
            speed = math.exp(count * step)
            guesses.append(Stretch(scale=speed, pace=1 / speed, start_s=start_s, stop_s=stop_s))
            guesses.append(Stretch(pace=1 / speed, start_s=start_s, stop_s=stop_s))
    return guesses


def _loudest(seen: Spectrogram) -> tuple[float, float]:
    width = round(_STRETCH_S / seen.step_s)
    if seen.weight.shape[1] <= width:
        return 0.0, seen.seconds
    total = torch.nn.functional.pad(seen.weight.mean(0).cumsum(0), (1, 0))
    first = int((total[width:] - total[:-width]).argmax())
    return first * seen.step_s, first * seen.step_s + _STRETCH_S


def find(prepared: Prepared, keyed: Pattern) -> Found:
    """Return the best place of a secret's mark in a sound, however bad it is."""
    sync_BJ = keyed.sign * (keyed.role == 0)
    shape = torch.fft.rfft(sync_BJ).conj()
    # The transform of the correlation: sum over the bands first, so that one short inverse per guess is left.
    match_HQJ = torch.fft.irfft(torch.einsum("hqbw,bw->hqw", prepared.spectra, shape), n=CYCLE)
    norm = prepared.energy.clamp(min=1e-9).sqrt()[..., None]
    flat = (match_HQJ / norm).flatten()
    picks = flat.topk(min(_CANDIDATES, len(flat))).indices
    guess, quarter, lag = picks // (QUARTERS * CYCLE), picks // CYCLE % QUARTERS, picks % CYCLE
    place = (torch.arange(CYCLE)[None] + lag[:, None]) % CYCLE
    values = prepared.folded[guess, quarter].gather(2, place[:, None].expand(-1, BANDS, -1))
    ids, best, lead = decode(keyed, values)
    scale = norm[guess, quarter, 0]
    scores = flat[picks] + best.sum(1) / scale
    top = int(scores.argmax())
    return Found(
        score=float(scores[top]),
        lead=float((lead[top] / scale[top]).min()),
        short_id=int(ids[top]),
        guess=prepared.guesses[int(guess[top])],
        quarter=int(quarter[top]),
        first_chip=int(-lag[top]) % CYCLE,
    )


class Aligned(NamedTuple):
    """The cells of a whole sound in step with a mark.

    value: the cells ``[B, J]``. chip_s: length of a chip. origin_s: time of the first. place: of each in the cycle.
    """

    value: Tensor
    chip_s: float
    origin_s: float
    place: Tensor


def aligned(prepared: Prepared, found: Found) -> Aligned:
    """Return the cells of the whole sound in step with what was found."""
    guess = found.guess
    chip = CHIP_S * guess.pace
    origin = guess.start_s + found.quarter * chip / QUARTERS
    back = math.floor(origin / chip)
    values = cells(
        band_levels(prepared.seen, guess.scale), prepared.seen, pace=guess.pace, start_s=origin - back * chip
    )[:, ::QUARTERS]
    place = (torch.arange(values.shape[1]) + found.first_chip - back) % CYCLE
    return Aligned(value=values, chip_s=chip, origin_s=origin - back * chip, place=place)
