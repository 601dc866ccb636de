"""The badge's letters and logo: round strokes through the dots of the bitmap font, sharp at any size and shift."""

# H W pixels, K corners of the layout, S strokes, C colours

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SoraError
from ...media.font import glyph

LONGEST = 32
LARGEST_LOGO = 4096

_RADIUS = 0.6
_GAP, _SPACE = 2.05, 2.4
_CAP = 6 + 2 * _RADIUS
_LEADING = 3.4
_MARGIN = 2.4
_HALO = 1.15
"""All in units of the pitch, the distance of two dots: half a stroke's width, the step between two letters, a blank,
a capital's height, the room between two lines, the room around the letters, and the reach of the outline."""

_ONE_LINE, _WIDEST = 0.55, 0.92
_SMALLEST_PITCH = 1.15
"""Pixels; with less, strokes run together."""

_LOGO_HEIGHT, _LONE_LOGO_HEIGHT, _LOGO_WIDTH = 1.5, 2.6, 3.0
"""A logo's height in capitals beside one line and alone, and how many times as wide as high it may be."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything goes: all in pixels of the frame it was made for.

    lines: of text, one or two. pitch: of the letters' dots. height, width: of the whole badge with its outline.
    logo_height, logo_width: 0 without one.
    """

    lines: tuple[str, ...]
    pitch: float
    height: float
    width: float
    logo_height: float
    logo_width: float


class Lettering(NamedTuple):
    """A badge at one size.

    distance_HW: float32, pixels to the nearest edge of a letter, negative inside; it may be interpolated without
    blurring the edge. halo_HW: float32, the soft outline, 0 to 1. logo_4HW: float32 RGBA, colours times alpha,
    0 to 1, or None.
    """

    distance_HW: Tensor  # noqa: N815
    halo_HW: Tensor  # noqa: N815
    logo_4HW: Tensor | None  # noqa: N815

    def ink(self) -> Tensor:
        """Return how far each pixel is covered by a letter, float32 ``[H, W]``, 0 to 1."""
        return (0.5 - self.distance_HW).clamp(0, 1)


def check_text(text: str, *, logo: bool) -> str:
    """Return the text as it will be drawn, in capitals and without blanks around it.

    Raises:
        SoraError: too long, empty although there is no logo, or with a character that the lettering lacks.
    """
    text = " ".join(text.split(" ")).strip()
    if not text and not logo:
        raise SoraError("the badge has neither text nor logo; give it one of them")
    if len(text) > LONGEST:
        raise SoraError(f"the badge's text has {len(text)} characters; at most {LONGEST} are drawn, shorten it")
    for character in text:
        if glyph(character) is None:
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            shown = repr(character) if character.isprintable() else ascii(character)
            raise SoraError(
                f"the badge's lettering has no {shown} ({name}); use letters A to Z, digits and common signs,"
                " or give a logo, which can carry other scripts"
            )
    return text.upper()


def check_logo(logo_HWC4: Tensor | None) -> None:
    """Refuse what is no picture with transparency.

    Raises:
        SoraError: not uint8 ``[h, w, 4]``, larger than 4096 pixels, or transparent all over.
    """
    if logo_HWC4 is None:
        return
    shape = tuple(logo_HWC4.shape)
    if logo_HWC4.dtype != torch.uint8 or len(shape) != 3 or shape[2] != 4 or 0 in shape:
        raise SoraError(f"a logo of shape {shape} ({logo_HWC4.dtype}) is not uint8 [h, w, 4]; give an RGBA picture")
    if max(shape) > LARGEST_LOGO:
        raise SoraError(f"a logo of {shape[1]}x{shape[0]} is larger than {LARGEST_LOGO} pixels; make it smaller")
    if int(logo_HWC4[..., 3].max()) < 32:
        raise SoraError("the logo is transparent all over; give one with something to see")


