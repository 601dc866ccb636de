"""One column of the table as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..world.vocabulary import STRIKING
from .measures import (
    CAP_DB,
    Judged,
    actors_kept,
    all_correct,
    attribute_accuracy,
    camera,
    first_frame_psnr_db,
    gravity,
    material_heard,
    momentum,
    reference_identity,
    restitution,
    synchrony,
    velocity,
)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Closeness of the VAEs' copies in dB, one figure for each clip (for sound: each clip that is not silent).

    onset_s: distance of each onset of the truth from the nearest one of its copy, seconds.
    """

    video_db: Sequence[float]
    audio_db: Sequence[float]
    onset_s: Sequence[float] = ()

    @classmethod
    def perfect(cls) -> Quality:
        """Return that of the truth to itself."""
        return cls(video_db=[CAP_DB], audio_db=[CAP_DB], onset_s=[0.0])


def figures(clips: Sequence[Judged], names: Sequence[str], quality: Quality) -> dict[str, Any]:
    """Return the figures of one column.

    Args:
        clips: every judged clip.
        names: the attributes of the level.
        quality: of the VAEs.

    Returns:
        ``attribute_accuracy`` (an object), ``all_correct``, ``onset_f1``, ``onset_offset_ms_median``,
        ``onset_offset_ms_p95``, ``gravity_residual_px``, ``gravity_error``, ``restitution_error``,
        ``camera_pan_error_px_s``, ``camera_zoom_error``, ``actors_kept`` and ``material_heard`` over the plain clips;
        ``momentum_change`` over the plain ones and both held-out groups, since collisions are few;
        ``held_out_pairs.all_correct``; ``held_out_words.attribute_accuracy``, the mean over the attributes;
        ``reference_identity``; ``i2v_first_frame_psnr_db``; ``i2v_velocity_error``; ``video_vae_psnr_db``;
        ``audio_vae_snr_db``, ``audio_vae_onset_ms_median`` and ``audio_vae_onset_ms_p95``. None where nothing was
        measured. ``trials`` holds, for each share, how many clips it is of.
    """
    plain, pairs, words = ([c for c in clips if c.group == g] for g in ("plain", "held_out_pairs", "held_out_words"))
    by_words = [share for share in attribute_accuracy(words, names).values() if share is not None]
    onset_f1, offset_ms, late_ms = synchrony(plain)
    residual_px, error = gravity(plain)
    pan_px_s, zoom = camera(plain)
    onset_ms = [1000.0 * offset for offset in quality.onset_s]
    return {
        "attribute_accuracy": attribute_accuracy(plain, names),
        "all_correct": all_correct(plain),
        "held_out_pairs": {"all_correct": all_correct(pairs)},
        "held_out_words": {"attribute_accuracy": _mean(by_words)},
        "onset_f1": onset_f1,
        "onset_offset_ms_median": offset_ms,
        "onset_offset_ms_p95": late_ms,
        "gravity_residual_px": residual_px,
        "gravity_error": error,
        "restitution_error": restitution(plain),
        "momentum_change": momentum([*plain, *pairs, *words]),
        "camera_pan_error_px_s": pan_px_s,
        "camera_zoom_error": zoom,
        "actors_kept": actors_kept(plain),
        "material_heard": material_heard(plain),
        "reference_identity": reference_identity(clips),
        "i2v_first_frame_psnr_db": first_frame_psnr_db(clips),
        "i2v_velocity_error": velocity(clips),
        "video_vae_psnr_db": _mean(quality.video_db),
        "audio_vae_snr_db": _mean(quality.audio_db),
        "audio_vae_onset_ms_median": float(np.median(onset_ms)) if onset_ms else None,
        "audio_vae_onset_ms_p95": float(np.percentile(onset_ms, 95)) if onset_ms else None,
        "trials": _trials(plain, pairs, words, names),
    }


def _trials(
    plain: Sequence[Judged], pairs: Sequence[Judged], words: Sequence[Judged], names: Sequence[str]
) -> dict[str, int]:
    """Return how many clips each share is of, by the figure's key."""
    found = {f"attribute_accuracy.{name}": sum(name in clip.expected for clip in plain) for name in names}
    named_by_words = sum(name in clip.expected for clip in words for name in names)
    struck = sum(clip.expected.get("motion") in STRIKING for clip in plain)
    return {
        **found,
        "all_correct": len(plain),
        "held_out_pairs.all_correct": len(pairs),
        "held_out_words.attribute_accuracy": named_by_words,
        "actors_kept": len(plain),
        "material_heard": struck,
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
