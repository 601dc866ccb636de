"""Two actors: who is who, how each moves before and after they meet."""

# F frames

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .segmentation import WORK_HEIGHT
from .tracking import Track

LEAST_BOTH = 4
"""Frames in which two actors must be seen apart: soon after they met, one may leave the frame."""

LEAST_SECOND = 40.0
"""Covered pixels, median, from which a second part is an actor."""

CLOSING = 0.12
"""Speed in frame heights per second at which two actors must approach to collide."""

APART = 1.1
"""Distance of two actors, in sums of their mean radii, from which their centres are believed."""

LEAST_BEFORE, LEAST_AFTER = 3, 2
"""Frames before and after a collision that a speed needs; the line through them bends at the moment of both."""

LEAST_GAP = 2
"""Columns between two actors, and from the frame's edge, that make a gap."""

EDGE_AREA = 1.5
"""Covered pixels of a column from which an actor has begun."""


TREMBLE = 0.008
"""Frame heights by which a side may be off its line without being doubted: half a pixel."""


class Collision(NamedTuple):
    """Speeds along the floor in frame heights per second, of the two actors before and after; ``time`` in seconds."""

    time: float
    before: tuple[float, float]
    after: tuple[float, float]

    def reversed(self) -> Collision:
        """Return the same collision with the actors in the other order."""
        (one, other), (one_after, other_after) = self.before, self.after
        return Collision(self.time, (other, one), (other_after, one_after))


def sort_out(one: Track, other: Track) -> tuple[Track, Track] | None:
    """Return the actor on the left and that on the right, seen only where both are; None where there are not two.

    Actors of this world never pass each other.
    """
    both = one.seen & other.seen
    if int(both.sum()) < LEAST_BOTH or other.area[both].median() < LEAST_SECOND:
        return None
    # Where two touch, neither's centre is its own.
    reach = ((one.area / torch.pi).sqrt() + (other.area / torch.pi).sqrt()) * APART + 1.0
    clear = both & ((one.centre[:, 0] - other.centre[:, 0]).abs() > reach)
    both = clear if int(clear.sum()) >= LEAST_BOTH else both
    swap = one.centre[:, 0] > other.centre[:, 0]
    left = torch.where(swap[:, None], other.centre, one.centre)
    right = torch.where(swap[:, None], one.centre, other.centre)
    left_area, right_area = torch.where(swap, other.area, one.area), torch.where(swap, one.area, other.area)
    return Track(left, left_area, both), Track(right, right_area, both)


class Edge(NamedTuple):
    """Where the outermost side of an actor is, in pixels ``[F]``, and whether that lies within the frame ``[F]``."""

    x: np.ndarray
    inside: np.ndarray


