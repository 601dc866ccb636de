"""Frames and sounds, checked before anybody judges them."""
# F frames, H W pixels, C channels, S samples

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .failure import Failure

if TYPE_CHECKING:
    from torch import Tensor

MOST_FRAMES = 4096
"""Frames of one film that are judged at once; a longer film is judged in parts by the caller."""

TOLERANCE = 1e-3
"""By which float values may leave their range, for resampling does that."""


def sampled_frames(frames: Tensor | Iterable[Tensor], fps: float, judged_per_second: float) -> Tensor:
    """Return the frames to judge as uint8 [F, H, W, 3]: evenly in time, the first and the last among them.

    Raises:
        Failure: there is none, too many are to be judged, or the values, shape or rate are wrong.
    """
    import torch

    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not math.isfinite(fps) or fps <= 0:
        raise Failure("wrong-frames")
    step = max(1, int(fps / judged_per_second))
    kept: list[Tensor] = []
    last, count = None, 0
    for piece in [frames] if isinstance(frames, torch.Tensor) else frames:
        _check(piece)
        for place in range(-count % step, len(piece), step):
            kept.append(_bytes(piece[place]))
            if len(kept) > MOST_FRAMES:
                raise Failure("wrong-frames")
        count += len(piece)
        if len(piece):
            last = piece[-1]
    if last is None:
        raise Failure("no-frames")
    if (count - 1) % step:
        kept.append(_bytes(last))
    if any(frame.shape != kept[0].shape for frame in kept):
        raise Failure("wrong-frames")
    return torch.stack(kept)


def checked_sound(sound_CS: Tensor, sample_rate: int) -> Tensor:
    """Return a sound as float32 [C, S].

    Raises:
        Failure: there is none, or the values, shape or rate are wrong.
    """
    import torch

    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int) or not 0 < sample_rate <= 768_000:
        raise Failure("wrong-sound")
    if not isinstance(sound_CS, torch.Tensor) or sound_CS.ndim != 2 or not sound_CS.is_floating_point():
        raise Failure("wrong-sound")
    if not sound_CS.numel():
        raise Failure("no-sound")
    if not bool(torch.isfinite(sound_CS).all()) or float(sound_CS.abs().max()) > 1 + TOLERANCE:
        raise Failure("wrong-sound")
    return sound_CS.detach().float().cpu()


def _check(piece: object) -> None:
    import torch

    if not isinstance(piece, torch.Tensor) or piece.ndim != 4 or piece.shape[-1] != 3:
        raise Failure("wrong-frames")
    if len(piece) and not (piece.shape[1] and piece.shape[2]):
        raise Failure("wrong-frames")
    if piece.dtype != torch.uint8 and not piece.is_floating_point():
        raise Failure("wrong-frames")
    if piece.is_floating_point() and piece.numel():
        low, high = (float(value) for value in piece.detach().aminmax())
        # NaN fails both comparisons
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
            raise Failure("wrong-frames")


def _bytes(frame_HWC: Tensor) -> Tensor:
    import torch

    if frame_HWC.dtype == torch.uint8:
        return frame_HWC.detach().cpu()
    return (frame_HWC.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
