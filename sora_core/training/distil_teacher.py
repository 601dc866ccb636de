"""Where a guided teacher goes: velocities of a scene, and the teacher's way along a stretch of the schedule."""

# B clips, C channels, T latent frames, H W latent cells, A audio latents, L text tokens

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..dit import Cue, DiT
from ..processor import low_precision
from ..sampling.guidance import guide
from ..types import AVLatent
from .tasks import shift_level


class Words(NamedTuple):
    """What a pass of the model is told. states ``[B, L, D]``, mask ``[B, L]``, and the cues."""

    states: Tensor
    mask: Tensor
    cues: Sequence[Cue] = ()


class ClipLevels(NamedTuple):
    """Noise levels of a batch in the middle of its ways, ``[B]`` for each half."""

    video: Tensor
    audio: Tensor


@dataclass
class Scene:
    """Clips that are made, but for how far they have come.

    Args:
        clean: the given latents ``[B, 16, T, H, W]`` and ``[B, 32, A, 1]``, the latter None for clips without sound.
        generated: float ``[B, T]`` and ``[B, A]``, 1 where a token is made and 0 where it is given.
        told, untold: with the prompts, and with the empty prompt in place of each.
        references: pictures ``[B, 16, 1, h, w]``. fps: pixel frames per second.
        shift: of the picture's noise levels, as the sampler has it for clips of this size.
        weights: how much each token counts, ``[B, T, H, W]`` and ``[B, A]``; 0 for given ones.
    """

    clean: AVLatent
    generated: tuple[Tensor, Tensor]
    told: Words
    untold: Words
    references: Sequence[Tensor]
    fps: float
    shift: float
    weights: tuple[Tensor, Tensor]

    @property
    def size(self) -> int:
        """Number of clips."""
        return len(self.generated[0])

    def levels(self, left: Tensor) -> ClipLevels:
        """Return the noise levels where a share ``left``, ``[B]`` in [0, 1], of the schedule is still to come.

        The sound's shift is the square root of the picture's (see `sampling.flow_schedule`).
        """
        return ClipLevels(shift_level(left, self.shift), shift_level(left, math.sqrt(self.shift)))

    def at(self, noise: AVLatent, left: Tensor) -> AVLatent:
        """Return the clips under noise where ``left`` of the schedule is to come: given tokens stay as they are."""
        masks, level = self.masks, self.levels(left)
        return AVLatent(
            *(
                None if clean is None or drawn is None else clean + _over(one, clean) * mask * (drawn - clean)
                for clean, drawn, mask, one in zip(self.clean, noise, masks, level, strict=True)
            )
        )

    def noise(self, generator: torch.Generator) -> AVLatent:
        """Return new noise for all clips."""
        return AVLatent(
            *(
                None if half is None else torch.randn(half.shape, generator=generator).to(half.device)
                for half in self.clean
            )
        )

    @property
    def masks(self) -> tuple[Tensor, Tensor]:
        """``generated`` over each half: ``[B, 1, T, 1, 1]`` and ``[B, 1, A, 1]``."""
        return self.generated[0][:, None, :, None, None], self.generated[1][:, None, :, None]


