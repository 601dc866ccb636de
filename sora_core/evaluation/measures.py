"""From what was seen and heard to figures: accuracy, synchrony, physics and closeness of signals."""

# S samples

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..world.spec import MATERIALS
from ..world.vocabulary import STRIKING
from .contacts import gravity_error, gravity_residual_px
from .counting import count_kept
from .detector import Detection
from .identity import Look, identity
from .physics import REBOUNDING, camera_error, momentum_change, restitution_error, velocity_error
from .prompts import FLYING

DEFAULT_MATERIAL = MATERIALS[0]

TOLERANCE_S = 0.050
"""An onset and a contact that are no further apart than this belong together."""

CAP_S = 0.250
"""Offset of a contact that is not heard, and the greatest that is told."""

CAP_DB = 100.0
"""Signal to noise of two equal signals."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One clip beside what it was to show.

    expected: attribute to word, only those that the prompt names. group: one of `prompts.GROUPS`. first: its first
    frame, uint8 ``[H, W, 3]``. image: the frame that it was to start from. reference: the look that it was to keep.
    material: of the actor, which the prompt leaves out where it is rubber. seconds, aspect: of the clip, width over
    height. heights: every path that the image leaves open (see `physics.true_heights`), at fps frames per second.
    """

    group: str
    expected: Mapping[str, str]
    detection: Detection
    first: Tensor
    image: Tensor | None = None
    reference: Look | None = None
    material: str = DEFAULT_MATERIAL
    seconds: float = 1.0
    aspect: float = 1.0
    fps: float = 12.0
    heights: np.ndarray | None = None

    @property
    def right(self) -> dict[str, bool]:
        """Whether each expected attribute is what was seen."""
        return {name: getattr(self.detection, name) == word for name, word in self.expected.items()}


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Contacts against onsets of one clip. offsets: seconds, one per contact, at most `CAP_S`."""

    hits: int
    misses: int
    false: int
    offsets: tuple[float, ...]


def match_onsets(contacts: np.ndarray, onsets: np.ndarray, must_strike: bool = False, until: float = np.inf) -> Matches:
    """Pair the contacts that are seen with the onsets that are heard.

    Args:
        contacts, onsets: seconds, ascending.
        must_strike: the prompt implies a contact; a clip that shows none then counts as one miss at the cap.
        until: seconds of the last frame. An onset after it, less the tolerance, answers to nothing that could be seen
            and is not counted as false.

    Returns:
        Matches: as many pairs within `TOLERANCE_S` as there can be; each onset answers for one contact. An offset is
        the distance to the nearest onset, whether or not that is paired.
    """
    hits, used = 0, 0
    paired = np.zeros(len(onsets), dtype=bool)
    for contact in contacts:
        # Both ascend, so giving each contact the earliest free onset in reach pairs the most.
        while used < len(onsets) and onsets[used] < contact - TOLERANCE_S:
            used += 1
        if used < len(onsets) and onsets[used] <= contact + TOLERANCE_S:
            paired[used] = True
            used += 1
            hits += 1
    false = int((~paired & (onsets <= until - TOLERANCE_S)).sum())
    offsets = [min(CAP_S, float(np.abs(onsets - c).min())) if len(onsets) else CAP_S for c in contacts]
    misses = len(contacts) - hits
    if must_strike and len(contacts) == 0:
        misses, offsets = 1, [CAP_S]
    return Matches(hits=hits, misses=misses, false=false, offsets=tuple(offsets))


def attribute_accuracy(clips: Sequence[Judged], names: Sequence[str]) -> dict[str, float | None]:
    """Return the share of right answers for each attribute, over the clips whose prompt names it; None without any."""
    right = [clip.right for clip in clips]
    return {name: _mean([r[name] for r in right if name in r]) for name in names}


def all_correct(clips: Sequence[Judged]) -> float | None:
    """Return the share of clips in which everything that the prompt names is right."""
    return _mean([all(clip.right.values()) for clip in clips])


def synchrony(clips: Sequence[Judged]) -> tuple[float | None, float | None, float | None]:
    """Return onset F1 over all contacts and onsets of the clips, and the offset in milliseconds: median and 95th
    percentile.
    """
    matches = [
        match_onsets(
            clip.detection.contacts,
            clip.detection.onsets,
            must_strike=clip.expected.get("motion") in STRIKING,
            until=clip.detection.seen[1] if clip.detection.seen else 0.0,
        )
        for clip in clips
    ]
    hits = sum(m.hits for m in matches)
    errors = sum(m.misses + m.false for m in matches)
    offsets = [offset for m in matches for offset in m.offsets]
    f1 = 2 * hits / (2 * hits + errors) if hits + errors else None
    if not offsets:
        return f1, None, None
    return f1, 1000.0 * float(np.median(offsets)), 1000.0 * float(np.percentile(offsets, 95))


def gravity(clips: Sequence[Judged]) -> tuple[float | None, float | None]:
    """Return the mean gravity residual in pixels at 64 px, and the median relative error of g, of flying prompts."""
    flying = [clip.detection.segments for clip in clips if clip.expected.get("motion") in FLYING]
    errors = [error for segments in flying if (error := gravity_error(segments)) is not None]
    return _mean([gravity_residual_px(segments) for segments in flying]), float(np.median(errors)) if errors else None


def restitution(clips: Sequence[Judged]) -> float | None:
    """Return the mean absolute error of restitution over the prompts that rebound."""
    return _mean([restitution_error(c.detection, c.material) for c in clips if c.expected.get("motion") in REBOUNDING])


def momentum(clips: Sequence[Judged]) -> float | None:
    """Return the median relative change of momentum over the prompts of two actors that collide."""
    changes = [momentum_change(clip.detection) for clip in clips if clip.expected.get("motion") == "collide"]
    told = [change for change in changes if change is not None]
    return float(np.median(told)) if told else None


def velocity(clips: Sequence[Judged]) -> float | None:
    """Return the mean relative velocity error over the clips whose image determines the motion."""
    return _mean([velocity_error(c.detection, c.heights, c.fps) for c in clips if c.heights is not None])


def actors_kept(clips: Sequence[Judged]) -> float | None:
    """Return the share of clips that show as many actors as they were to, from first to last."""
    return _mean([count_kept(c.detection.counts, 2 if c.expected.get("motion") == "collide" else 1) for c in clips])


def camera(clips: Sequence[Judged]) -> tuple[float | None, float | None]:
    """Return how far pan (pixels per second at 64 px) and zoom (growth per second) are from what the words allow."""
    named = [c for c in clips if "camera" in c.expected]
    errors = [camera_error(c.expected["camera"], c.detection.moved, c.seconds, c.aspect) for c in named]
    return _mean([pan for pan, _ in errors]), _mean([zoom for _, zoom in errors])


def material_heard(clips: Sequence[Judged]) -> float | None:
    """Return the share of striking prompts whose material is told from the sound; None where none was told."""
    striking = [clip for clip in clips if clip.expected.get("motion") in STRIKING]
    if all(clip.detection.material is None for clip in striking):
        return None
    return _mean([clip.detection.material == clip.material for clip in striking])


def reference_identity(clips: Sequence[Judged]) -> float | None:
    """Return the mean of `identity` over the clips that were made from a reference; a clip without an actor is 0."""
    return _mean(
        [
            identity(clip.reference, clip.detection.look) if clip.detection.look else 0.0
            for clip in clips
            if clip.reference is not None
        ]
    )


def first_frame_psnr_db(clips: Sequence[Judged]) -> float | None:
    """Return the mean PSNR of the first frame against the image that it was to be."""
    return _mean([psnr_db(clip.first, clip.image) for clip in clips if clip.image is not None])


def psnr_db(first: Tensor, second: Tensor) -> float:
    """Return the peak signal to noise ratio of two uint8 pictures or films of the same shape, at most 100 dB."""
    error = float((first.to(torch.float32) - second.to(torch.float32)).square().mean())
    return CAP_DB if error == 0 else min(CAP_DB, 10.0 * float(np.log10(255.0**2 / error)))


def snr_db(signal_S: Tensor, copy_S: Tensor) -> float:
    """Return the signal to noise ratio of a copy of a sound, over the length that both have, at most 100 dB."""
    length = min(len(signal_S), len(copy_S))
    signal, copy = signal_S[:length].to(torch.float64), copy_S[:length].to(torch.float64)
    noise, power = float((signal - copy).square().sum()), float(signal.square().sum())
    if noise == 0:
        return CAP_DB
    return min(CAP_DB, 10.0 * float(np.log10(max(power, 1e-12) / noise)))


def _mean(values: Sequence[float] | Sequence[bool]) -> float | None:
    return float(np.mean(values)) if len(values) else None