def lay_out(
    text: str, logo_HWC4: Tensor | None, *, width: int, height: int, letter_height: float, strict: bool = True
) -> Layout:
    """Decide size and lines for a frame.

    The result scales with the frame, so that a reader finds the size again after a resize. A line that would take
    more than half of the width is broken in two at a blank; what is still too wide is made smaller.

    Args:
        text: from `check_text`.
        logo_HWC4: uint8 ``[h, w, 4]`` or None.
        width, height: of the frame, pixels.
        letter_height: of a capital, as a part of the short side.
        strict: refuse letters that are too small to be read.

    Raises:
        SoraError: only if strict, when the text does not fit.
    """
    side = min(width, height)
    pitch = letter_height * side / _CAP
    logo_ratio = 0.0 if logo_HWC4 is None else min(logo_HWC4.shape[1] / logo_HWC4.shape[0], _LOGO_WIDTH)
    layout = _layout((text,) if text else (), pitch, logo_ratio)
    if layout.width > _ONE_LINE * width and " " in text:
        layout = min((_layout(lines, pitch, logo_ratio) for lines in _breaks(text)), key=lambda it: it.width)
    shrink = min(1.0, _WIDEST * width / layout.width)
    if shrink < 1:
        layout = _layout(layout.lines, pitch * shrink, logo_ratio)
    if strict and layout.pitch < _SMALLEST_PITCH:
        raise SoraError(
            f"the badge's text of {len(text)} characters does not fit into {width}x{height}; shorten it,"
            " or put a blank in its middle so that it can be broken in two lines"
        )
    return layout


def letter(layout: Layout, logo_HWC4: Tensor | None, *, scale: float = 1.0, margin: bool = True) -> Lettering:
    """Draw the badge.

    Args:
        layout: from `lay_out`.
        logo_HWC4: the same as there.
        scale: pixels per pixel of the frame that the layout was made for.
        margin: with the room around for the outline.
    """
    pitch = layout.pitch * scale
    pad = _MARGIN * pitch if margin else 0.0
    height = max(int(np.ceil(layout.height * scale - 2 * (_MARGIN * pitch - pad))), 1)
    width = max(int(np.ceil(layout.width * scale - 2 * (_MARGIN * pitch - pad))), 1)
    distance_HW = np.full((height, width), 4 * pitch)
    left = pad + (layout.logo_width * scale + _SPACE * pitch if layout.logo_width else 0.0)
    block = len(layout.lines) * _CAP + max(len(layout.lines) - 1, 0) * _LEADING
    top = height / 2 - block * pitch / 2
    for number, line in enumerate(layout.lines):
        y = top + (number * (_CAP + _LEADING) + _RADIUS) * pitch
        for strokes_S22, offset in _set_line(line):
            _stroke(distance_HW, strokes_S22 * pitch + (y, left + (offset + _RADIUS) * pitch), _RADIUS * pitch, pitch)
    logo_4HW = None
    solid_HW = np.exp(-((np.maximum(distance_HW, 0) / (_HALO * pitch)) ** 2)) if layout.lines else distance_HW * 0
    halo_HW = torch.from_numpy(solid_HW.astype(np.float32))
    if logo_HWC4 is not None:
        logo_4HW = _place_logo(logo_HWC4, layout, (height, width), pad, scale)
        halo_HW = torch.maximum(halo_HW, _blur(logo_4HW[3], _HALO * pitch))
    return Lettering(torch.from_numpy(distance_HW.astype(np.float32)), halo_HW, logo_4HW)


def _layout(lines: tuple[str, ...], pitch: float, logo_ratio: float) -> Layout:
    block = (len(lines) * _CAP + max(len(lines) - 1, 0) * _LEADING) * pitch
    logo_height = 0.0 if logo_ratio == 0 else max((_LOGO_HEIGHT if lines else _LONE_LOGO_HEIGHT) * _CAP * pitch, block)
    text_width = max((_line_width(line) for line in lines), default=0.0) * pitch
    between = _SPACE * pitch if logo_ratio and lines else 0.0
    return Layout(
        lines=lines,
        pitch=pitch,
        height=max(block, logo_height) + 2 * _MARGIN * pitch,
        width=text_width + between + logo_ratio * logo_height + 2 * _MARGIN * pitch,
        logo_height=logo_height,
        logo_width=logo_ratio * logo_height,
    )


def _breaks(text: str) -> list[tuple[str, ...]]:
    """Return every way to break a text in two at a blank; a dot in the middle goes with neither line."""
    cuts = [at for at, character in enumerate(text) if character == " "]
    return [(text[:at].strip(" \u00b7") or text[:at], text[at:].strip(" \u00b7") or text[at:].strip()) for at in cuts]


