"""Where an actor is at any time, in closed form, and when and how hard it strikes."""

# B clips, F frames, K contacts

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .dice import Dice
from .spec import FLOOR, GRAVITY

MAX_CONTACTS = 12
QUIET_SPEED = 0.3
"""Impacts slower than this (frame heights per second) end a bounce: the actor rests, silently."""

GRIP = 0.6
"""Speed along the floor after a contact of a thrown actor over that before it (ours)."""

PIVOT = 0.03
"""Height of the point that a swinging actor hangs from, in frame heights from the top."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """What physics needs to know of an actor, each ``[B]``.

    radius: frame heights. extent: distance from centre to lowest point. direction: +1 right, -1 left, 0 none.
    restitution: speed out over speed in. aspect: frame width over height. reach: half of the width, frame heights.
    other: the second actor where any clip of the batch has one; its rows in the other clips mean nothing.
    """

    radius: Tensor
    extent: Tensor
    direction: Tensor
    restitution: Tensor
    aspect: float
    reach: Tensor
    other: Body | None = None

    def pick(self, index: Tensor) -> Body:
        """Return the bodies at ``index``."""
        return Body(
            radius=self.radius[index],
            extent=self.extent[index],
            direction=self.direction[index],
            restitution=self.restitution[index],
            aspect=self.aspect,
            reach=self.reach[index],
            other=None if self.other is None else self.other.pick(index),
        )


@dataclass(frozen=True, kw_only=True)
class Path:
    """A motion on a time grid.

    x, y, angle: ``[B, F]`` frame heights and radians. contact_time: ``[B, K]`` seconds, infinity where there is none.
    contact_speed: ``[B, K]`` frame heights per second. other: x and y of the second actor ``[B, F, 2]``. pivot: x and
    y of the point that the actor hangs from ``[B, 2]``.
    """

    x: Tensor
    y: Tensor
    angle: Tensor
    contact_time: Tensor
    contact_speed: Tensor
    other: Tensor | None = None
    pivot: Tensor | None = None


Motion = Callable[[Body, Dice, Tensor], Path]
"""From bodies, their dice and times ``[B, F]`` in seconds."""


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


def slide(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Slow down under friction (constant deceleration) and come to rest within 1.2 to 1.8 s; no rotation."""
    start, distance = _run(body, dice)
    stop = dice.between("duration", 1.2, 1.8)
    gone = (time_BF / stop[:, None]).clamp(max=1.0)
    return _path(start[:, None] + distance[:, None] * gone * (2 - gone), rest_height(body)[:, None])


