"""Line charts and spectrograms as pictures, drawn with numpy alone so that training needs no plotting library."""

# H W height and width, C channels, S samples, N frames of the transform, K frequencies

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .font import GLYPH_HEIGHT, LINE, draw_text, text_width

PAPER, RULE, INK = 250, (224, 224, 224), (60, 60, 60)
PENS = ((31, 98, 181), (204, 78, 24), (36, 140, 70), (140, 70, 160), (180, 140, 20), (90, 90, 90))
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 58, 14, 34, 34
MARK = (255, 255, 255)
TICK = 7
"""Pixels that a tick beside a plot is long."""

_HEAT = np.array([(0, 0, 8), (40, 16, 92), (128, 30, 110), (214, 66, 66), (250, 150, 40), (252, 246, 180)], float)
"""Colours from silent to loud, our own choice: even steps of lightness."""


def line_chart(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    log_y: bool = False,
    points: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    bands: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]] | None = None,
    width: int = 720,
    height: int = 400,
) -> NDArray[np.uint8]:
    """Draw curves over common axes.

    Args:
        series: name to (x values, y values); values that are not finite, or not positive on a log axis, are left out.
        title, x_label, y_label: in capitals above, below and at the top left.
        log_x, log_y: logarithmic axes.
        points: measured (x values, y values) that are drawn as dots in the colour of the curve of that name.
        bands: (x values, lower, upper) around the curve of that name, shaded; they may be cut by the plot's edge.
        width, height: pixels.

    Returns:
        uint8 ``[height, width, 3]``.
    """
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    dots = {name: _usable(x, y, log_x, log_y) for name, (x, y) in (points or {}).items()}
    curves = {name: _usable(x, y, log_x, log_y) for name, (x, y) in series.items()}
    drawn = [*curves.values(), *dots.values()]
    x_axis = _Axis([x for x, _ in drawn], MARGIN_LEFT, width - MARGIN_RIGHT, log_x)
    y_axis = _Axis([y for _, y in drawn], height - MARGIN_BOTTOM, MARGIN_TOP, log_y)
    for index, name in enumerate(curves):
        if name in (bands or {}):
            _shade(canvas, x_axis, y_axis, [np.asarray(part, np.float64) for part in (bands or {})[name]], index)
    for value in x_axis.ticks(6):
        column = round(float(x_axis.pixel(np.array(value))))
        canvas[MARGIN_TOP : height - MARGIN_BOTTOM + 1, column] = RULE
        label = _number(value)
        draw_text(canvas, label, column - text_width(label) // 2, height - MARGIN_BOTTOM + 5, INK)
    for value in y_axis.ticks(6):
        row = round(float(y_axis.pixel(np.array(value))))
        canvas[row, MARGIN_LEFT : width - MARGIN_RIGHT + 1] = RULE
        label = _number(value)
        draw_text(canvas, label, MARGIN_LEFT - 5 - text_width(label), row - GLYPH_HEIGHT // 2, INK)
    draw_text(canvas, title, MARGIN_LEFT, 5, INK)
    draw_text(canvas, y_label, 5, 5 + LINE, INK)
    draw_text(canvas, x_label, (width - text_width(x_label)) // 2, height - LINE, INK)
    left = MARGIN_LEFT + text_width(y_label)
    for index, (name, (x, y)) in enumerate(curves.items()):
        pen = PENS[index % len(PENS)]
        _draw_curve(canvas, x_axis.pixel(x), y_axis.pixel(y), pen)
        for at_x, at_y in zip(*dots.get(name, ((), ())), strict=True):
            column, row = round(float(x_axis.pixel(np.array(at_x)))), round(float(y_axis.pixel(np.array(at_y))))
            canvas[max(row - 2, 0) : row + 4, max(column - 2, 0) : column + 4] = pen
        canvas[5 + LINE + 2 : 5 + LINE + 5, left : left + 10] = pen
        draw_text(canvas, name, left + 14, 5 + LINE, pen)
        left += 14 + text_width(name) + 14
    return canvas


def spectrogram(
    audio_S: NDArray[np.float32],
    sample_rate: int,
    *,
    marks: Sequence[float] = (),
    ticks: Sequence[float] = (),
    title: str = "",
    top_hz: float | None = None,
    width: int = 720,
    height: int = 300,
) -> NDArray[np.uint8]:
    """Draw the sound's spectrum over time, 70 dB deep, 0 Hz at the bottom, with lines at ``marks`` and ``ticks``.

    Args:
        audio_S: float in [-1, 1].
        sample_rate: per second.
        marks: seconds of dashed lines, for example of contacts seen in the picture.
        ticks: seconds of short strokes outside the plot, above and below, for example of onsets heard.
        title: above the chart.
        top_hz: highest frequency shown, all of them unless given.
        width, height: pixels.

    Returns:
        uint8 ``[height, width, 3]``.
    """
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    plot_height, plot_width = height - MARGIN_TOP - MARGIN_BOTTOM, width - MARGIN_LEFT - MARGIN_RIGHT
    level_NK = _levels(audio_S, hop=max(1, len(audio_S) // plot_width))
    top_hz = min(top_hz or sample_rate / 2, sample_rate / 2)
    rows = np.linspace((level_NK.shape[1] - 1) * top_hz * 2 / sample_rate, 0, plot_height).round().astype(int)
    columns = np.linspace(0, len(level_NK) - 1, plot_width).round().astype(int)
    picture = _heat(level_NK[columns][:, rows].T)
    seconds = max(len(audio_S) / sample_rate, 1e-9)
    for mark in marks:
        column = min(max(round(mark / seconds * (plot_width - 1)), 0), plot_width - 1)
        picture[np.arange(plot_height) % 8 < 5, column] = MARK
    canvas[MARGIN_TOP : MARGIN_TOP + plot_height, MARGIN_LEFT : MARGIN_LEFT + plot_width] = picture
    for tick in ticks:
        column = MARGIN_LEFT + min(max(round(tick / seconds * (plot_width - 1)), 0), plot_width - 1)
        canvas[MARGIN_TOP - TICK : MARGIN_TOP, column - 1 : column + 2] = PENS[1]
        canvas[height - MARGIN_BOTTOM : height - MARGIN_BOTTOM + TICK - 2, column - 1 : column + 2] = PENS[1]
    draw_text(canvas, title, MARGIN_LEFT, 5, INK)
    draw_text(canvas, "HZ", 5, 5 + LINE, INK)
    draw_text(canvas, "SECONDS", (width - text_width("SECONDS")) // 2, height - LINE, INK)
    time_axis = _Axis([np.array([0.0, seconds])], MARGIN_LEFT, width - MARGIN_RIGHT, False)
    pitch_axis = _Axis([np.array([0.0, top_hz])], height - MARGIN_BOTTOM, MARGIN_TOP, False)
    for value in time_axis.ticks(8):
        label = _number(value)
        column = round(float(time_axis.pixel(np.array(value))))
        draw_text(canvas, label, column - text_width(label) // 2, height - MARGIN_BOTTOM + 5, INK)
    for value in pitch_axis.ticks(5):
        label = _number(value)
        row = round(float(pitch_axis.pixel(np.array(value))))
        draw_text(canvas, label, MARGIN_LEFT - 5 - text_width(label), row - GLYPH_HEIGHT // 2, INK)
    return canvas


class _Axis:
    """Values to pixels along one side, with round numbers to label."""

    def __init__(self, values: Sequence[NDArray[np.float64]], start: int, end: int, log: bool) -> None:
        every = np.concatenate(values) if values else np.empty(0)
        low, high = (float(every.min()), float(every.max())) if every.size else (1.0, 2.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def pixel(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where values lie, in pixels."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = (np.log(values) if self.log else values) - low
        return self.start + place / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int) -> list[float]:
        """Return about ``wanted`` round values inside the range: 1, 2 or 5 times a power of ten."""
        if self.log and self.high / self.low > 10:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if len(powers) <= 4 else (1,)
            return [f * 10.0**p for p in powers for f in factors if self.low <= f * 10.0**p <= self.high]
        rough = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def _usable(x: ArrayLike, y: ArrayLike, log_x: bool, log_y: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points that can be drawn."""
    xs, ys = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    good = np.isfinite(xs) & np.isfinite(ys)
    if log_x:
        good &= xs > 0
    if log_y:
        good &= ys > 0
    return xs[good], ys[good]


def _shade(
    canvas: NDArray[np.uint8], x_axis: _Axis, y_axis: _Axis, band: Sequence[NDArray[np.float64]], index: int
) -> None:
    """Tint the area between two curves, inside the plot, in a light shade of a pen."""
    tint = (2 * np.array((PAPER,) * 3) + np.array(PENS[index % len(PENS)])) // 3
    columns, lower, upper = x_axis.pixel(band[0]), y_axis.pixel(band[1]), y_axis.pixel(band[2])
    for column in range(math.ceil(columns[0]), math.floor(columns[-1]) + 1):
        top, bottom = (float(np.interp(column, columns, edge)) for edge in (upper, lower))
        first, last = max(round(top), MARGIN_TOP), min(round(bottom), len(canvas) - MARGIN_BOTTOM)
        canvas[first : last + 1, column] = np.minimum(canvas[first : last + 1, column], tint)


def _draw_curve(
    canvas: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64], pen: tuple[int, int, int]
) -> None:
    """Draw straight lines two pixels thick between the points."""
    if not x.size:
        return
    along = np.concatenate([[0.0], np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y))).cumsum()])
    dense = np.linspace(0, along[-1], max(int(along[-1]) * 2, 1) + 1)
    columns, rows = np.interp(dense, along, x).round().astype(int), np.interp(dense, along, y).round().astype(int)
    for down in (0, 1):
        for across in (0, 1):
            row, column = np.clip(rows + down, 0, len(canvas) - 1), np.clip(columns + across, 0, canvas.shape[1] - 1)
            canvas[row, column] = pen


def _levels(audio_S: NDArray[np.float32], hop: int, window: int = 512, floor_db: float = 70.0) -> NDArray[np.float64]:
    """Return levels ``[N, K]`` from 0 (``floor_db`` under the loudest) to 1; all 0 for silence."""
    padded = np.pad(np.asarray(audio_S, np.float64), window // 2)
    starts = np.arange(0, max(len(padded) - window, 0) + 1, hop)
    frames = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    if not power.max() > 0:
        return np.zeros_like(power)
    return np.clip(1 + 10 * np.log10(power / power.max() + 1e-12) / floor_db, 0, 1)


def _heat(level: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return colours for levels in [0, 1]."""
    stops = np.linspace(0, 1, len(_HEAT))
    return np.stack([np.interp(level, stops, _HEAT[:, channel]) for channel in range(3)], axis=-1).astype(np.uint8)


def _number(value: float) -> str:
    """Return a short label: ``20K``, ``1.5M``, ``0.05``, ``1E-05``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "")):
        if abs(value) >= size:
            scaled, unit = (value / size, letter) if letter else (value / 1e3, "K")
            return f"{scaled:.4g}{unit}"
    return f"{value:.4g}"