def _set_line(line: str) -> list[tuple[NDArray[np.float64], float]]:
    """Return each letter's strokes and how far right it stands, in pitches."""
    placed, x = [], 0.0
    for character in line:
        if character == " ":
            x += _SPACE
            continue
        strokes_S22, wide = _strokes(character)
        placed.append((strokes_S22, x))
        x += wide + _GAP
    return placed


def _line_width(line: str) -> float:
    placed = _set_line(line)
    return max((float(strokes[..., 1].max()) + x for strokes, x in placed), default=0.0) + 2 * _RADIUS


@lru_cache(maxsize=256)
def _strokes(character: str) -> tuple[NDArray[np.float64], float]:
    """Join a letter's neighbouring dots; diagonal ones only where no third dot makes the corner.

    Returns:
        strokes_S22: float64 ``[S, end, (y, x)]`` in pitches from the top left dot; how wide the letter is.
    """
    dots = glyph(character)
    assert dots is not None, character
    lit = {(int(y), int(x)) for y, x in np.argwhere(dots)}
    left = min(x for _, x in lit)
    strokes = []
    for y, x in sorted(lit):
        joined = [(y, x + 1), (y + 1, x)]
        joined += [(y + 1, x + s) for s in (-1, 1) if (y, x + s) not in lit and (y + 1, x) not in lit]
        strokes += [((y, x), end) for end in joined if end in lit]
        strokes.append(((y, x), (y, x)))
    ends = np.array(strokes, dtype=np.float64)
    ends[..., 1] -= left
    return ends, float(ends[..., 1].max())


def _stroke(distance_HW: NDArray[np.float64], ends_S22: NDArray[np.float64], radius: float, pitch: float) -> None:
    """Lower the distances around a letter to those of its strokes, in place."""
    reach = radius + 3 * pitch
    (y0, x0), (y1, x1) = ends_S22.reshape(-1, 2).min(axis=0) - reach, ends_S22.reshape(-1, 2).max(axis=0) + reach
    rows = slice(max(int(y0), 0), min(int(y1) + 2, distance_HW.shape[0]))
    columns = slice(max(int(x0), 0), min(int(x1) + 2, distance_HW.shape[1]))
    y = np.arange(rows.start, rows.stop)[:, None, None] + 0.5
    x = np.arange(columns.start, columns.stop)[None, :, None] + 0.5
    (ay, ax), (by, bx) = ends_S22[:, 0].T, ends_S22[:, 1].T
    length = np.maximum((by - ay) ** 2 + (bx - ax) ** 2, 1e-9)
    along = np.clip(((y - ay) * (by - ay) + (x - ax) * (bx - ax)) / length, 0, 1)
    near = np.hypot(y - ay - along * (by - ay), x - ax - along * (bx - ax)).min(axis=2) - radius
    np.minimum(distance_HW[rows, columns], near, out=distance_HW[rows, columns])


def _place_logo(logo_HWC4: Tensor, layout: Layout, size: tuple[int, int], pad: float, scale: float) -> Tensor:
    """Return the logo at its size and place, float32 RGBA ``[4, *size]``, colours times alpha."""
    height, width = size
    logo_4HW = logo_HWC4.permute(2, 0, 1).float() / 255
    logo_4HW = torch.cat([logo_4HW[:3] * logo_4HW[3:], logo_4HW[3:]])
    wanted = (max(round(layout.logo_height * scale), 1), max(round(layout.logo_width * scale), 1))
    small_4HW = F.interpolate(logo_4HW[None], size=wanted, mode="bilinear", antialias=True)[0].clamp(0, 1)
    placed_4HW = torch.zeros(4, height, width)
    top, left = max(round((height - wanted[0]) / 2), 0), round(pad)
    room_4HW = placed_4HW[:, top : top + wanted[0], left : left + wanted[1]]
    room_4HW.copy_(small_4HW[:, : room_4HW.shape[1], : room_4HW.shape[2]])
    return placed_4HW


def _blur(image_HW: Tensor, sigma: float) -> Tensor:
    """Return a Gaussian blur that keeps the brightest at 1."""
    reach = max(int(3 * sigma), 1)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    bell = bell / bell.sum()
    rows = F.conv2d(image_HW[None, None], bell[None, None, :, None], padding=(reach, 0))
    return (F.conv2d(rows, bell[None, None, None], padding=(0, reach))[0, 0] * 1.6).clamp(0, 1)
