"""Render a batch of clips with their ground truth, on a CPU or a GPU, the same by seed."""

# B clips, F frames, H W pixels, S samples, K contacts

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..types import SAMPLE_RATE, ClipFormat
from .actors import bodies, first_actor, groups, move, second_actor
from .ambience import ambience
from .camera import camera_path, still_view, view_through
from .dice import Dice
from .painting import RIM, paint_actor, paint_place, paint_string, paint_weather
from .physics import Body, Path
from .sound import PITCH, PITCH_OF_RADIUS, impacts
from .spec import Attributes
from .weather import WEATHER

CPU_PIXELS = 1 << 20
"""Pixels rendered at once on a CPU: larger temporaries come fresh from the system and cost more than the arithmetic."""


@dataclass(frozen=True, kw_only=True)
class WorldBatch:
    """Clips and what is true of them.

    frames: uint8 ``[B, F, H, W, 3]``. audio: float32 ``[B, S]`` in [-1, 1], 16 kHz. mask: float32 ``[B, F, H, W]``,
    the actor's coverage. centre: ``[B, F, 2]`` x, y in frame heights. radius: ``[B]``. angle: ``[B, F]`` radians.
    contacts: per clip the seconds of its audible impacts. attributes: what each shows.

    camera: ``[B, F, 3]``, offset x and y in frame heights and zoom; 0, 0, 1 where it is still. All centres are in the
    world; `camera.to_screen` says where they are seen. other_mask, other_centre, other_radius: of the second actor
    (its visible part), like those of the first; zero where there is none.
    """

    frames: Tensor
    audio: Tensor
    mask: Tensor
    centre: Tensor
    radius: Tensor
    angle: Tensor
    contacts: list[Tensor]
    attributes: list[Attributes]
    camera: Tensor
    other_mask: Tensor
    other_centre: Tensor
    other_radius: Tensor

    def split(self) -> list[WorldBatch]:
        """Return each clip as a batch of its own."""
        parts: dict[str, Sequence[Any]] = {}
        for field in fields(self):
            held = getattr(self, field.name)
            parts[field.name] = held.split(1) if isinstance(held, Tensor) else [[value] for value in held]
        return [WorldBatch(**dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)]


