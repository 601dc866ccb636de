"""Read any picture that PyAV reads, and fit it to a size."""

# H W height and width, C channels

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
    return _read(path, "rgb24")


def read_rgba(path: Path) -> NDArray[np.uint8]:
    """Return the picture with its transparency, uint8 RGBA ``[H, W, 4]``. Raises as `read_image`."""
    return _read(path, "rgba")


def _read(path: Path, pixels: str) -> NDArray[np.uint8]:
    if not path.is_file():
        raise SoraError(f"image {path} {'is a folder' if path.is_dir() else 'does not exist'}; name a picture")
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            image_HWC = frame.to_ndarray(format=pixels)
            turns = round(getattr(frame, "rotation", 0) / _QUARTER)
    except (FFmpegError, StopIteration, IndexError, ValueError, OSError) as error:
        raise SoraError(f"image {path} cannot be read as a picture; name a PNG, JPEG or WebP file") from error
    return np.ascontiguousarray(np.rot90(image_HWC, turns))


def cover(image_HWC: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the middle of the picture at exactly ``height`` x ``width``, as large as it fits without empty edges.

    Bilinear with an anti-aliasing blur where it shrinks. A picture of that size already comes back as it is.
    """
    rows, columns = image_HWC.shape[:2]
    if (rows, columns) == (height, width):
        return image_HWC
    import torch
    from kornia.geometry.transform import resize

    scale = max(height / rows, width / columns)
    kept_rows, kept_columns = min(rows, round(height / scale)), min(columns, round(width / scale))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    # Cut first: the blur must not bring in what lies outside.
    kept_HWC = np.ascontiguousarray(image_HWC[top : top + kept_rows, left : left + kept_columns])
    picture_1CHW = torch.from_numpy(kept_HWC).permute(2, 0, 1)[None].float()
    fitted_1Chw = resize(picture_1CHW, (height, width), antialias=scale < 1)
    return fitted_1Chw[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
