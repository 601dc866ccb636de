"""What is scene and what is actor: the empty background of a clip, and how far each pixel stands out of it."""

# F frames, H W pixels (H is WORK_HEIGHT), N scenes; colours are sRGB in [0, 1], channels last

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..world.dice import Dice
from ..world.scenery import SCENERY

WORK_HEIGHT = 64
"""Every clip is measured at this height in pixels, so that one set of templates and thresholds serves all sizes."""

TEXTURE = 0.24
"""Colour distance from the row's own colour up to which a pixel that never changes belongs to the scene."""

QUIET = (0.04, 0.12)
"""Least and greatest colour distance from the background at which a pixel begins to count as actor; between them it
is four times the clip's own median distance, which is its noise."""

RAMP = 0.10
"""Further colour distance over which a pixel comes to count in full."""

STRANGE = 0.16
"""Mean colour distance from every known scene above which the scene is called unknown."""


MIXED = frozenset({"meadow", "snow"})
"""Scenes whose rows hold things further than `TEXTURE` from the row's colour: a far hill, firs."""


class Segmentation(NamedTuple):
    """A clip taken apart.

    picture: float ``[F, H, W, 3]``. background: ``[H, W, 3]``. alpha: ``[F, H, W]``, 0 scene to 1 actor. scene: its
    name, or None where it is like none of the known ones.
    """

    picture: Tensor
    background: Tensor
    alpha: Tensor
    scene: str | None


def segment(frames: Tensor, scenes: Sequence[str]) -> Segmentation:
    """Separate a clip of a still camera into background and actor.

    Args:
        frames: uint8 ``[F, H, W, 3]`` of any size.
        scenes: names that may be the answer.

    Returns:
        Segmentation at `WORK_HEIGHT`, see `take_apart`.
    """
    return take_apart(at_work_height(frames), scenes)


def take_apart(picture: Tensor, scenes: Sequence[str], shown: Tensor | None = None) -> Segmentation:
    """Separate a clip of a still camera, at `WORK_HEIGHT` already.

    Args:
        picture: float ``[F, H, W, 3]`` in [0, 1].
        scenes: names that may be the answer.
        shown: 1 where the clip showed this place at that time, ``[F, H, W]``; None for everywhere.

    Returns:
        Segmentation. The background of a pixel is what it shows when it is most like its row, and the row's colour
        where it never is, so that an actor that rests for most of the clip is not taken for scene. Scenes with things
        of another colour on the horizon (`MIXED`) have these as well as the row's colour.
    """
    still_HW3 = picture[:: 2 if len(picture) > 8 else 1].median(dim=0).values
    scene, rows_H3 = _rows(still_HW3, tuple(scenes))
    like_RH3 = rows_H3[None]
    if scene in MIXED:
        like_RH3 = torch.cat([like_RH3, mixed_rows(scene)])
    background = _background(picture, like_RH3, shown)
    far_FHW = (picture - background).norm(dim=-1)
    quiet = (4.0 * far_FHW.median()).clamp(*QUIET)
    alpha = ((far_FHW - quiet) / RAMP).clamp(0.0, 1.0)
    return Segmentation(picture, background, alpha if shown is None else alpha * shown, scene)


def at_work_height(frames: Tensor) -> Tensor:
    """Return uint8 ``[F, H, W, 3]`` as float in [0, 1] at `WORK_HEIGHT`, the aspect kept."""
    picture = frames.to(torch.float32) / 255.0
    height, width = frames.shape[1:3]
    if height == WORK_HEIGHT:
        return picture
    size = (WORK_HEIGHT, max(16, round(width * WORK_HEIGHT / height)))
    planes = picture.permute(0, 3, 1, 2)
    planes = F.interpolate(planes, size, mode="bilinear", antialias=height > WORK_HEIGHT, align_corners=False)
    return planes.permute(0, 2, 3, 1).contiguous()


