"""Paths that come back: circles, swings and hops, told by their form alone."""

# F frames

from __future__ import annotations

import numpy as np

ROUND = 0.14
"""Residual of a circle through a path, relative to its radius, up to which the path is round."""

LEAST_ORBIT = 0.055
"""Radius in frame heights of the smallest circle."""

TURNED = 3.6
"""Radians that an orbit must go round: the slowest of the world makes 5.4 in two seconds."""

AIR = 0.60
"""Mean height, in frame heights from the top, above which a path hangs: actors at rest lie at 0.64 and lower."""

SWUNG = 0.045
"""Way to the side, in frame heights, that makes a hanging actor swing."""

FLAT = 0.13
"""Frame heights that a swing or a hop goes up and down at most."""

LEAP = (0.025, 0.14)
"""Least and greatest height of a hop."""

LEAST_HOPS = 2


def is_circle(x_F: np.ndarray, y_F: np.ndarray) -> bool:
    """Say whether a path goes round (algebraic circle fit; Kasa 1976)."""
    if len(x_F) < 8:
        return False
    basis_F3 = np.stack([x_F, y_F, np.ones_like(x_F)], 1)
    (a, b, c), *_ = np.linalg.lstsq(basis_F3, x_F**2 + y_F**2, rcond=None)
    middle_x, middle_y = a / 2, b / 2
    radius = max(float(c + middle_x**2 + middle_y**2), 0.0) ** 0.5
    if radius < LEAST_ORBIT:
        return False
    off = np.hypot(x_F - middle_x, y_F - middle_y) - radius
    angle = np.unwrap(np.arctan2(y_F - middle_y, x_F - middle_x))
    return bool(np.sqrt((off**2).mean()) < ROUND * radius and abs(angle[-1] - angle[0]) > TURNED)


def is_swing(x_F: np.ndarray, y_F: np.ndarray) -> bool:
    """Say whether a path sways high above the floor."""
    if len(x_F) < 8:
        return False
    span_x, span_y = (float(np.percentile(z, 98) - np.percentile(z, 2)) for z in (x_F, y_F))
    return float(y_F.mean()) < AIR and span_y < FLAT and span_x > max(SWUNG, span_y)


def hops(y_F: np.ndarray) -> int:
    """Count the leaps of a path that goes back to one level after each; 0 where any is too high for a hop."""
    floor = float(np.percentile(y_F, 90))
    above_F = floor - y_F
    top = float(above_F.max())
    if not LEAP[0] <= top <= LEAP[1] or y_F[:2].max() < floor - 0.5 * top:
        return 0
    high_F = above_F > 0.45 * top
    return int((np.diff(np.concatenate([[0], high_F.astype(int)])) == 1).sum())
