"""Which object, how large and how turned: pictures of every candidate compared with what is seen."""

# F frames, P pixels of one patch, K templates, R radii

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..world.render import RIM
from ..world.shapes import SHAPES
from ..world.spec import COLOURS, SIZES
from .segmentation import WORK_HEIGHT, Segmentation
from .tracking import Track

PATCH = 33
"""Side in pixels of the patch around the actor; the largest object spans 28."""

BLURS = (0.5, 1.4)
"""Standard deviations in pixels of the blur given to the templates: that of sampling between pixels, and that of a
picture that came through a poor video VAE."""

TURNS = 8
"""Angles tried over the symmetry of a shape."""

FRAMES = 9
"""Frames that are compared, spread over the clip; every other one for the first choice."""

RADII = tuple(size * scale for size in SIZES.values() for scale in (0.94, 0.97, 1.0, 1.03, 1.06))
"""Radii tried, in frame heights: those of the world, whose clips vary each size by 6 %. What lies between is
left out, so that a blurred star is not taken for a ball of a size that there is not."""

OTHER_RADII = tuple(0.095 + 0.01 * step for step in range(8))
"""Radii tried for a second actor, which has any size: those of `world.actors.OTHER_RADII`."""

SHIFTS = ((0.0, 0.0), (-0.8, 0.0), (0.8, 0.0), (0.0, -0.8), (0.0, 0.8))
"""Pixels by which the centres are moved: the centroid of a bright actor on a bright wall is off by the part of its rim
that is lost in the wall."""

SYMMETRY: dict[str, int] = {"ball": 2, "box": 4, "star": 5, "ring": 1}
"""Turns after which an outline looks the same, where the mark is small beside it; 1 for every other object."""


class Templates(NamedTuple):
    """Candidates in no colour yet: cover ``[K, P]`` and light ``[K, P]`` (brightness times cover), both in [0, 1.15].

    covered: cover squared; crossed: light times cover; energy: light squared, summed ``[K]``; names, radii: of each.
    """

    cover: Tensor
    light: Tensor
    covered: Tensor
    crossed: Tensor
    energy: Tensor
    names: tuple[str, ...]
    radii: tuple[float, ...]

    def pick(self, kept: list[int]) -> Templates:
        """Return some of the candidates."""
        rows = torch.tensor(kept)
        return Templates(
            self.cover[rows],
            self.light[rows],
            self.covered[rows],
            self.crossed[rows],
            self.energy[rows],
            tuple(self.names[k] for k in kept),
            tuple(self.radii[k] for k in kept),
        )


class Drawing(NamedTuple):
    """Without colour: cover and light ``[K, PATCH, PATCH]``, and the radius of each."""

    cover: Tensor
    light: Tensor
    radii: tuple[float, ...]


class ShapeMatch(NamedTuple):
    """object: its name. radius: frame heights. blur: one of `BLURS`, that of the picture.

    explained: share of the picture's difference from the background that the match explains. margin: how much less
    the next object explains.
    """

    object: str
    radius: float
    blur: float
    explained: float
    margin: float


def match_shape(
    parts: Segmentation,
    path: Track,
    colour: str,
    objects: Sequence[str],
    radii: tuple[float, ...] = RADII,
) -> ShapeMatch | None:
    """Find the object and radius whose pictures, each frame at its best angle, are nearest to the clip.

    Args:
        parts: the clip, segmented.
        path: where the actor is, and in which frames.
        colour: the actor's colour, a word of the world.
        objects: names that may be the answer.
        radii: that are tried, in frame heights, ascending.

    Returns:
        ShapeMatch, or None where no frame can be used.

    Source: least squares in sRGB between the clip and background + cover * (paint - background), expanded so that all
    candidates are four matrix products (our own).
    """
    used = torch.nonzero(path.seen)[:, 0]
    if len(used) == 0:
        return None
    used = used[torch.linspace(0, len(used) - 1, min(len(used), FRAMES)).round().long()]
    picture, centre_F2 = parts.picture[used], path.centre[used]
    names = tuple(objects)
    few, few_F2 = picture[::2], centre_F2[::2]
    tint = torch.tensor(COLOURS[colour])
    coarse = [(blur, every_other(names, radii, blur)) for blur in BLURS]
    rough = {
        blur: _shares(_explained(few, parts.background, few_F2, table, tint)[None], table) for blur, table in coarse
    }
    blur = max(rough, key=lambda tried: max(rough[tried].values()))
    best = {n: max((r for m, r in rough[blur] if m == n), key=lambda r: rough[blur][n, r]) for n in names}
    table = templates(names, radii, blur)
    pairs = enumerate(zip(table.names, table.radii, strict=True))
    near = table.pick([k for k, (name, radius) in pairs if abs(math.log(radius / best[name])) < 0.10])
    fits = [_explained(picture, parts.background, centre_F2 + torch.tensor(shift), near, tint) for shift in SHIFTS]
    share = _shares(torch.stack(fits), near)
    chosen = max(share, key=lambda key: share[key])
    others = [value for (name, _), value in share.items() if name != chosen[0]]
    radius = _peak([(r, v) for (name, r), v in share.items() if name == chosen[0]])
    return ShapeMatch(chosen[0], radius, blur, share[chosen], share[chosen] - max([0.0, *others]))