def roll(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Move at constant speed, turning without slip (angle = distance / extent); crosses its run in 2.1 s."""
    start, distance = _run(body, dice)
    moved = (distance / 2.1)[:, None] * time_BF
    return _path(start[:, None] + moved, rest_height(body)[:, None], moved / body.extent[:, None])


def _rebounds(
    first_B: Tensor, speed_B: Tensor, restitution_B: Tensor, time_BF: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return time and speed of the contacts ``[B, K]`` after a flight, and the height above rest ``[B, F]`` after it.

    Contact k strikes at ``speed * restitution ** k``; one slower than `QUIET_SPEED` does not count: its time is
    infinity and its speed 0.
    """
    order = torch.arange(MAX_CONTACTS, device=first_B.device)
    speed_BK = speed_B[:, None] * restitution_B[:, None] ** order
    loud = speed_BK >= QUIET_SPEED
    # Flight after contact k lasts 2 e v_k / g: the speed of contact k + 1 is the speed at which contact k was left.
    flight_BK = torch.where(loud[:, 1:], 2 * speed_BK[:, 1:] / GRAVITY, torch.inf)
    contact_BK = torch.cat([first_B[:, None], first_B[:, None] + flight_BK.cumsum(1)], 1)
    since = time_BF[:, :, None] - contact_BK[:, None, :]
    leaving = torch.cat([speed_BK[:, 1:], torch.zeros_like(speed_BK[:, :1])], 1)[:, None, :]
    leaving = torch.where(leaving >= QUIET_SPEED, leaving, 0.0)
    arc = (leaving * since - 0.5 * GRAVITY * since**2).clamp(min=0.0)
    above = torch.where(since >= 0, arc, 0.0).nan_to_num(0.0).amax(2)
    return torch.where(loud, contact_BK, torch.inf), torch.where(loud, speed_BK, 0.0), above


def bounce(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Drop under gravity and rebound with the material's restitution until the impacts are too soft to matter."""
    height = _drop_height(body, dice)
    release = dice.between("delay", 0.0, 0.25)
    drift = dice.between("drift", -0.1, 0.1)
    first = release + (2 * height / GRAVITY).sqrt()
    contact_BK, speed_BK, above = _rebounds(first, (2 * GRAVITY * height).sqrt(), body.restitution, time_BF)
    falling = height[:, None] - 0.5 * GRAVITY * (time_BF - release[:, None]).clamp(min=0.0) ** 2
    above = torch.where(time_BF < first[:, None], falling, above)
    moving = contact_BK.nan_to_num(0.0, posinf=0.0).amax(1)
    x_BF = _anywhere(body, dice, 0.1)[:, None] + drift[:, None] * torch.minimum(time_BF, moving[:, None])
    return _path(x_BF, rest_height(body)[:, None] - above, contacts=(contact_BK, speed_BK))


def fall(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Drop under gravity and stay where it lands: one contact, no rebound."""
    height = _drop_height(body, dice)
    release = dice.between("delay", 0.0, 0.5)
    dropped = 0.5 * GRAVITY * (time_BF - release[:, None]).clamp(min=0.0) ** 2
    above = (height[:, None] - dropped).clamp(min=0.0)
    landing = release + (2 * height / GRAVITY).sqrt()
    contacts = (landing[:, None], (2 * GRAVITY * height).sqrt()[:, None])
    return _path(_anywhere(body, dice)[:, None], rest_height(body)[:, None] - above, contacts=contacts)


def rise(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Float up from the floor at constant speed and stop just under the top edge."""
    speed = dice.between("travel", 0.20, 0.30)
    up = speed[:, None] * (time_BF - dice.between("delay", 0.0, 0.25)[:, None]).clamp(min=0.0)
    y_BF = torch.maximum(rest_height(body)[:, None] - up, body.radius[:, None] + 0.02)
    return _path(_anywhere(body, dice)[:, None], y_BF)


def stay(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Rest on the floor."""
    return _path(_anywhere(body, dice)[:, None].expand(-1, time_BF.shape[1]), rest_height(body)[:, None])


def throw(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Fly a parabola to one side from a hand's height, then rebound as `bounce` does.

    Speed along the floor is constant in flight and `GRIP` of what it was after each contact; it ends with the rebounds.
    """
    top = _drop_height(body, dice)
    released = top * dice.between("delay", 0.2, 0.5)
    up = (2 * GRAVITY * (top - released)).sqrt()
    strike = (2 * GRAVITY * top).sqrt()
    first = (up + strike) / GRAVITY
    contact_BK, speed_BK, above = _rebounds(first, strike, body.restitution, time_BF)
    flying = released[:, None] + up[:, None] * time_BF - 0.5 * GRAVITY * time_BF**2
    above = torch.where(time_BF < first[:, None], flying, above)
    flight_BK = torch.cat([first[:, None], 2 * speed_BK[:, 1:] / GRAVITY], 1)
    begin_BK = torch.cat([torch.zeros_like(first)[:, None], contact_BK[:, :-1]], 1)
    along_BK = GRIP ** torch.arange(MAX_CONTACTS, device=first.device)
    start, distance = _run(body, dice)
    speed = distance / (along_BK * flight_BK).sum(1)
    flown = torch.minimum((time_BF[:, :, None] - begin_BK[:, None]).clamp(min=0.0), flight_BK[:, None])
    x_BF = start[:, None] + speed[:, None] * (along_BK * flown).sum(2)
    return _path(x_BF, rest_height(body)[:, None] - above, contacts=(contact_BK, speed_BK))


def hop(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Leap in equal small parabolas to one side, with a short rest and a contact after each; stop within 2.1 s."""
    speed = (2 * GRAVITY * dice.between("height", 0.05, 0.10)).sqrt()
    flight = 2 * speed / GRAVITY
    period = flight + dice.between("duration", 0.08, 0.15)
    delay = dice.between("delay", 0.0, 0.25)
    count = (1.85 / period).floor()
    since = (time_BF - delay[:, None]).clamp(min=0.0)
    done = torch.minimum((since / period[:, None]).floor(), count[:, None])
    aloft = torch.minimum(since - done * period[:, None], flight[:, None])
    aloft = torch.where(done < count[:, None], aloft, 0.0)
    start, distance = _run(body, dice)
    x_BF = start[:, None] + distance[:, None] * (done + aloft / flight[:, None]) / count[:, None]
    above = speed[:, None] * aloft - 0.5 * GRAVITY * aloft**2
    order = torch.arange(MAX_CONTACTS, device=speed.device)
    real = order < count[:, None]
    landing_BK = torch.where(real, delay[:, None] + order * period[:, None] + flight[:, None], torch.inf)
    contacts = (landing_BK, torch.where(real, speed[:, None], 0.0))
    return _path(x_BF, rest_height(body)[:, None] - above, contacts=contacts)


def swing(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Swing as a pendulum on a string: ``angle(t) = A cos(w t + phase)``, turned with the string.

    ``w = sqrt(g / L) (1 - A^2 / 16)``, the large-angle period to second order (Landau and Lifshitz, Mechanics, 11).
    """
    length = dice.between("height", 0.36, 0.50)
    widest = ((body.aspect / 2 - body.radius) / length).clamp(0.06, 0.55).asin()
    amplitude = widest * dice.between("travel", 0.75, 1.0)
    rate = (GRAVITY / length).sqrt() * (1 - amplitude**2 / 16)
    theta = amplitude[:, None] * torch.cos(rate[:, None] * time_BF + 2 * math.pi * dice("phase")[:, None])
    aside = (body.radius + length * amplitude.sin()).clamp(max=body.aspect / 2)
    pivot = torch.stack([dice.between("x", aside, body.aspect - aside), torch.full_like(length, PIVOT)], 1)
    x_BF = pivot[:, :1] + length[:, None] * theta.sin()
    y_BF = pivot[:, 1:] + length[:, None] * theta.cos()
    return replace(_path(x_BF, y_BF, -theta), pivot=pivot)


def spin(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Turn in place on the floor at a constant 2.5 to 5 radians per second, either way."""
    angle = _sense(dice)[:, None] * dice.between("duration", 2.5, 5.0)[:, None] * time_BF
    return _path(_anywhere(body, dice)[:, None], rest_height(body)[:, None], angle)


def circle(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Go round a closed orbit in the air at constant speed, once in 1.6 to 2.4 s, either way, upright."""
    room = torch.minimum(rest_height(body) - body.radius, body.aspect - 2 * body.radius) / 2
    orbit = room.clamp(max=0.24) * dice.between("travel", 0.75, 0.95)
    x = dice.between("x", body.radius + orbit, body.aspect - body.radius - orbit)
    y = dice.between("height", body.radius + orbit, rest_height(body) - orbit)
    rate = _sense(dice) * 2 * math.pi / dice.between("duration", 1.6, 2.4)
    turn = rate[:, None] * time_BF + 2 * math.pi * dice("phase")[:, None]
    return _path(x[:, None] + orbit[:, None] * turn.cos(), y[:, None] + orbit[:, None] * turn.sin())


def collide(body: Body, dice: Dice, time_BF: Tensor) -> Path:
    """Glide without friction into a second actor that rests or comes to meet it, and part in one dimension.

    Masses are the squares of the radii. Momentum is kept, and the speed of parting is the material's restitution times
    that of approach. The contact is where the half widths meet, whatever the outlines.
    """
    other = body.other
    assert other is not None, "a collision needs a second body"
    sense = _sense(dice)
    meeting = dice.between("duration", 0.7, 1.0)
    gap = (body.aspect - 2 * body.reach - 2 * other.reach).clamp(min=0.12) * dice.between("travel", 0.75, 0.95)
    # In one half of the clips the other rests; in the other half it crosses a share of the gap.
    share = dice.between("other_speed", -0.35, 0.35).clamp(min=0.0)
    speed_1, speed_2 = gap * (1 - share) / meeting, -gap * share / meeting
    mass_1, mass_2 = body.radius**2, other.radius**2
    common = (mass_1 * speed_1 + mass_2 * speed_2) / (mass_1 + mass_2)
    parting = body.restitution * (speed_1 - speed_2)
    after_1 = common - parting * mass_2 / (mass_1 + mass_2)
    after_2 = common + parting * mass_1 / (mass_1 + mass_2)
    before_BF = torch.minimum(time_BF, meeting[:, None])
    since_BF = (time_BF - meeting[:, None]).clamp(min=0.0)
    start_1 = body.reach + 0.01
    start_2 = start_1 + gap + body.reach + other.reach
    x_1 = start_1[:, None] + speed_1[:, None] * before_BF + after_1[:, None] * since_BF
    x_2 = start_2[:, None] + speed_2[:, None] * before_BF + after_2[:, None] * since_BF
    x_1, x_2 = (torch.where(sense[:, None] > 0, x, body.aspect - x) for x in (x_1, x_2))
    second = torch.stack([x_2, rest_height(other)[:, None].expand_as(x_2)], -1)
    contacts = (meeting[:, None], (speed_1 - speed_2)[:, None])
    return replace(_path(x_1, rest_height(body)[:, None], contacts=contacts), other=second)


def _sense(dice: Dice) -> Tensor:
    """Return +1 or -1 ``[B]``, each as likely."""
    return torch.where(dice("sense") < 0.5, -1.0, 1.0)


MOTION: dict[str, Motion] = {
    "slide": slide,
    "roll": roll,
    "bounce": bounce,
    "fall": fall,
    "rise": rise,
    "stay": stay,
    "throw": throw,
    "hop": hop,
    "swing": swing,
    "spin": spin,
    "circle": circle,
    "collide": collide,
}
"""Every motion of the world by its word in `spec.MOTIONS`."""
