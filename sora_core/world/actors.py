"""From what clips show to bodies that move: sizes, sides and paths of the actors of a batch."""

# B clips, F frames, N picked clips

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .dice import Dice
from .physics import MOTION, Body, Path
from .shapes import SHAPES
from .spec import DIRECTIONS, RESTITUTION, SIZES, Attributes

OTHER_RADII = (0.095, 0.165)
"""Least and greatest radius of a second actor in frame heights; the greatest shrinks where the frame is narrow."""

SIDE: dict[str, float] = {"": 0.0, DIRECTIONS[0]: -1.0, DIRECTIONS[1]: 1.0}


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One actor of each of ``B`` clips, ready to be painted.

    objects, colours: names. x, y, angle: ``[B, F]`` frame heights and radians. radius: ``[B]`` frame heights.
    facing: ``[B]``, -1 where the front is to the left.
    """

    objects: list[str]
    colours: list[str]
    x: Tensor
    y: Tensor
    angle: Tensor
    radius: Tensor
    facing: Tensor

    def pick(self, index: Tensor) -> Actor:
        """Return the actors of the clips at ``index``."""
        rows = index.tolist()
        return Actor(
            objects=[self.objects[i] for i in rows],
            colours=[self.colours[i] for i in rows],
            x=self.x[index],
            y=self.y[index],
            angle=self.angle[index],
            radius=self.radius[index],
            facing=self.facing[index],
        )


def groups(names: Sequence[str], device: torch.device) -> list[tuple[str, Tensor]]:
    """Return each name with the clips that have it, so that one call serves them all."""
    return [
        (name, torch.tensor([i for i, n in enumerate(names) if n == name], device=device))
        for name in sorted(set(names))
    ]


def second_look(shown: Attributes) -> tuple[str, str]:
    """Return colour and object of the second actor of a collision; without any, it is the first one's twin."""
    colour, obj = shown.other or (shown.colour, shown.object)
    return colour, obj


def bodies(shown: Sequence[Attributes], dice: Dice, aspect: float) -> Body:
    """Return the bodies of a batch, with a second one where any clip is a collision."""

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, device=dice.rolls.device)

    radius = column([SIZES[a.size] for a in shown]) * dice.between("radius", 0.94, 1.06)
    direction = column([SIDE[a.direction] for a in shown])
    restitution = column([RESTITUTION[a.material] for a in shown])

    def body(objects: list[str], radius: Tensor, other: Body | None) -> Body:
        return Body(
            radius=radius,
            extent=radius * column([SHAPES[name].extent for name in objects]),
            direction=direction,
            restitution=restitution,
            aspect=aspect,
            reach=radius * column([SHAPES[name].width for name in objects]),
            other=other,
        )

    other = None
    if any(a.motion == "collide" for a in shown):
        low, high = OTHER_RADII
        most = ((aspect - 2 * radius - 0.16) / 2).clamp(low, high)
        other = body([second_look(a)[1] for a in shown], dice.between("other_radius", low, most), None)
    return body([a.object for a in shown], radius, other)


def move(shown: Sequence[Attributes], body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Return where the actors are at these times, seconds ``[B, F]`` (or ``[1, F]`` for all clips alike)."""
    device = time_BF.device
    batch, frames = len(shown), time_BF.shape[1]
    time_BF = time_BF.expand(batch, -1)
    x, y, angle = (torch.zeros(batch, frames, device=device) for _ in range(3))
    contact_time = torch.full((batch, 16), torch.inf, device=device)
    contact_speed = torch.zeros(batch, 16, device=device)
    other = pivot = None
    for name, index in groups([a.motion for a in shown], device):
        path = MOTION[name](body.pick(index), dice.pick(index), time_BF[index])
        x[index], y[index], angle[index] = path.x, path.y, path.angle
        count = path.contact_time.shape[1]
        contact_time[index, :count] = path.contact_time
        contact_speed[index, :count] = path.contact_speed
        if path.other is not None:
            other = torch.zeros(batch, frames, 2, device=device)
            other[index] = path.other
        if path.pivot is not None:
            pivot = torch.zeros(batch, 2, device=device)
            pivot[index] = path.pivot
    return Path(x=x, y=y, angle=angle, contact_time=contact_time, contact_speed=contact_speed, other=other, pivot=pivot)


def first_actor(shown: Sequence[Attributes], body: Body, dice: Dice, path: Path) -> Actor:
    """Return the first actor of each clip; it faces the way it goes, or any way where the motion has none."""
    sense = torch.where(dice("sense") < 0.5, -1.0, 1.0)
    collides = torch.tensor([a.motion == "collide" for a in shown], device=sense.device)
    anyhow = torch.where(collides, sense, torch.where(dice("facing") < 0.5, -1.0, 1.0))
    return Actor(
        objects=[a.object for a in shown],
        colours=[a.colour for a in shown],
        x=path.x,
        y=path.y,
        angle=path.angle,
        radius=body.radius,
        facing=torch.where(body.direction == 0, anyhow, body.direction),
    )


def second_actor(shown: Sequence[Attributes], body: Body, dice: Dice, path: Path, index: Tensor) -> Actor:
    """Return the second actor of the clips at ``index``, which all have one; it faces the first."""
    assert body.other is not None, "no clip of this batch has a second body"
    assert path.other is not None, "no clip of this batch has a second path"
    looks = [second_look(shown[i]) for i in index.tolist()]
    place_NF2 = path.other[index]
    return Actor(
        objects=[obj for _, obj in looks],
        colours=[colour for colour, _ in looks],
        x=place_NF2[..., 0],
        y=place_NF2[..., 1],
        angle=torch.zeros_like(place_NF2[..., 0]),
        radius=body.other.radius[index],
        facing=torch.where(dice("sense")[index] < 0.5, 1.0, -1.0),
    )
