"""The picture of a batch: place, string, actors and weather, one over the other."""

# B clips, F frames, N picked clips, H W pixels; a picture is float [B, F or 1, 3, H, W] in [0, 1]

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .actors import Actor, groups
from .camera import View
from .dice import Dice
from .scenery import BARE, SCENERY, seams
from .shapes import SHAPES, Shape
from .spec import COLOURS, Attributes
from .weather import WEATHER

RIM = 0.016
"""Width of the dark rim in frame heights."""

STRING_END = 0.4
"""Where a string ends: so many radii from the centre of what hangs on it."""

NEAR = 1.35
"""Radii from the centre, across and down, within which the outlines made of many edges are worked out."""


def paint_place(shown: Sequence[Attributes], dice: Dice, still: View, view: View) -> Tensor:
    """Return the scenes, ``[B, 1, 3, H, W]`` where no camera moves and ``[B, F, 3, H, W]`` where one does.

    Args:
        shown, dice: the batch. still: the view of a camera at rest. view: that of the batch, ``still`` if none moves.
    """
    device = dice.rolls.device
    height, width = still.x.shape[-2:]
    frames = view.x.shape[1]
    moves = ["" if frames == 1 or a.camera == "still" else "moving" for a in shown]
    picture = torch.empty(len(shown), frames, 3, height, width, device=device)
    for name, index in groups([f"{a.scene}/{move}" for a, move in zip(shown, moves, strict=True)], device):
        scene, move = name.split("/")
        if move:
            seen = view.pick(index)
            rolls = dice.pick(index.repeat_interleave(frames))
            pixel = seen.pixel.flatten(0, 1) if isinstance(seen.pixel, Tensor) else seen.pixel
            x, y = seen.x.flatten(0, 1), seen.y.flatten(0, 1)
            flat = SCENERY[scene](x, y, rolls, pixel)
            flat = seams(flat, x, y, rolls, pixel) if scene in BARE else flat
            picture[index] = flat.unflatten(0, (len(index), frames))
        else:
            picture[index] = SCENERY[scene](still.x[0], still.y[0], dice.pick(index), still.pixel)[:, None]
    return picture * dice.between("light", 0.96, 1.04)[:, None, None, None, None]


def paint_actor(picture: Tensor, actor: Actor, view: View) -> tuple[Tensor, Tensor]:
    """Return the picture with an actor in front ``[B, F, 3, H, W]``, and the actor's coverage ``[B, F, H, W]``."""
    dx = view.x - actor.x[:, :, None, None]
    dy = view.y - actor.y[:, :, None, None]
    cos, sin = actor.angle.cos()[:, :, None, None], actor.angle.sin()[:, :, None, None]
    radius, pixel = actor.radius[:, None, None, None], view.pixel
    local_x, local_y = (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius
    outline, mark = torch.empty_like(local_x), torch.empty_like(local_x)
    for name, index in groups(actor.objects, dx.device):
        shape = SHAPES[name]
        x = local_x[index]
        if shape.faces:
            x = x * actor.facing[index][:, None, None, None]
        outline[index], mark[index] = _distances(shape, x, local_y[index])
    outline, mark = outline * radius / pixel, mark * radius / pixel
    mask = (0.5 - outline).clamp(0.0, 1.0)
    core = (0.5 - outline - RIM / pixel).clamp(0.0, 1.0)
    dark = 1 - 0.45 * (1 - core)
    dark = dark * (1 - 0.35 * core * (0.5 - mark).clamp(0.0, 1.0))
    # Light comes from the upper left of the frame, whichever way the actor is turned.
    light = (1.0 - 0.13 * (dx + dy) / radius).clamp(0.7, 1.15) * dark
    tint = torch.tensor([COLOURS[name] for name in actor.colours], device=dx.device)[:, None, :, None, None]
    paint = (tint * light[:, :, None]).clamp(max=1.0)
    return torch.lerp(picture.expand_as(paint), paint, mask[:, :, None]), mask


def _distances(shape: Shape, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return distance and mark of an outline; one of many edges is left out far from the actor, where it is 1."""
    if not shape.intricate:
        return shape.distance(x, y), shape.mark(x, y)
    near = torch.maximum(x.abs(), y.abs()) < NEAR
    near_x, near_y = x[near], y[near]
    outline, mark = torch.ones_like(x), torch.ones_like(x)
    outline[near], mark[near] = shape.distance(near_x, near_y), shape.mark(near_x, near_y)
    return outline, mark


def paint_string(picture: Tensor, pivot_N2: Tensor, actor: Actor, scenes: Sequence[str], view: View) -> Tensor:
    """Return pictures ``[N, F, 3, H, W]`` with a thin string from a peg to what hangs on it."""
    top_x, top_y = (pivot_N2[:, axis][:, None, None, None] for axis in (0, 1))
    way_x, way_y = actor.x[:, :, None, None] - top_x, actor.y[:, :, None, None] - top_y
    length = torch.hypot(way_x, way_y)
    off_x, off_y = view.x - top_x, view.y - top_y
    most = 1 - STRING_END * actor.radius[:, None, None, None] / length
    along = torch.minimum(((off_x * way_x + off_y * way_y) / length**2).clamp(min=0.0), most)
    string = torch.hypot(off_x - along * way_x, off_y - along * way_y) - 0.005
    peg = torch.hypot(off_x, off_y) - 0.018
    cover = (0.5 - torch.minimum(string, peg) / view.pixel).clamp(0.0, 1.0)
    grey = [0.62 if scene == "dark floor" else 0.22 for scene in scenes]
    shade = torch.tensor(grey, device=cover.device)[:, None, None, None, None]
    return torch.lerp(picture, shade.expand_as(picture), cover[:, :, None])


def paint_weather(name: str, picture: Tensor, dice: Dice, time_BF: Tensor, still: View) -> Tensor:
    """Return pictures ``[N, F, 3, H, W]`` with rain or snow in front."""
    weather = WEATHER[name]
    cover = weather.opacity * weather.cover(still, dice, time_BF)
    colour = torch.tensor(weather.colour, device=picture.device)[None, None, :, None, None]
    return torch.lerp(picture, colour.expand_as(picture), cover[:, :, None])
