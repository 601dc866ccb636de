"""Render a batch of clips with their ground truth, on a CPU or a GPU, the same by seed."""

# B clips, F frames, H W pixels, S samples, K contacts

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..types import ClipFormat
from .dice import Dice
from .physics import MOTION, Body, Path
from .scenery import SCENERY
from .shapes import SHAPES
from .sound import PITCH, PITCH_OF_RADIUS, impacts
from .spec import COLOURS, DIRECTIONS, FLOOR, RESTITUTION, SIZES, Attributes

RIM = 0.016
"""Width of the dark rim in frame heights."""

CPU_PIXELS = 1 << 20
"""Pixels rendered at once on a CPU: larger temporaries come fresh from the system and cost more than the arithmetic."""


@dataclass(frozen=True, kw_only=True)
class WorldBatch:
    """Clips and what is true of them.

    frames: uint8 ``[B, F, H, W, 3]``. audio: float32 ``[B, S]`` in [-1, 1], 16 kHz. mask: float32 ``[B, F, H, W]``,
    the actor's coverage. centre: ``[B, F, 2]`` x, y in frame heights. radius: ``[B]``. angle: ``[B, F]`` radians.
    contacts: per clip the seconds of its audible impacts. attributes: what each shows.
    """

    frames: Tensor
    audio: Tensor
    mask: Tensor
    centre: Tensor
    radius: Tensor
    angle: Tensor
    contacts: list[Tensor]
    attributes: list[Attributes]


def render(
    attributes: Sequence[Attributes],
    seeds: Sequence[int],
    fmt: ClipFormat | None = None,
    device: torch.device | str = "cpu",
) -> WorldBatch:
    """Render one clip per attributes and seed.

    Args:
        attributes: what each clip shows.
        seeds: one per clip; places, speeds and textures follow from it, on every device alike.
        fmt: size and length, the same for the whole batch.
        device: where to render.

    Returns:
        WorldBatch on ``device``.
    """
    fmt = fmt or ClipFormat()
    pixels = fmt.width * fmt.height * fmt.frames
    chunk = max(1, CPU_PIXELS // pixels) if torch.device(device).type == "cpu" else len(seeds)
    parts = [
        _render(list(attributes[i : i + chunk]), seeds[i : i + chunk], fmt, device) for i in range(0, len(seeds), chunk)
    ]
    return parts[0] if len(parts) == 1 else _join(parts)


def _join(parts: list[WorldBatch]) -> WorldBatch:
    return WorldBatch(
        frames=torch.cat([p.frames for p in parts]),
        audio=torch.cat([p.audio for p in parts]),
        mask=torch.cat([p.mask for p in parts]),
        centre=torch.cat([p.centre for p in parts]),
        radius=torch.cat([p.radius for p in parts]),
        angle=torch.cat([p.angle for p in parts]),
        contacts=[c for p in parts for c in p.contacts],
        attributes=[a for p in parts for a in p.attributes],
    )


def _render(shown: list[Attributes], seeds: Sequence[int], fmt: ClipFormat, device: torch.device | str) -> WorldBatch:
    dice = Dice(seeds, device)
    body = _body(shown, dice, fmt)
    time_F = torch.arange(fmt.frames, device=device, dtype=torch.float32) / fmt.fps
    path = _move(shown, body, dice, time_F)
    picture, mask = _paint(shown, body, dice, path, fmt)
    pitch = PITCH_OF_RADIUS / body.radius * torch.tensor([PITCH[a.object] for a in shown], device=device)
    audio = impacts(path.contact_time, path.contact_speed, pitch, [a.material for a in shown], fmt.samples)
    return WorldBatch(
        frames=(picture * 255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2),
        audio=audio,
        mask=mask,
        centre=torch.stack([path.x, path.y], -1),
        radius=body.radius,
        angle=path.angle,
        contacts=[times[times < fmt.seconds] for times in path.contact_time],
        attributes=shown,
    )


def _body(shown: list[Attributes], dice: Dice, fmt: ClipFormat) -> Body:
    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, device=dice.rolls.device)

    radius = column([SIZES[a.size] for a in shown]) * dice.between("radius", 0.94, 1.06)
    return Body(
        radius=radius,
        extent=radius * column([SHAPES[a.object].extent for a in shown]),
        direction=column([{"": 0.0, DIRECTIONS[0]: -1.0, DIRECTIONS[1]: 1.0}[a.direction] for a in shown]),
        restitution=column([RESTITUTION[a.material] for a in shown]),
        aspect=fmt.width / fmt.height,
    )


