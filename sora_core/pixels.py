"""Pictures between bytes and the model: uint8 ``[F, H, W, 3]`` and float ``[1, 3, F, H, W]`` in [-1, 1]."""

# F frames, H W height and width in pixels

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from .errors import SoraError
from .types import GRID


def to_signed(frames: Tensor, device: torch.device | str | None = None) -> Tensor:
    """Return uint8 frames ``[F, H, W, 3]`` or clips ``[B, F, H, W, 3]`` as float32 ``[B or 1, 3, F, H, W]`` in [-1, 1].

    ``device``: where to; None stays.
    """
    clips_BFHW3 = frames if frames.ndim == 5 else frames.unsqueeze(0)
    return clips_BFHW3.to(device).permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1.0)


def to_bytes(frames_3FHW: Tensor) -> Tensor:
    """Return float frames, about in [-1, 1], as uint8 ``[F, H, W, 3]`` on the CPU; what lies outside is clamped."""
    levels = (frames_3FHW.float() + 1) * 127.5
    return levels.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu()


def first_frames(chunks: Iterable[Tensor], frames: int) -> Iterator[Tensor]:
    """Yield uint8 chunks of one clip, ``[1, 3, f, H, W]`` float each, until ``frames`` frames are out."""
    left = frames
    for chunk_13FHW in chunks:
        yield to_bytes(chunk_13FHW[0, :, :left])
        left -= chunk_13FHW.shape[2]
        if left <= 0:
            return


def check_frames(frames: Tensor) -> Tensor:
    """Return frames as uint8 ``[F, H, W, 3]``; a lone picture ``[H, W, 3]`` gets a frame axis.

    Raises:
        SoraError: another type or shape.
    """
    frames = frames.unsqueeze(0) if frames.ndim == 3 else frames
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.numel():
        raise SoraError(
            f"a picture of shape {tuple(frames.shape)} and type {frames.dtype} must be uint8 [height, width, 3], "
            "with a frame axis in front for film"
        )
    return frames


def size_within(columns: int, rows: int, width: int, height: int) -> tuple[int, int]:
    """Return the largest width and height on the grid, within ``width`` x ``height``, in the shape of a picture.

    ``columns`` x ``rows`` is the picture's size. A reference is brought to it: nothing of it may be cut away.
    """
    scale = min(width / columns, height / rows)

    def on_grid(side: float, limit: int) -> int:
        return min(limit, max(GRID, round(side / GRID) * GRID))

    return on_grid(columns * scale, width), on_grid(rows * scale, height)
