"""One column of the table as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .measures import (
    CAP_DB,
    Judged,
    all_correct,
    attribute_accuracy,
    first_frame_psnr_db,
    gravity,
    reference_identity,
    synchrony,
)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Closeness of the VAEs' copies in dB, one figure for each clip (for sound: each clip that is not silent)."""

    video_db: Sequence[float]
    audio_db: Sequence[float]

    @classmethod
    def perfect(cls) -> Quality:
        """Return that of the truth to itself."""
        return cls(video_db=[CAP_DB], audio_db=[CAP_DB])


def figures(clips: Sequence[Judged], names: Sequence[str], quality: Quality) -> dict[str, Any]:
    """Return the figures of one column.

    Args:
        clips: every judged clip.
        names: the attributes of the level.
        quality: of the VAEs.

    Returns:
        ``attribute_accuracy`` (an object), ``all_correct``, ``onset_f1``, ``onset_offset_ms_median``,
        ``gravity_residual_px`` and ``gravity_error`` over the plain clips; ``held_out_pairs.all_correct``;
        ``held_out_words.attribute_accuracy``, the mean over the attributes; ``reference_identity``;
        ``i2v_first_frame_psnr_db``; ``video_vae_psnr_db``; ``audio_vae_snr_db``. None where nothing was measured.
    """
    plain, pairs, words = ([c for c in clips if c.group == g] for g in ("plain", "held_out_pairs", "held_out_words"))
    by_words = [share for share in attribute_accuracy(words, names).values() if share is not None]
    onset_f1, offset_ms = synchrony(plain)
    residual_px, error = gravity(plain)
    return {
        "attribute_accuracy": attribute_accuracy(plain, names),
        "all_correct": all_correct(plain),
        "held_out_pairs": {"all_correct": all_correct(pairs)},
        "held_out_words": {"attribute_accuracy": _mean(by_words)},
        "onset_f1": onset_f1,
        "onset_offset_ms_median": offset_ms,
        "gravity_residual_px": residual_px,
        "gravity_error": error,
        "reference_identity": reference_identity(clips),
        "i2v_first_frame_psnr_db": first_frame_psnr_db(clips),
        "video_vae_psnr_db": _mean(quality.video_db),
        "audio_vae_snr_db": _mean(quality.audio_db),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
