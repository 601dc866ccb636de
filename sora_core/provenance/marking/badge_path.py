"""Where the badge goes: from stay to stay on an eased path, over structure and motion rather than flat ground."""

# F frames, h w a coarse grid of the frame, n candidate places

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .badge_config import BadgeConfig
from .badge_draw import Draw

COARSE_SIDE = 90
"""Cells along the short side where structure and motion are judged."""

LOOKAHEAD_S = 1.0
"""How much of a stay is looked at before its place is chosen; so much of a film is held back at most."""

_DRIFT = 0.03
"""Parts of the short side per second that the badge glides during a stay."""

_BOW = 0.06
_PLACES = 21
_MOTION = 1.5
_DISTANCE, _NOVELTY, _CHANCE = 0.8, 0.35, 0.2
_FADING = 0.8
_FLAT = 1.5
"""Grey levels per cell; below, a difference is noise rather than structure."""


class Place(NamedTuple):
    """The badge's top left corner in one frame, in pixels with fractions."""

    top: float
    left: float


class Path:
    """Chooses places as the film passes by; the same however it is cut into pieces.

    Args:
        draw: keyed numbers.
        width, height: of the frame; box_width, box_height: of the badge; pixels.
        fps: frames per second.
        config: how long it stays and travels.

    Source: our decision. A stay lasts 0.8 to 1 of `BadgeConfig.dwell_s`, each next box lies clear of the last one,
    and the way between is smootherstep (Ken Perlin, "Improving noise", 2002) with a slight bow.
    """

    def __init__(
        self, draw: Draw, *, width: int, height: int, box_width: int, box_height: int, fps: float, config: BadgeConfig
    ) -> None:
        """Start at frame 0."""
        self._draw, self._fps, self._config = draw, fps, config
        self._side = min(width, height)
        self._room = (max(height - box_height, 0), max(width - box_width, 0))
        self._box = (box_height, box_width)
        self._step = max(self._side // COARSE_SIDE, 1)
        self._interests: list[NDArray[np.float64]] = []
        self._last_hw: NDArray[np.float64] | None = None
        self._visits: list[tuple[float, Place]] = []
        self._decided = 0
        self._from: tuple[Place, tuple[float, float], float] | None = None
        self._leg()

    def see(self, luma_hw: NDArray[np.uint8]) -> None:
        """Take in the next frame: every `step`-th pixel of one colour, uint8 ``[h, w]``."""
        luma = luma_hw.astype(np.float64)
        across = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
        down = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
        moving = np.abs(luma - self._last_hw) if self._last_hw is not None else np.zeros_like(luma)
        self._last_hw = luma
        self._interests.append(np.minimum(np.maximum(across + down - _FLAT, 0) + _MOTION * moving, 60.0))

    @property
    def step(self) -> int:
        """Pixels of the frame per cell."""
        return self._step

    def ready(self, *, last: bool) -> list[Place]:
        """Return the places of the next frames, as many as can be decided.

        Args:
            last: no frame will follow.
        """
        places: list[Place] = []
        while self._interests:
            if self._target is None:
                if len(self._interests) < self._ahead and not last:
                    return places
                self._target = self._choose(np.mean(self._interests[: self._ahead], axis=0))
            places.append(self._place(self._decided))
            self._decided += 1
            self._interests.pop(0)
            if self._decided == self._stop:
                self._from = (self._target, self._glide, self._middle)
                self._leg()
        return places

    def _leg(self) -> None:
        """Plan the next journey and stay; where to is decided later."""
        first = self._decided == 0
        dwell = max(round(self._fps * self._config.dwell_s * self._draw.between(0.8, 1.0)), 1)
        self._start = self._decided
        self._travel = 0 if first else max(round(self._fps * self._config.travel_s), 1)
        self._stop = self._start + self._travel + dwell
        self._ahead = max(min(self._travel + dwell, round(self._fps * LOOKAHEAD_S)), 1)
        self._middle = self._start + self._travel + dwell / 2
        angle = self._draw.between(0, 2 * np.pi)
        speed = _DRIFT * self._side / self._fps
        self._glide = (speed * np.sin(angle), speed * np.cos(angle))
        self._bow = self._draw.between(-_BOW, _BOW)
        self._dice = self._draw.uniform(_PLACES, _PLACES)
        self._target: Place | None = None

    def _place(self, frame: int) -> Place:
        assert self._target is not None
        top, left = _glided(self._target, self._glide, frame - self._middle)
        if self._from is not None and frame < self._start + self._travel:
            old_top, old_left = _glided(self._from[0], self._from[1], frame - self._from[2])
            share = _smootherstep((frame - self._start + 1) / (self._travel + 1))
            aside = self._bow * np.sin(np.pi * share)
            across, down = left - old_left, top - old_top
            top = old_top + share * down + aside * across
            left = old_left + share * across - aside * down
        return Place(float(np.clip(top, 0, self._room[0])), float(np.clip(left, 0, self._room[1])))

    def _choose(self, interest_hw: NDArray[np.float64]) -> Place:
        """Return the best place that is clear of the one before."""
        tops, lefts = (_spread(room, self._side) for room in self._room)
        energy_nn = self._box_means(interest_hw, tops, lefts)
        typical = float(interest_hw.mean()) + 0.5
        score_nn = energy_nn / (energy_nn + typical)
        score_nn = score_nn + _CHANCE * self._dice[: len(tops), : len(lefts)]
        for weight, visit in self._visits:
            far_nn = self._apart(tops - visit.top, lefts - visit.left)
            score_nn -= _NOVELTY * weight * np.exp(-far_nn)
        if self._from is not None:
            old = _glided(self._from[0], self._from[1], self._start - self._from[2])
            reach = 2 * _DRIFT * self._side
            clear_nn = (np.abs(tops - old[0]) >= self._box[0] + reach)[:, None] | (
                np.abs(lefts - old[1]) >= self._box[1] + reach
            )[None]
            length_nn = np.hypot((tops - old[0])[:, None], (lefts - old[1])[None])
            score_nn = score_nn - _DISTANCE * length_nn / self._side
            score_nn[~clear_nn] -= 10 - length_nn[~clear_nn] / self._side
        row, column = np.unravel_index(int(score_nn.argmax()), score_nn.shape)
        place = Place(float(tops[row]), float(lefts[column]))
        self._visits = [(weight * _FADING, visit) for weight, visit in self._visits[-15:]] + [(1.0, place)]
        return place

    def _apart(self, down_n: NDArray[np.float64], across_n: NDArray[np.float64]) -> NDArray[np.float64]:
        return (down_n[:, None] / (2.5 * self._box[0])) ** 2 + (across_n[None] / self._box[1]) ** 2

    def _box_means(
        self, interest_hw: NDArray[np.float64], tops: NDArray[np.float64], lefts: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the mean interest under the badge at every place."""
        sums = np.pad(interest_hw.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        rows, columns = interest_hw.shape
        high, wide = (max(round(size / self._step), 1) for size in self._box)
        top = np.minimum((tops / self._step).astype(int), max(rows - high, 0))
        left = np.minimum((lefts / self._step).astype(int), max(columns - wide, 0))
        bottom, right = np.minimum(top + high, rows), np.minimum(left + wide, columns)
        total = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)] - sums[np.ix_(bottom, left)]
        return (total + sums[np.ix_(top, left)]) / np.outer(bottom - top, right - left)


def _spread(room: int, side: int) -> NDArray[np.float64]:
    """Return places over the room, a little away from the frame's edge where it is wide enough."""
    edge = min(0.03 * side, room / 2)
    return np.linspace(edge, room - edge, _PLACES)


def _glided(place: Place, glide: tuple[float, float], frames: float) -> tuple[float, float]:
    return place.top + glide[0] * frames, place.left + glide[1] * frames


def _smootherstep(x: float) -> float:
    return x * x * x * (x * (x * 6 - 15) + 10)