def velocity(dit: DiT, scene: Scene, x: AVLatent, level: ClipLevels, guidance: float) -> AVLatent:
    """Return the velocity ``noise - clip`` of every token, 0 where it is given; float32.

    Args:
        dit: the model, in bfloat16 where that is quicker. x: the clips. level: their noise levels.
        guidance: scale; 1 leaves the pass without the prompts out.
    """
    passes = [scene.told] if guidance == 1 else [scene.told, scene.untold]
    count = len(passes)

    def repeated(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.repeat(count, *[1] * (tensor.ndim - 1))

    sigma_video = level.video[:, None] * scene.generated[0]
    sigma_audio = None if x.audio is None else level.audio[:, None] * scene.generated[1]
    cues = [
        Cue(
            cue.start_s,
            torch.cat([words.cues[i].text for words in passes]),
            torch.cat([w.cues[i].mask for w in passes]),
        )
        for i, cue in enumerate(scene.told.cues)
    ]
    assert x.video is not None
    with low_precision(x.video.device):
        made = dit(
            repeated(x.video),
            repeated(x.audio),
            torch.cat([words.states for words in passes]),
            torch.cat([words.mask for words in passes]),
            sigma_video=repeated(sigma_video),
            sigma_audio=repeated(sigma_audio),
            fps=scene.fps,
            references=[picture.repeat(count, 1, 1, 1, 1) for picture in scene.references],
            cues=cues,
        )
    batch = len(x.video)
    return AVLatent(
        *(
            None if half is None else mask * guide(half[:batch].float(), half[-batch:].float(), guidance)
            for half, mask in zip(made, scene.masks, strict=True)
        )
    )


def move(x: AVLatent, along: AVLatent, start: ClipLevels, end: ClipLevels) -> AVLatent:
    """Return ``x + (end - start) along``."""
    return AVLatent(
        *(
            None if half is None or step is None else half + _over(b - a, half) * step
            for half, step, a, b in zip(x, along, start, end, strict=True)
        )
    )


def slope(x: AVLatent, reached: AVLatent, start: ClipLevels, end: ClipLevels) -> AVLatent:
    """Return the velocity that leads from ``x`` to ``reached`` in one straight step."""
    return AVLatent(
        *(
            None if half is None or goal is None else (goal - half) / _over(b - a, half)
            for half, goal, a, b in zip(x, reached, start, end, strict=True)
        )
    )


@torch.no_grad()
def teacher_path(
    dit: DiT,
    scene: Scene,
    x: AVLatent,
    left: Tensor,
    *,
    length: float,
    parts: int,
    inner: int,
    guidance: float,
) -> list[AVLatent]:
    """Run the guided teacher along a stretch of the schedule.

    Second order throughout: Adams and Bashforth's two-step rule over uneven noise levels, begun with one of Heun's
    steps (as algorithm 1 of Karras et al. 2206.00364), so that it takes ``parts inner + 1`` guided calls.

    Args:
        dit, scene, x: the teacher, the clips, and where they are.
        left: ``[B]``, share of the schedule that is still to come at ``x``.
        length: share of the schedule that is run. parts: places to return, evenly spaced. inner: steps to each.
        guidance: scale.

    Returns:
        ``parts + 1`` states: ``x``, and the clips at each place.
    """
    path = [x]
    before: AVLatent | None = None
    last: ClipLevels | None = None
    for step in range(parts * inner):
        now = scene.levels(left - length * step / (parts * inner))
        # rounding must not lead below a clean clip
        after = scene.levels((left - length * (step + 1) / (parts * inner)).clamp(min=0))
        here = velocity(dit, scene, x, now, guidance)
        if before is None or last is None:
            along = here
            if inner * parts > 1:
                ahead = velocity(dit, scene, move(x, here, now, after), after, guidance)
                along = AVLatent(
                    *(None if a is None or b is None else (a + b) / 2 for a, b in zip(here, ahead, strict=True))
                )
        else:
            along = AVLatent(
                *(
                    None if a is None or b is None else a + _over((e - n) / (n - p) / 2, a) * (a - b)
                    for a, b, p, n, e in zip(here, before, last, now, after, strict=True)
                )
            )
        x = move(x, along, now, after)
        before, last = here, now
        if (step + 1) % inner == 0:
            path.append(x)
    return path


@torch.no_grad()
def straight_run(dit: DiT, scene: Scene, noise: AVLatent, *, steps: int, guidance: float) -> AVLatent:
    """Return the finished clips of a run of Euler's steps from noise, as the sampler makes them."""
    whole = torch.ones_like(scene.generated[0][:, 0])
    x = scene.at(noise, whole)
    for step in range(steps):
        now, after = (scene.levels(whole * (1 - place / steps)) for place in (step, step + 1))
        x = move(x, velocity(dit, scene, x, now, guidance), now, after)
    return x


def _over(values_B: Tensor, half: Tensor) -> Tensor:
    """Return one value for each clip, to be spread over a half."""
    return values_B.reshape(-1, *[1] * (half.ndim - 1))