def render(
    attributes: Sequence[Attributes],
    seeds: Sequence[int],
    fmt: ClipFormat | None = None,
    device: torch.device | str = "cpu",
    *,
    starts: Sequence[float] = (),
) -> WorldBatch:
    """Render one clip per attributes and seed.

    Args:
        attributes: what each clip shows.
        seeds: one per clip; places, speeds and textures follow from it, on every device alike.
        fmt: size and length, the same for the whole batch.
        device: where to render.
        starts: seconds of the motion that have gone by at each clip's first frame; empty for none.

    Returns:
        WorldBatch on ``device``.
    """
    fmt = fmt or ClipFormat()
    pixels = fmt.width * fmt.height * fmt.frames
    chunk = max(1, CPU_PIXELS // pixels) if torch.device(device).type == "cpu" else len(seeds)
    begun = list(starts) or [0.0] * len(seeds)
    parts = [
        _render(list(attributes[i : i + chunk]), seeds[i : i + chunk], fmt, device, begun[i : i + chunk])
        for i in range(0, len(seeds), chunk)
    ]
    return parts[0] if len(parts) == 1 else join(parts)


def render_sound(
    attributes: Sequence[Attributes],
    seeds: Sequence[int],
    fmt: ClipFormat | None = None,
    device: torch.device | str = "cpu",
    *,
    starts: Sequence[float] = (),
) -> Tensor:
    """Render what is heard in the clips that `render` makes of the same arguments, without their picture.

    Returns:
        float32 ``[B, S]`` in [-1, 1], 16 kHz.
    """
    fmt, shown, begun = fmt or ClipFormat(), list(attributes), list(starts) or [0.0] * len(seeds)
    dice = Dice(seeds, device)
    body = bodies(shown, dice, fmt.width / fmt.height)
    path = move(shown, body, dice, _times(fmt, begun, device))
    return _sound(shown, body, dice, path, samples=fmt.samples, starts=begun)


def _times(fmt: ClipFormat, starts: Sequence[float], device: torch.device | str) -> Tensor:
    """Return the seconds of each clip's frames ``[B, F]``."""
    start_B1 = torch.tensor(starts, device=device)[:, None]
    return start_B1 + torch.arange(fmt.frames, device=device, dtype=torch.float32) / fmt.fps


def join(parts: Sequence[WorldBatch]) -> WorldBatch:
    """Return the clips of all parts as one batch."""
    return WorldBatch(
        frames=torch.cat([p.frames for p in parts]),
        audio=torch.cat([p.audio for p in parts]),
        mask=torch.cat([p.mask for p in parts]),
        centre=torch.cat([p.centre for p in parts]),
        radius=torch.cat([p.radius for p in parts]),
        angle=torch.cat([p.angle for p in parts]),
        contacts=[c for p in parts for c in p.contacts],
        attributes=[a for p in parts for a in p.attributes],
        camera=torch.cat([p.camera for p in parts]),
        other_mask=torch.cat([p.other_mask for p in parts]),
        other_centre=torch.cat([p.other_centre for p in parts]),
        other_radius=torch.cat([p.other_radius for p in parts]),
    )


def _render(
    shown: list[Attributes],
    seeds: Sequence[int],
    fmt: ClipFormat,
    device: torch.device | str,
    starts: Sequence[float],
) -> WorldBatch:
    dice = Dice(seeds, device)
    aspect = fmt.width / fmt.height
    body = bodies(shown, dice, aspect)
    time_BF = _times(fmt, starts, device)
    path = move(shown, body, dice, time_BF)
    x_BFN = path.x[..., None]
    if path.other is not None:
        pairs = torch.tensor([a.motion == "collide" for a in shown], device=device)[:, None]
        x_BFN = torch.stack([path.x, torch.where(pairs, path.other[..., 0], path.x)], -1)
    camera = camera_path([a.camera for a in shown], dice, x_BFN=x_BFN, radius_B=body.radius, time_BF=time_BF, fmt=fmt)
    painted = _paint(shown, body, dice, path=path, camera=camera, time_BF=time_BF, fmt=fmt)
    heard = path.contact_time - time_BF[:, :1]
    return WorldBatch(
        frames=(painted.picture * 255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2),
        audio=_sound(shown, body, dice, path, samples=fmt.samples, starts=starts),
        mask=painted.mask,
        centre=torch.stack([path.x, path.y], -1),
        radius=body.radius,
        angle=path.angle,
        contacts=[times[(times >= 0) & (times < fmt.seconds)] for times in heard],
        attributes=shown,
        camera=camera,
        other_mask=painted.other_mask,
        other_centre=path.other if path.other is not None else torch.zeros_like(camera[..., :2]),
        other_radius=painted.other_radius,
    )


def _sound(
    shown: list[Attributes], body: Body, dice: Dice, path: Path, *, samples: int, starts: Sequence[float]
) -> Tensor:
    """Return ``[B, S]``, cut from the sound of the whole motion: what was struck before a clip still rings in it."""
    device = dice.rolls.device
    first = [round(start * SAMPLE_RATE) for start in starts]
    length = samples + max(first)
    pitch = PITCH_OF_RADIUS / body.radius * torch.tensor([PITCH[a.object] for a in shown], device=device)
    audio = impacts(path.contact_time, path.contact_speed, pitch, [a.material for a in shown], length)
    under = ambience(shown, body, dice, length)
    whole = audio if under is None else (audio + under).clamp(-1.0, 1.0)
    return torch.stack([track[at : at + samples] for track, at in zip(whole, first, strict=True)])


class _Painted(NamedTuple):
    """picture: float ``[B, F, 3, H, W]`` in [0, 1]. The rest as in `WorldBatch`."""

    picture: Tensor
    mask: Tensor
    other_mask: Tensor
    other_radius: Tensor


def _paint(
    shown: list[Attributes], body: Body, dice: Dice, *, path: Path, camera: Tensor, time_BF: Tensor, fmt: ClipFormat
) -> _Painted:
    device = dice.rolls.device
    still = still_view(fmt, device)
    view = still if all(a.camera == "still" for a in shown) else view_through(camera, fmt)
    first = first_actor(shown, body, dice, path)
    picture = paint_place(shown, dice, still, view)
    other_mask = torch.zeros((), device=device).expand(len(shown), fmt.frames, fmt.height, fmt.width)
    other_radius = torch.zeros_like(body.radius)
    motions = dict(groups([a.motion for a in shown], device))
    if motions.keys() & {"swing", "collide"}:
        picture = picture.repeat(1, fmt.frames // picture.shape[1], 1, 1, 1)
    if (index := motions.get("swing")) is not None and path.pivot is not None:
        scenes = [shown[i].scene for i in index.tolist()]
        picture[index] = paint_string(picture[index], path.pivot[index], first.pick(index), scenes, view.pick(index))
    if (index := motions.get("collide")) is not None:
        second = second_actor(shown, body, dice, path, index)
        picture[index], covered = paint_actor(picture[index], second, view.pick(index))
        other_mask = torch.zeros(other_mask.shape, device=device)
        other_mask[index], other_radius[index] = covered, second.radius
    picture, mask = paint_actor(picture, first, view)
    for name, index in groups([a.weather for a in shown], device):
        if name in WEATHER:
            picture[index] = paint_weather(name, picture[index], dice.pick(index), time_BF[index], still)
    return _Painted(picture, mask, other_mask * (1 - mask) if "collide" in motions else other_mask, other_radius)


__all__ = ["RIM", "WorldBatch", "render", "render_sound"]
