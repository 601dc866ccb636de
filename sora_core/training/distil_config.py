"""The quick model's training: its settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..config import Config
from ..errors import SoraError
from .tasks import TaskMix


@dataclass(frozen=True, kw_only=True)
class DistilConfig(Config):
    """How to distil.

    Args:
        minutes: wall time in all, over every resumption; the learning rate reaches zero there.
        steps: numbers of steps to learn, the default first; each divides the largest.
        rank: of the LoRA.
        batch: clips in a step of the first format; others have as many as make about as many tokens.
        teacher_steps: steps of the teacher (second order, with guidance) in the shortest step of the student.
        own: share of the training steps that start from where the student's own last step led, the others from real
            clips under noise.
        clips: encoded clips in the pools before the first step.
        lr: of AdamW before the schedule. weight_decay: of the two factors, decoupled.
        audio, actor, strike: weights of the loss, as in `flow.DiTStageConfig`.
        ema: decay of the averaged weights, which are the ones kept. decay: last share of the minutes, over which the
            learning rate falls. threads: CPU threads, 0 leaves them.
        compile: compile the blocks of both transformers. layouts: most packed layouts then, see `plan.plan_steps`.
        measured: unseen clips on which student and teacher are compared.
        measure_every, save_every: seconds between measurements and between saved states.
        mix: shares of the tasks; the noise levels in it are not used.

    Raises:
        SoraError: a number of steps that does not divide the largest.
    """

    minutes: float = 60.0
    steps: tuple[int, ...] = (8, 4)
    rank: int = 32
    batch: int = 12
    teacher_steps: int = 2
    own: float = 0.6
    clips: int = 2_048
    lr: float = 5e-4
    weight_decay: float = 0.0
    audio: float = 0.6
    actor: float = 2.0
    strike: float = 3.0
    ema: float = 0.99
    decay: float = 0.4
    threads: int = 0
    compile: bool = False
    layouts: int = 12
    measured: int = 16
    measure_every: float = 300.0
    save_every: float = 240.0
    seed: int = 0
    mix: TaskMix = field(default_factory=TaskMix)

    def __post_init__(self) -> None:
        """Refuse step counts that share no grid."""
        if not self.steps or min(self.steps) < 1 or any(max(self.steps) % steps for steps in self.steps):
            raise SoraError(f"steps {list(self.steps)} must each divide the largest, so that they share their levels")

    @property
    def finest(self) -> int:
        """The largest number of steps; its levels hold those of the others."""
        return max(self.steps)

    @property
    def coarsest(self) -> int:
        """The smallest number of steps: a stretch that the teacher runs at a time is one of them."""
        return min(self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)
