"""What a mark costs the picture and the sound, and how much of it an attack leaves."""

# F frames, H W height and width in pixels, 3 RGB, C sound channels, s samples

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ...evaluation.intervals import Interval, mean, rate
from ...provenance.marking.reading import SecondReading, State
from .geometry import PIECE

BITS = 64
SSIM_WINDOW = 11
CAP_DB = 100.0
"""For what is equal."""


class Reading(Protocol):
    """What every blind reader of this project returns; see `provenance.marking`."""

    @property
    def state(self) -> State:
        """Present, partial or absent."""
        ...

    @property
    def score(self) -> float:
        """In the reader's own unit."""
        ...

    @property
    def threshold(self) -> float:
        """From which score on the mark is there."""
        ...

    @property
    def bits(self) -> tuple[int, ...]:
        """Decoded bits, the best guess even where the mark is absent."""
        ...

    @property
    def seconds(self) -> tuple[SecondReading, ...]:
        """By stretches of time."""
        ...


class Outcome(NamedTuple):
    """One marked clip after one attack. bits: share that is right. found: at the reader's threshold. named: by its id.

    damage_db: PSNR of the attacked clip against the marked one, None where they do not lie over each other.
    """

    bits: float
    found: bool
    named: bool
    damage_db: float | None = None


def bits_of(number: int, count: int = BITS) -> tuple[int, ...]:
    """Return the bits of an id, the highest first."""
    return tuple(number >> place & 1 for place in range(count - 1, -1, -1))


def bit_accuracy(bits: Sequence[int], number: int) -> float:
    """Return the share of decoded bits that are those of an id."""
    true = bits_of(number, len(bits))
    return sum(a == b for a, b in zip(bits, true, strict=True)) / len(true)


def outcome(reading: Reading, named: bool, mark_id: int, damage_db: float | None = None) -> Outcome:
    """Return what a reading says of a clip that carries ``mark_id``."""
    return Outcome(bit_accuracy(reading.bits, mark_id), reading.state != "absent", named, damage_db)


def summary(outcomes: Sequence[Outcome], bits: int = BITS) -> dict[str, Any]:
    """Return the figures of clips alike: ``bits`` and ``found`` and ``named``, each with ``_low`` and ``_high``.

    ``clips`` is their number, ``damage_db`` the mean of those that have one, or None.
    """
    found = rate(sum(o.found for o in outcomes), len(outcomes))
    named = rate(sum(o.named for o in outcomes), len(outcomes))
    accuracy = mean([o.bits for o in outcomes], outcomes=bits, bounds=(0.0, 1.0))
    damage = [o.damage_db for o in outcomes if o.damage_db is not None]
    return {
        "clips": len(outcomes),
        **spread("bits", accuracy),
        **spread("found", found),
        **spread("named", named),
        "damage_db": sum(damage) / len(damage) if damage else None,
    }


def spread(name: str, interval: Interval) -> dict[str, float]:
    """Return an interval as ``name``, ``name_low`` and ``name_high``."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def psnr_db(one_FHWC: Tensor, other_FHWC: Tensor) -> float:
    """Return the PSNR over all pixels, colours and frames, in dB of 255 levels, at most `CAP_DB`."""
    total = 0.0
    for a, b in zip(one_FHWC.split(PIECE), other_FHWC.split(PIECE), strict=True):
        total += float((a.float() - b.float()).square().double().sum())
    error = total / one_FHWC.numel()
    return min(CAP_DB, 10 * math.log10(255**2 / error)) if error else CAP_DB


def ssim(one_FHWC: Tensor, other_FHWC: Tensor, every: int = 8) -> float:
    """Return the mean SSIM (Wang et al. 2004, kornia) of every so many frames, on RGB in [0, 1], window 11."""
    from kornia.metrics import ssim as kornia_ssim

    shares = [
        kornia_ssim(a[None].movedim(-1, 1).float() / 255, b[None].movedim(-1, 1).float() / 255, SSIM_WINDOW).mean()
        for a, b in zip(one_FHWC[::every], other_FHWC[::every], strict=True)
    ]
    return float(torch.stack(shares).mean())


def flicker(clean_FHWC: Tensor, marked_FHWC: Tensor) -> float:
    """Return by how many levels the mark itself changes from frame to frame: mean absolute difference of its steps."""
    if len(clean_FHWC) < 2:
        return 0.0
    total, count, before = 0.0, 0, None
    for clean, marked in zip(clean_FHWC, marked_FHWC, strict=True):
        mark = marked.short() - clean.short()
        if before is not None:
            total += float((mark - before).abs().float().mean())
            count += 1
        before = mark
    return total / count


def si_snr_db(clean_CS: Tensor, marked_CS: Tensor) -> float:
    """Return the scale-invariant signal-to-noise ratio in dB (Le Roux et al. 2019), over all channels together."""
    clean, marked = clean_CS.double().flatten(), marked_CS.double().flatten()
    clean, marked = clean - clean.mean(), marked - marked.mean()
    target = (marked @ clean) / (clean @ clean).clamp_min(1e-12) * clean
    noise = (marked - target).square().sum()
    return min(CAP_DB, float(10 * torch.log10(target.square().sum() / noise.clamp_min(1e-20))))


def averages(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over clips, with its interval."""
    listed = list(rows)
    return {
        key: value for name in listed[0] for key, value in spread(name, mean([row[name] for row in listed])).items()
    }