def find_edges(alpha: Tensor, shown: Tensor | None) -> tuple[Edge, Edge]:
    """Return a side of the left actor and one of the right one, of each the side that is seen longer.

    Actors that glide keep their shape, so that sides move as centres. Outer sides are told even where the actors touch,
    and those at the gap between them even where one is half out of the frame.

    Args:
        alpha: ``[F, H, W]``. shown: 1 where the clip shows this place, ``[F, H, W]``, or None for everywhere.
    """
    frames, height, width = alpha.shape
    column_FW = alpha.sum(1).cpu().numpy().astype(np.float64)
    seen_FW = np.ones((frames, width)) if shown is None else shown[:, height // 2].cpu().numpy()
    sides = []
    for flipped in (False, True):
        area_FW, known_FW = (z[:, ::-1] if flipped else z for z in (column_FW, seen_FW))
        x_F, inside_F = np.zeros(frames), np.zeros(frames, dtype=bool)
        for f in range(frames):
            covered = np.flatnonzero(area_FW[f] >= EDGE_AREA)
            first_known = int(np.argmax(known_FW[f] > 0))
            if len(covered) == 0 or covered[0] <= first_known:
                continue
            k = int(covered[0])
            low, high = area_FW[f, k - 1], area_FW[f, k]
            x_F[f] = k - (high - EDGE_AREA) / max(high - low, 1e-6)
            inside_F[f] = True
        # Beyond the moment in which a side leaves the frame, the outermost side is another one's.
        begun = int(np.argmax(inside_F))
        gone = np.flatnonzero(~inside_F[begun:])
        if len(gone):
            inside_F[begun + int(gone[0]) :] = False
        sides.append(Edge(width - 1 - x_F if flipped else x_F, inside_F))
    pairs = zip(sides, _gap_sides(column_FW), strict=True)
    left, right = (max(two, key=lambda side: int(side.inside.sum())) for two in pairs)
    return left, right


def _gap_sides(column_FW: np.ndarray) -> tuple[Edge, Edge]:
    """Return where the widest gap between covered columns begins and ends; a frame without any is not inside."""
    frames = len(column_FW)
    begin_F, end_F, inside_F = np.zeros(frames), np.zeros(frames), np.zeros(frames, dtype=bool)
    for f, area_W in enumerate(column_FW):
        covered = np.flatnonzero(area_W >= EDGE_AREA)
        steps = np.diff(covered)
        if len(steps) == 0 or steps.max() <= LEAST_GAP:
            continue
        k = int(steps.argmax())
        first, last = int(covered[k]), int(covered[k + 1])
        if first < LEAST_GAP or last > len(area_W) - LEAST_GAP:
            continue
        begin_F[f] = first + (area_W[first] - EDGE_AREA) / max(area_W[first] - area_W[first + 1], 1e-6)
        end_F[f] = last - (area_W[last] - EDGE_AREA) / max(area_W[last] - area_W[last - 1], 1e-6)
        inside_F[f] = True
    return Edge(begin_F, inside_F), Edge(end_F, inside_F)


def centres(left: Track, right: Track) -> tuple[Edge, Edge]:
    """Return the centres of two actors in the place of their sides, for where a side lies outside of the frame."""
    one, other = (
        Edge(path.centre[:, 0].cpu().numpy().astype(np.float64), path.seen.cpu().numpy()) for path in (left, right)
    )
    return one, other


def find_collision(left: Edge, right: Edge, fps: float) -> Collision | None:
    """Fit the paths of two sides by straight lines that bend at one moment; None where nothing collides.

    Speeds are (left, right), positive to the right. The moment is the one that leaves least squared residual.
    """
    time = np.arange(len(left.x)) / fps
    best: tuple[float, Collision] | None = None
    for moment in np.arange(LEAST_BEFORE / fps, time[-1], 0.25 / fps):
        squares, speeds = 0.0, []
        for side in (left, right):
            t = time[side.inside] - moment
            if (t < 0).sum() < LEAST_BEFORE or (t > 0).sum() < LEAST_AFTER:
                break
            basis = np.stack([np.ones_like(t), np.minimum(t, 0), np.maximum(t, 0)], 1)
            x = side.x[side.inside] / WORK_HEIGHT
            fit, *_ = np.linalg.lstsq(basis, x, rcond=None)
            off = np.abs(basis @ fit - x)
            good = off <= 3 * np.median(off) + TREMBLE
            if (t[good] < 0).sum() >= LEAST_BEFORE and (t[good] > 0).sum() >= LEAST_AFTER:
                # A flake that touches a side moves it for a frame.
                fit, *_ = np.linalg.lstsq(basis[good], x[good], rcond=None)
                off = np.abs(basis @ fit - x)
            squares += float((np.minimum(off, 4 * TREMBLE) ** 2).mean())
            speeds.append((float(fit[1]), float(fit[2])))
        if len(speeds) == 2 and (best is None or squares < best[0]):
            (one, other) = speeds
            best = squares, Collision(float(moment), (one[0], other[0]), (one[1], other[1]))
    if best is None:
        return None
    found = best[1]
    closing = found.before[0] - found.before[1]
    return found if closing > CLOSING and found.after[0] - found.after[1] < 0.5 * closing else None
