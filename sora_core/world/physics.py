"""Where an actor is at any time, in closed form, and when and how hard it strikes."""

# B clips, F frames, K contacts

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .dice import Dice
from .spec import FLOOR, GRAVITY

MAX_CONTACTS = 12
QUIET_SPEED = 0.3
"""Impacts slower than this (frame heights per second) end a bounce: the actor rests, silently."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """What physics needs to know of an actor, each ``[B]``.

    radius: frame heights. extent: distance from centre to lowest point. direction: +1 right, -1 left, 0 none.
    restitution: speed out over speed in. aspect: frame width over height.
    """

    radius: Tensor
    extent: Tensor
    direction: Tensor
    restitution: Tensor
    aspect: float


@dataclass(frozen=True, kw_only=True)
class Path:
    """A motion on a time grid.

    x, y, angle: ``[B, F]`` frame heights and radians. contact_time: ``[B, K]`` seconds, infinity where there is none.
    contact_speed: ``[B, K]`` frame heights per second.
    """

    x: Tensor
    y: Tensor
    angle: Tensor
    contact_time: Tensor
    contact_speed: Tensor


Motion = Callable[[Body, Dice, Tensor], Path]


def _path(
    x_BF: Tensor, y_BF: Tensor, angle: Tensor | None = None, contacts: tuple[Tensor, Tensor] | None = None
) -> Path:
    x_BF, y_BF = torch.broadcast_tensors(x_BF, y_BF)
    never = torch.full_like(x_BF[:, :1], torch.inf)
    times, speeds = contacts if contacts is not None else (never, torch.zeros_like(never))
    turned = torch.zeros_like(x_BF) if angle is None else angle
    return Path(x=x_BF, y=y_BF, angle=turned, contact_time=times, contact_speed=speeds)


def rest_height(body: Body) -> Tensor:
    """Return the height ``[B]`` of a centre that rests on the floor."""
    return FLOOR - body.extent


def _run(body: Body, dice: Dice) -> tuple[Tensor, Tensor]:
    """Return a start and a signed distance ``[B]`` that keep the actor in the frame."""
    room = body.aspect - 2 * body.radius
    distance = room * dice.between("travel", 0.55, 0.90)
    start = body.radius + (room - distance) * dice("x")
    start = torch.where(body.direction > 0, start, body.aspect - start)
    return start, distance * body.direction


def _anywhere(body: Body, dice: Dice, margin: float = 0.0) -> Tensor:
    return dice.between("x", body.radius + margin, body.aspect - body.radius - margin)


def _drop_height(body: Body, dice: Dice) -> Tensor:
    highest = (FLOOR - 2 * body.radius - 0.02).clamp(max=0.62)
    return highest * dice.between("height", 0.7, 1.0)


def slide(body: Body, dice: Dice, time_F: Tensor) -> Path:
    """Slow down under friction (constant deceleration) and come to rest within 1.2 to 1.8 s; no rotation."""
    start, distance = _run(body, dice)
    stop = dice.between("duration", 1.2, 1.8)
    gone = (time_F[None] / stop[:, None]).clamp(max=1.0)
    return _path(start[:, None] + distance[:, None] * gone * (2 - gone), rest_height(body)[:, None])


def roll(body: Body, dice: Dice, time_F: Tensor) -> Path:
    """Move at constant speed, turning without slip (angle = distance / extent); crosses its run in 2.1 s."""
    start, distance = _run(body, dice)
    moved = (distance / 2.1)[:, None] * time_F[None]
    return _path(start[:, None] + moved, rest_height(body)[:, None], moved / body.extent[:, None])


def bounce(body: Body, dice: Dice, time_F: Tensor) -> Path:
    """Drop under gravity and rebound with the material's restitution until the impacts are too soft to matter."""
    height = _drop_height(body, dice)
    release = dice.between("delay", 0.0, 0.25)
    drift = dice.between("drift", -0.1, 0.1)
    first = release + (2 * height / GRAVITY).sqrt()
    order = torch.arange(MAX_CONTACTS, device=height.device)
    speed_BK = (2 * GRAVITY * height).sqrt()[:, None] * body.restitution[:, None] ** order
    loud = speed_BK >= QUIET_SPEED
    # Flight after contact k lasts 2 e v_k / g: the speed of contact k + 1 is the speed at which contact k was left.
    flight_BK = torch.where(loud[:, 1:], 2 * speed_BK[:, 1:] / GRAVITY, torch.inf)
    contact_BK = torch.cat([first[:, None], first[:, None] + flight_BK.cumsum(1)], 1)
    since = time_F[None, :, None] - contact_BK[:, None, :]
    leaving = torch.cat([speed_BK[:, 1:], torch.zeros_like(speed_BK[:, :1])], 1)[:, None, :]
    leaving = torch.where(leaving >= QUIET_SPEED, leaving, 0.0)
    arc = (leaving * since - 0.5 * GRAVITY * since**2).clamp(min=0.0)
    above = torch.where(since >= 0, arc, 0.0).nan_to_num(0.0).amax(2)
    falling = height[:, None] - 0.5 * GRAVITY * (time_F[None] - release[:, None]).clamp(min=0.0) ** 2
    above = torch.where(time_F[None] < first[:, None], falling, above)
    moving = torch.where(loud, contact_BK, 0.0).nan_to_num(0.0, posinf=0.0).amax(1)
    x_BF = _anywhere(body, dice, 0.1)[:, None] + drift[:, None] * torch.minimum(time_F[None], moving[:, None])
    contacts = (torch.where(loud, contact_BK, torch.inf), torch.where(loud, speed_BK, 0.0))
    return _path(x_BF, rest_height(body)[:, None] - above, contacts=contacts)


def fall(body: Body, dice: Dice, time_F: Tensor) -> Path:
    """Drop under gravity and stay where it lands: one contact, no rebound."""
    height = _drop_height(body, dice)
    release = dice.between("delay", 0.0, 0.5)
    dropped = 0.5 * GRAVITY * (time_F[None] - release[:, None]).clamp(min=0.0) ** 2
    above = (height[:, None] - dropped).clamp(min=0.0)
    landing = release + (2 * height / GRAVITY).sqrt()
    contacts = (landing[:, None], (2 * GRAVITY * height).sqrt()[:, None])
    return _path(_anywhere(body, dice)[:, None], rest_height(body)[:, None] - above, contacts=contacts)


def rise(body: Body, dice: Dice, time_F: Tensor) -> Path:
    """Float up from the floor at constant speed and stop just under the top edge."""
    speed = dice.between("travel", 0.20, 0.30)
    up = speed[:, None] * (time_F[None] - dice.between("delay", 0.0, 0.25)[:, None]).clamp(min=0.0)
    y_BF = torch.maximum(rest_height(body)[:, None] - up, body.radius[:, None] + 0.02)
    return _path(_anywhere(body, dice)[:, None], y_BF)


def stay(body: Body, dice: Dice, time_F: Tensor) -> Path:
    """Rest on the floor."""
    return _path(_anywhere(body, dice)[:, None].expand(-1, len(time_F)), rest_height(body)[:, None])


MOTION: dict[str, Motion] = {
    "slide": slide,
    "roll": roll,
    "bounce": bounce,
    "fall": fall,
    "rise": rise,
    "stay": stay,
}
"""Every motion of the world by its word in `spec.MOTIONS`."""