def _background(picture_FHW3: Tensor, like_RH3: Tensor, shown: Tensor | None) -> Tensor:
    """Return, for each pixel, the mean of the three frames most like its row or one beside it, or the row's colour.

    ``like_RH3`` holds the row's own colour first, then what else it may show.
    """
    height = picture_FHW3.shape[1]
    padded = torch.cat([like_RH3[:, :1], like_RH3, like_RH3[:, -1:]], 1)
    off_FHW = torch.full(picture_FHW3.shape[:3], torch.inf, device=picture_FHW3.device)
    for row_H3 in padded:
        for k in range(3):
            off_FHW = torch.minimum(off_FHW, (picture_FHW3 - row_H3[k : k + height, None]).square().sum(-1))
    if shown is not None:
        off_FHW = torch.where(shown > 0, off_FHW, torch.inf)
    least = off_FHW.topk(min(3, len(picture_FHW3)), dim=0, largest=False)
    shown_HW3 = picture_FHW3.gather(0, least.indices[..., None].expand(-1, -1, -1, 3)).mean(0)
    return torch.where((least.values[-1] < TEXTURE**2)[..., None], shown_HW3, like_RH3[0, :, None])


def _rows(still_HW3: Tensor, scenes: tuple[str, ...]) -> tuple[str | None, Tensor]:
    """Return the scene that is nearest, or None where none is near, and the colour of each row ``[H, 3]``.

    Only the third of each row that is most like the scene is asked, since in a narrow frame a resting actor may fill
    more than half of it.
    """
    references_NH3 = scene_rows(scenes).to(still_HW3.device)
    far_NHW = (still_HW3 - references_NH3[:, :, None]).norm(dim=-1)
    asked = max(1, still_HW3.shape[1] // 3)
    near_NHK = far_NHW.topk(asked, dim=2, largest=False)
    far_N = near_NHK.values.mean((1, 2))
    best = int(far_N.argmin())
    if far_N[best] > STRANGE:
        return None, still_HW3.median(dim=1).values
    chosen_HK3 = near_NHK.indices[best, :, :, None].expand(-1, -1, 3)
    return scenes[best], still_HW3.gather(1, chosen_HK3).median(dim=1).values


@lru_cache(maxsize=8)
def scene_rows(scenes: tuple[str, ...]) -> Tensor:
    """Return the colour of each row of the empty scenes, mean over textures, float ``[N, H, 3]``."""
    pixel = 1.0 / WORK_HEIGHT
    middle = (torch.arange(WORK_HEIGHT) + 0.5) * pixel
    y, x = (g[None] for g in torch.meshgrid(middle, middle, indexing="ij"))
    dice = Dice(range(8))
    shape = (8, WORK_HEIGHT, WORK_HEIGHT)
    painted = [SCENERY[name](x.expand(shape), y.expand(shape), dice, pixel) for name in scenes]
    return torch.stack([p.mean(dim=(0, 3)).T for p in painted])


@lru_cache(maxsize=8)
def mixed_rows(scene: str) -> Tensor:
    """Return four colours of each row of an empty scene, from its darkest to its lightest, float ``[4, H, 3]``."""
    pixel = 1.0 / WORK_HEIGHT
    middle = (torch.arange(WORK_HEIGHT) + 0.5) * pixel
    y, x = (g[None] for g in torch.meshgrid(middle, middle, indexing="ij"))
    shape = (8, WORK_HEIGHT, WORK_HEIGHT)
    painted = SCENERY[scene](x.expand(shape), y.expand(shape), Dice(range(8)), pixel)
    pixels_HN3 = painted.permute(2, 0, 3, 1).flatten(1, 2)
    order_HN = pixels_HN3.sum(-1).argsort(dim=1)
    ranks = (torch.tensor([0.03, 0.35, 0.65, 0.97]) * (order_HN.shape[1] - 1)).round().long()
    picked_H4 = order_HN[:, ranks]
    return pixels_HN3.gather(1, picked_H4[..., None].expand(-1, -1, 3)).transpose(0, 1).contiguous()