def _groups(names: list[str], device: torch.device) -> list[tuple[str, Tensor]]:
    """Return each name with the clips that have it, so that one call serves them all."""
    return [
        (name, torch.tensor([i for i, n in enumerate(names) if n == name], device=device))
        for name in sorted(set(names))
    ]


def _move(shown: list[Attributes], body: Body, dice: Dice, time_F: Tensor) -> Path:
    device = time_F.device
    batch, frames = len(shown), len(time_F)
    x, y, angle = (torch.zeros(batch, frames, device=device) for _ in range(3))
    contact_time = torch.full((batch, 16), torch.inf, device=device)
    contact_speed = torch.zeros(batch, 16, device=device)
    for name, index in _groups([a.motion for a in shown], device):
        part = Body(
            radius=body.radius[index],
            extent=body.extent[index],
            direction=body.direction[index],
            restitution=body.restitution[index],
            aspect=body.aspect,
        )
        path = MOTION[name](part, dice.pick(index), time_F)
        x[index], y[index], angle[index] = path.x, path.y, path.angle
        count = path.contact_time.shape[1]
        contact_time[index, :count] = path.contact_time
        contact_speed[index, :count] = path.contact_speed
    return Path(x=x, y=y, angle=angle, contact_time=contact_time, contact_speed=contact_speed)


def _paint(shown: list[Attributes], body: Body, dice: Dice, path: Path, fmt: ClipFormat) -> tuple[Tensor, Tensor]:
    """Return the picture float ``[B, F, 3, H, W]`` in [0, 1] and the actor's coverage ``[B, F, H, W]``."""
    device = dice.rolls.device
    pixel = 1.0 / fmt.height
    grid_y = (torch.arange(fmt.height, device=device, dtype=torch.float32)[:, None] + 0.5) * pixel
    grid_x = (torch.arange(fmt.width, device=device, dtype=torch.float32)[None] + 0.5) * pixel
    grid_y, grid_x = (g.expand(fmt.height, fmt.width)[None] for g in (grid_y, grid_x))

    place = torch.empty(len(shown), 3, fmt.height, fmt.width, device=device)
    for name, index in _groups([a.scene for a in shown], device):
        place[index] = SCENERY[name](grid_x, grid_y, dice.pick(index), pixel)
    place = place * dice.between("light", 0.96, 1.04)[:, None, None, None]

    dx = grid_x[:, None] - path.x[:, :, None, None]
    dy = grid_y[:, None] - path.y[:, :, None, None]
    cos, sin = path.angle.cos()[:, :, None, None], path.angle.sin()[:, :, None, None]
    radius = body.radius[:, None, None, None]
    local_x, local_y = (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius
    outline, mark = torch.empty_like(local_x), torch.empty_like(local_x)
    for name, index in _groups([a.object for a in shown], device):
        shape = SHAPES[name]
        outline[index] = shape.distance(local_x[index], local_y[index])
        mark[index] = shape.mark(local_x[index], local_y[index])
    outline, mark = outline * radius / pixel, mark * radius / pixel
    mask = (0.5 - outline).clamp(0.0, 1.0)
    core = (0.5 - outline - RIM / pixel).clamp(0.0, 1.0)
    dark = 1 - 0.45 * (1 - core)
    dark = dark * (1 - 0.35 * core * (0.5 - mark).clamp(0.0, 1.0))
    # Light comes from the upper left of the frame, whichever way the actor is turned.
    light = (1.0 - 0.13 * (dx + dy) / radius).clamp(0.7, 1.15) * dark
    tint = torch.tensor([COLOURS[a.colour] for a in shown], device=device)[:, None, :, None, None]
    actor = (tint * light[:, :, None]).clamp(max=1.0)
    return torch.lerp(place[:, None].expand_as(actor), actor, mask[:, :, None]), mask


__all__ = ["FLOOR", "WorldBatch", "render"]