def settle(parts: Segmentation, centre_F2: Tensor, match: ShapeMatch, colour: str) -> Tensor:
    """Move each centre to where the matched object fits best.

    Args:
        parts: the clip, segmented.
        centre_F2: float ``[F, 2]`` x, y in pixels at the working height.
        match: from `match_shape`.
        colour: the actor's colour.

    Returns:
        float ``[F, 2]``; a centre that would move by more than 2 pixels keeps its place. Two Gauss-Newton steps on the
        least squares of `match_shape`, the angle of each frame chosen first.
    """
    table = templates((match.object,), (round(match.radius, 3),), match.blur)
    tint = torch.tensor(COLOURS[colour])
    turn_F = _explained(parts.picture, parts.background, centre_F2, table, tint).argmax(1)
    cover_F1PP = table.cover[turn_F].view(-1, 1, PATCH, PATCH)
    paint_F3PP = tint[:, None, None] * table.light[turn_F].view(-1, 1, PATCH, PATCH)
    moved_F2 = centre_F2
    for _ in range(2):
        ground_F3PP, patch_F3PP = (
            cut(p, moved_F2).transpose(1, 2).view(-1, 3, PATCH, PATCH)
            for p in (parts.background[None].expand_as(parts.picture), parts.picture)
        )
        drawn = paint_F3PP - ground_F3PP * cover_F1PP
        missing_FN = (patch_F3PP - ground_F3PP - drawn).flatten(1)
        # Moving the actor by +1 px takes its picture's slope away.
        slope_x = -torch.gradient(paint_F3PP, dim=3)[0] + ground_F3PP * torch.gradient(cover_F1PP, dim=3)[0]
        slope_y = -torch.gradient(paint_F3PP, dim=2)[0] + ground_F3PP * torch.gradient(cover_F1PP, dim=2)[0]
        slope_FN2 = torch.stack([slope_x.flatten(1), slope_y.flatten(1)], -1)
        normal_F22 = slope_FN2.transpose(1, 2) @ slope_FN2 + 1e-3 * torch.eye(2)
        step_F2 = torch.linalg.solve(normal_F22, slope_FN2.transpose(1, 2) @ missing_FN[..., None])[..., 0]
        moved_F2 = moved_F2 + step_F2.clamp(-1.0, 1.0)
    kept_F = (moved_F2 - centre_F2).norm(dim=1) < 2.0
    return torch.where(kept_F[:, None], moved_F2, centre_F2)


def _explained(
    picture_FHW3: Tensor, background_HW3: Tensor, centre_F2: Tensor, table: Templates, tint_3: Tensor
) -> Tensor:
    """Return the share of each frame's difference from the background that each candidate explains, ``[F, K]``."""
    patch_FP3 = cut(picture_FHW3, centre_F2)
    ground_FP3 = cut(background_HW3[None].expand(len(patch_FP3), -1, -1, -1), centre_F2)
    off_FP3 = patch_FP3 - ground_FP3
    error_FK = (
        2 * (off_FP3 * ground_FP3).sum(-1) @ table.cover.T
        - 2 * (off_FP3 @ tint_3) @ table.light.T
        + ground_FP3.square().sum(-1) @ table.covered.T
        - 2 * (ground_FP3 @ tint_3) @ table.crossed.T
        + tint_3.square().sum() * table.energy
    )
    return -error_FK / off_FP3.square().sum((1, 2)).clamp(min=1e-6)[:, None]


def _shares(fits_VFK: Tensor, table: Templates) -> dict[tuple[str, float], float]:
    """Return, for each object and radius, the best share over angles and shifts, median over frames.

    The median lets a few broken frames be.
    """
    groups: dict[tuple[str, float], list[int]] = {}
    for k, key in enumerate(zip(table.names, table.radii, strict=True)):
        groups.setdefault(key, []).append(k)
    return {key: float(fits_VFK[:, :, ks].amax((0, 2)).median()) for key, ks in groups.items()}


