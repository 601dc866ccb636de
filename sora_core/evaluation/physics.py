"""Does it move as this world does: restitution, momentum, motion from one image, number of actors, camera."""

# F frames, D releases tried

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..types import ClipFormat
from ..world.actors import bodies, move
from ..world.camera import PAN, ZOOM
from ..world.dice import NAMES, Dice
from ..world.spec import RESTITUTION, Attributes
from .camera import CameraMotion
from .contacts import PIXELS
from .detector import Detection

NO_REBOUND = 0.5
"""Error of restitution of a clip that was to rebound and shows no rebound, and the most that any clip counts."""

NO_COLLISION = 1.0
"""Change of momentum of a clip that was to show a collision and shows none, and the most that any clip counts."""

NO_MOTION = 1.0
"""Velocity error of a clip whose actor is not followed, and the most that any clip counts."""

REBOUNDING = frozenset({"bounce", "throw"})
RELEASES = 51
"""Moments of release that are tried, evenly over those of the world."""


def restitution_error(detection: Detection, material: str) -> float:
    """Return how far speed out over speed in is from the material's, mean over the contacts of a clip that rebounds."""
    ratios = [out / into for into, out in detection.rebounds]
    if detection.motion not in REBOUNDING or not ratios:
        return NO_REBOUND
    return min(NO_REBOUND, float(np.mean([abs(ratio - RESTITUTION[material]) for ratio in ratios])))


def momentum_change(detection: Detection) -> float | None:
    """Return the change of the momentum of two actors that collide, relative to the sum of their momenta before.

    ``|m1 v1' + m2 v2' - m1 v1 - m2 v2| / (m1 |v1| + m2 |v2|)`` with masses as the squares of the radii that are seen,
    as in `world.physics.collide`. None for a collision of which one actor is never whole in the frame, so that its
    mass cannot be told.
    """
    hit, one, other = detection.collision, detection.radius, detection.other_radius
    if hit is None:
        return NO_COLLISION
    if one is None or other is None:
        return None
    masses = np.array([one, other]) ** 2
    before, after = np.array(hit.before), np.array(hit.after)
    moved = float((masses * np.abs(before)).sum())
    return min(NO_COLLISION, abs(float((masses * (after - before)).sum())) / max(moved, 1e-6))


def true_heights(attributes: Attributes, seed: int, fmt: ClipFormat) -> np.ndarray:
    """Return every height over time that one image and the prompt leave open, float64 ``[D, F]`` frame heights.

    Of a falling or bouncing actor the image tells height and size, the prompt the material, and gravity is the
    world's: all is determined but the moment of release, which is tried over the range of the world.
    """
    dice = Dice([seed] * RELEASES)
    dice.rolls[:, NAMES.index("delay")] = torch.linspace(0, 1, RELEASES)
    shown = [attributes] * RELEASES
    time_1F = torch.arange(fmt.frames, dtype=torch.float32)[None] / fmt.fps
    return move(shown, bodies(shown, dice, fmt.width / fmt.height), dice, time_1F).y.numpy().astype(np.float64)


def velocity_error(detection: Detection, heights_DF: np.ndarray, fps: float) -> float:
    """Return ``mean |v - v_true| / mean |v_true|`` of the vertical velocity, at the release that fits best.

    Args:
        detection: of a clip that starts from an image. heights_DF: from `true_heights`. fps: frames per second.
    """
    if detection.seen is None or len(detection.path) < heights_DF.shape[1] / 2:
        return NO_MOTION
    first = round(detection.seen[0] * fps)
    true_DF = np.diff(heights_DF[:, first : first + len(detection.path)], axis=1)
    seen_F = np.diff(detection.path[: true_DF.shape[1] + 1, 1])
    error_D = np.abs(seen_F - true_DF).sum(1) / np.maximum(np.abs(true_DF).sum(1), 1e-6)
    return min(NO_MOTION, float(error_D.min()))


def camera_error(word: str, motion: CameraMotion, seconds: float, aspect: float) -> tuple[float, float]:
    """Return how far a camera's pan and zoom are from what its word allows; 0 within the range of the world.

    Args:
        word: of `spec.CAMERAS`. motion: as seen. seconds: length of the clip. aspect: frame width over height.

    Returns:
        Pan in pixels per second at 64 px of frame height, and zoom as growth per second (a logarithm).
    """
    pans, zooms = [limit * min(1.0, aspect) / seconds for limit in PAN], [math.log(limit) / seconds for limit in ZOOM]
    wanted_pan = _signed(pans, {"pan left": -1, "pan right": 1}.get(word, 0))
    wanted_zoom = _signed(zooms, {"zoom out": -1, "zoom in": 1}.get(word, 0))
    return PIXELS * _outside(motion.pan, wanted_pan), _outside(motion.zoom, wanted_zoom)


def _signed(limits: Sequence[float], side: int) -> tuple[float, float]:
    low, high = sorted(side * limit for limit in limits)
    return low, high


def _outside(value: float, limits: tuple[float, float]) -> float:
    return max(limits[0] - value, value - limits[1], 0.0)
