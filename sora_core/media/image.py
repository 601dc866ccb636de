"""Read any picture that PyAV reads, and fit it to a size."""

# H W height and width of the source, h w of the result, C channels

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SoraError

_QUARTER = 90


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the picture (of a clip: its first frame) as uint8 RGB ``[H, W, 3]``, turned the way it was taken.

    Raises:
        SoraError: the file is missing or holds no picture.
    """
    if not path.is_file():
        raise SoraError(f"image {path} {'is a folder' if path.is_dir() else 'does not exist'}; name a picture")
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            image_HWC = frame.to_ndarray(format="rgb24")
            turns = round(getattr(frame, "rotation", 0) / _QUARTER)
    except (FFmpegError, StopIteration, IndexError, ValueError, OSError) as error:
        raise SoraError(f"image {path} cannot be read as a picture; name a PNG, JPEG or WebP file") from error
    return np.ascontiguousarray(np.rot90(image_HWC, turns))


def cover(image_HWC: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the middle of the picture at exactly ``height`` x ``width``, as large as it fits without empty edges.

    Shrinks by area average and enlarges bilinearly, so that neither aliases.
    """
    source_height, source_width = image_HWC.shape[:2]
    scale = max(height / source_height, width / source_width)
    kept_height, kept_width = height / scale, width / scale
    rows_hH = _weights(source_height, height, (source_height - kept_height) / 2, kept_height)
    columns_wW = _weights(source_width, width, (source_width - kept_width) / 2, kept_width)
    tall = np.einsum("hH,HWC->hWC", rows_hH, image_HWC.astype(np.float32), optimize=True)
    result_hwC = np.einsum("wW,hWC->hwC", columns_wW, tall, optimize=True)
    return np.clip(np.rint(result_hwC), 0, 255).astype(np.uint8)


def _weights(source: int, target: int, start: float, length: float) -> NDArray[np.float32]:
    """Return ``[target, source]`` weights that resample ``start`` to ``start + length``, each row summing to 1.

    The filter is a box as wide as a target pixel blended with a triangle as wide as a source pixel: the overlap of the
    two pixels when shrinking, linear interpolation when enlarging.
    """
    step = length / target
    centres = start + (np.arange(target) + 0.5) * step
    distance = np.abs(centres[:, None] - (np.arange(source) + 0.5)[None])
    weights = np.clip((step + 1) / 2 - distance, 0, 1) if step >= 1 else np.clip(1 - distance, 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