def _peak(curve: list[tuple[float, float]]) -> float:
    """Return the radius at the top of a parabola through the best one and its neighbours."""
    curve = sorted(curve)
    k = max(range(len(curve)), key=lambda i: curve[i][1])
    if k in (0, len(curve) - 1):
        return curve[k][0]
    (r0, v0), (r1, v1), (_, v2) = curve[k - 1 : k + 2]
    bend = v0 - 2 * v1 + v2
    return r1 + (r1 - r0) * (0.5 * (v0 - v2) / bend if bend < -1e-12 else 0.0)


def cut(picture_FHW3: Tensor, centre_F2: Tensor) -> Tensor:
    """Return the patch around each centre, bilinear between pixels, float ``[F, P, 3]``; the edge repeats outside."""
    height, width = picture_FHW3.shape[1:3]
    step = torch.arange(PATCH, device=picture_FHW3.device) - PATCH // 2
    y, x = torch.meshgrid(step, step, indexing="ij")
    at_FPP2 = torch.stack([x, y], -1)[None] + centre_F2[:, None, None]
    size = torch.tensor([width, height], device=at_FPP2.device)
    planes = F.grid_sample(
        picture_FHW3.permute(0, 3, 1, 2), 2 * at_FPP2 / size - 1, padding_mode="border", align_corners=False
    )
    return planes.flatten(2).transpose(1, 2)


@lru_cache(maxsize=64)
def templates(objects: tuple[str, ...], radii: tuple[float, ...], blur: float) -> Templates:
    """Draw every candidate of ``objects``, at some angles, its centroid in the middle."""
    drawn = [_draw(name, radii) for name in objects]
    cover, light = (
        _blur(torch.cat(planes)[:, None], blur).flatten(1)
        for planes in ([d.cover for d in drawn], [d.cover * d.light for d in drawn])
    )
    return Templates(
        cover,
        light,
        cover.square(),
        light * cover,
        light.square().sum(1),
        tuple(name for name, d in zip(objects, drawn, strict=True) for _ in d.radii),
        tuple(radius for d in drawn for radius in d.radii),
    )


@lru_cache(maxsize=16)
def every_other(objects: tuple[str, ...], radii: tuple[float, ...], blur: float) -> Templates:
    """Return the candidates of every other radius, for the first choice."""
    table = templates(objects, radii, blur)
    return table.pick([k for k, radius in enumerate(table.radii) if radius in radii[::2]])


@lru_cache(maxsize=128)
def _draw(name: str, radii: tuple[float, ...]) -> Drawing:
    """Draw one object at the working height, at each radius, side and angle.

    The picture is that of the renderer: a dark rim, a darker mark, light from the upper left.
    """
    shape = SHAPES[name]
    fold = SYMMETRY.get(name, 1)
    turns = TURNS * (2 if fold == 1 else 1)
    pixel = 1.0 / WORK_HEIGHT
    sides = (1.0, -1.0) if shape.faces else (1.0,)
    sizes = tuple(radius for radius in radii for _ in range(turns * len(sides)))
    radius = torch.tensor(sizes)[:, None, None]
    angle = (torch.arange(turns) * (2 * math.pi / (turns * fold))).repeat(len(radii) * len(sides))[:, None, None]
    side = torch.tensor(sides).repeat_interleave(turns).repeat(len(radii))[:, None, None]
    step = (torch.arange(PATCH) - PATCH // 2) * pixel
    y, x = (grid.expand(len(sizes), -1, -1) for grid in torch.meshgrid(step, step, indexing="ij"))

    def outline(dx: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        local_x = side * (angle.cos() * dx + angle.sin() * dy) / radius
        local_y = (angle.cos() * dy - angle.sin() * dx) / radius
        scale = radius / pixel
        return shape.distance(local_x, local_y) * scale, shape.mark(local_x, local_y) * scale

    cover = (0.5 - outline(x, y)[0]).clamp(0.0, 1.0)
    # Tracks follow the centroid, which for an unsymmetric outline is not its origin.
    area = cover.sum((1, 2), keepdim=True)
    x, y = (z + (cover * z).sum((1, 2), keepdim=True) / area for z in (x, y))
    edge, mark = outline(x, y)
    cover = (0.5 - edge).clamp(0.0, 1.0)
    core = (0.5 - edge - RIM / pixel).clamp(0.0, 1.0)
    dark = (1 - 0.45 * (1 - core)) * (1 - 0.35 * core * (0.5 - mark).clamp(0.0, 1.0))
    return Drawing(cover, (1.0 - 0.13 * (x + y) / radius).clamp(0.7, 1.15) * dark, sizes)


def _blur(planes_K1PP: Tensor, blur: float) -> Tensor:
    reach = math.ceil(3 * blur)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / blur) ** 2)
    kernel = kernel / kernel.sum()
    planes = F.conv2d(planes_K1PP, kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return F.conv2d(planes, kernel.view(1, 1, 1, -1), padding=(0, reach))
