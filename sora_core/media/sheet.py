"""Contact sheets: many frames in one picture, with labels."""

# F frames, H W height and width, C channels

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .font import LINE, draw_text, fit_text

GAP = 4
PAPER = 250


def enlarge(image_HWC: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Repeat every pixel ``scale`` times each way, so that small clips show their real pixels."""
    return image_HWC.repeat(scale, axis=0).repeat(scale, axis=1)


def grid(
    frames: Sequence[NDArray[np.uint8]], labels: Sequence[str] = (), *, columns: int = 8, scale: int = 2
) -> NDArray[np.uint8]:
    """Lay frames out row by row, each with its label underneath.

    Args:
        frames: uint8 ``[H, W, 3]`` each; smaller ones stand at the top left of their cell.
        labels: one per frame, or none at all; cut to the frame's width.
        columns: frames per row.
        scale: pixels per pixel.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    assert frames, "a sheet needs a frame"
    assert not labels or len(labels) == len(frames), (len(labels), len(frames))
    columns = min(columns, len(frames))
    cell_height = max(len(frame) for frame in frames) * scale + GAP + (LINE if labels else 0)
    cell_width = max(frame.shape[1] for frame in frames) * scale + GAP
    rows = -(-len(frames) // columns)
    canvas = np.full((rows * cell_height + GAP, columns * cell_width + GAP, 3), PAPER, np.uint8)
    for index, frame in enumerate(frames):
        top, left = GAP + index // columns * cell_height, GAP + index % columns * cell_width
        large = enlarge(frame, scale)
        canvas[top : top + len(large), left : left + large.shape[1]] = large
        if labels:
            draw_text(canvas, fit_text(labels[index], cell_width - GAP), left, top + len(large) + 2)
    return canvas


def filmstrips(
    clips: Sequence[NDArray[np.uint8]], labels: Sequence[str] = (), *, frames: int = 8, scale: int = 2
) -> NDArray[np.uint8]:
    """Show each clip as one row of frames spread evenly over its length, its label above.

    Args:
        clips: uint8 ``[F, H, W, 3]`` each, all of one size.
        labels: one per clip, or none at all.
        frames: how many frames of each.
        scale: pixels per pixel.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    assert not labels or len(labels) == len(clips), (len(labels), len(clips))
    strips = []
    for index, clip_FHWC in enumerate(clips):
        picked = clip_FHWC[evenly_spaced(len(clip_FHWC), frames)]
        strip = grid(list(picked), columns=frames, scale=scale)
        if labels:
            title = np.full((LINE, strip.shape[1], 3), PAPER, np.uint8)
            draw_text(title, fit_text(labels[index], strip.shape[1] - GAP), GAP, 2)
            strip = np.concatenate([title, strip])
        strips.append(strip)
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate(
        [np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=PAPER) for strip in strips]
    )


def sprites(frames: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Lay frames of one size edge to edge, row by row, black where the last row is short: for players that scrub."""
    height, width = frames[0].shape[:2]
    canvas = np.zeros((-(-len(frames) // columns) * height, columns * width, 3), np.uint8)
    for index, frame in enumerate(frames):
        top, left = index // columns * height, index % columns * width
        canvas[top : top + height, left : left + width] = frame
    return canvas


def evenly_spaced(count: int, wanted: int) -> NDArray[np.int64]:
    """Return up to ``wanted`` different indices below ``count``, the first and the last among them."""
    return np.unique(np.rint(np.linspace(0, count - 1, min(wanted, count))).astype(np.int64))
