"""How near a few steps come to many: ends of runs from the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..dit import DiT
from ..types import AVLatent
from .distil_teacher import Scene, straight_run

NOISE_SEED = 2


@dataclass
class Yardstick:
    """Distances from the teacher's full run.

    Args:
        full_steps, guidance: of the sampler with the teacher.
    """

    full_steps: int
    guidance: float
    _full: AVLatent | None = field(init=False, default=None)
    _teacher: dict[str, float] = field(init=False, default_factory=dict)

    def compare(
        self, teacher: DiT, student: Callable[[int], DiT], scene: Scene, steps: Sequence[int]
    ) -> dict[str, float]:
        """Return how far runs of ``steps`` end from the teacher's full run of the same noise.

        The teacher's own runs are made once and kept: ask for one scene only.

        Args:
            teacher: with guidance. student: gives the model for a number of steps, without. scene: the clips.

        Returns:
            For each number of steps N ``unseen_video_N`` and ``unseen_audio_N`` of the student, ``teacher_video_N`` and
            ``teacher_audio_N`` of the guided teacher in as few: root mean square over what is generated, in latents,
            whose own spread is about 1.
        """
        noise = scene.noise(torch.Generator().manual_seed(NOISE_SEED))
        if self._full is None:
            self._full = self._run(teacher, scene, noise, self.full_steps)
            for count in steps:
                self._teacher |= self._apart("teacher_", self._run(teacher, scene, noise, count), scene, count)
        figures: dict[str, float] = {}
        for count in steps:
            end = straight_run(student(count), scene, noise, steps=count, guidance=1.0)
            figures |= self._apart("unseen_", end, scene, count)
        return figures | self._teacher

    def _run(self, teacher: DiT, scene: Scene, noise: AVLatent, steps: int) -> AVLatent:
        return straight_run(teacher, scene, noise, steps=steps, guidance=self.guidance)

    def _apart(self, start: str, end: AVLatent, scene: Scene, steps: int) -> dict[str, float]:
        assert self._full is not None
        figures: dict[str, float] = {}
        for name, one, other, mask in zip(("video", "audio"), end, self._full, scene.masks, strict=True):
            if one is not None and other is not None:
                figures[f"{start}{name}_{steps}"] = _distance(one, other, mask)
        return figures


def _distance(one: Tensor, other: Tensor, mask: Tensor) -> float:
    weight = mask.expand_as(one)
    return float(((one - other).square() * weight).sum().div(weight.sum().clamp(min=1)).sqrt())
