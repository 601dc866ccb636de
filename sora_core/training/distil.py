"""Distil the guided transformer to a few steps without guidance: the quick model, a LoRA beside it.

A student step goes in one straight line where the guided teacher goes in several of second order: the deterministic
way of progressive distillation (Salimans and Ho 2202.00512), with guidance distilled in the same go (Meng et al.
2210.03142). The teacher runs once over a stretch that all numbers of steps share (a quarter of the schedule for 8 and
4 steps), which serves each of them: two steps of eight, one of four.

Stretches begin on real clips under noise, or where the student's own last step led, from noise to the end of a clip:
few steps err, and a student that never saw its own errors would add them up (the reason of Ross et al.'s DAgger,
1011.0686). There the second step of eight also begins at the student's own place, and is to lead to the teacher's end.
"""

# B clips

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..dit import DiT, Lora, compile_blocks
from ..errors import SoraError
from ..text import TextEncoder, Tokenizer
from ..types import AVLatent
from .buckets import Bucket, clip_shares
from .distil_config import DistilConfig
from .distil_measure import Yardstick
from .distil_scene import SceneDraw
from .distil_teacher import Scene, move, slope, teacher_path, velocity
from .ema import EMA
from .log import RunLog
from .optim import MuonAdamW, decay_schedule
from .pictures import LOG
from .state import load_state, read_progress, save_state

WAITING = 6
"""Batches that wait for their next stretch."""

ADAM_BETAS = (0.9, 0.99)


@dataclass
class Way:
    """A batch on its way from noise to clips. x: where it is; stretch ``[B]``: how many it has behind it.

    own: whether the student led it there.
    """

    scene: Scene
    x: AVLatent
    stretch: Tensor
    own: bool = False


class Distiller:
    """One run: teacher, student, their difference, and where it stands.

    Args:
        config: how to distil. folder: where state and log are written; a state found there is continued.
        text, dit: the trained models, on the pools' device. They stay as they are; the student is a copy of ``dit``.
        tokenizer: of the text encoder.
        buckets: formats with their training clips, and unseen ones; the first format is measured.
        shift, guidance, full_steps: of the sampler with the teacher; a shift of None follows the number of tokens.

    Raises:
        SoraError: the state in ``folder`` belongs to another model or other step counts.
    """

    def __init__(
        self,
        config: DistilConfig,
        folder: Path,
        *,
        text: TextEncoder,
        dit: DiT,
        tokenizer: Tokenizer,
        buckets: Sequence[Bucket],
        shift: float | None,
        guidance: float,
        full_steps: int,
    ) -> None:
        self.config, self.folder, self.buckets = config, folder, list(buckets)
        self.pools = [pool for bucket in buckets for pool in bucket.pools.values()]
        self.guidance = guidance
        self.device = self.pools[0].device
        self.teacher = dit.eval().requires_grad_(False)
        self.base = {name: parameter.detach().float() for name, parameter in dit.named_parameters()}
        self.student = copy.deepcopy(dit).float().train().requires_grad_(True)
        self.lora = Lora.for_model(dit, config.rank, config.steps, torch.Generator().manual_seed(config.seed))
        self.lora.to(self.device)
        self.optimizer = MuonAdamW(
            [{"params": list(self.lora.parameters()), "muon": False}],
            lr=config.lr,
            weight_decay=config.weight_decay,
            betas=ADAM_BETAS,
        )
        self.ema = EMA(self.lora, config.ema)
        self.yardstick = Yardstick(full_steps=full_steps, guidance=guidance)
        self.log = RunLog(folder / LOG)
        self.path = folder / "state.safetensors"
        self.waiting: deque[Way] = deque(maxlen=WAITING)
        self.step = self.clips = 0
        self.minutes = 0.0
        if self.path.exists():
            self._resume()
        self.generator = torch.Generator().manual_seed(config.seed + 7919 * self.step)
        self.scenes = SceneDraw(
            text.eval().requires_grad_(False),
            tokenizer,
            self.buckets,
            mix=config.mix,
            actor=config.actor,
            strike=config.strike,
            patch=dit.config.patch,
            shift=shift,
            layouts=config.layouts if config.compile else 0,
            generator=self.generator,
        )
        if config.compile:
            # each layout is compiled for the teacher's two passes and, with gradients, for the student's one
            for model in (self.teacher, self.student):
                compile_blocks(model, layouts=4 * self.scenes.plan.layouts + 8)

    @property
    def pool_shares(self) -> list[float]:
        """How much of the clips each of ``pools`` gets: as much as of the steps."""
        return list(clip_shares(self.buckets, self.scenes.plan).values())

    def run(self, progress: Callable[[float, str], None] | None = None) -> dict[str, float]:
        """Distil until the minutes are spent, save the state, and return the last measurement.

        Args:
            progress: called after each step with the share of the minutes spent and a few words.
        """
        config = self.config
        if config.threads:
            torch.set_num_threads(config.threads)
        validation = self.buckets[0].validation
        validation.refresh(max(0, config.measured - len(validation)))
        began, spent, first = time.monotonic(), self.minutes, self.clips
        measured = saved = began
        losses: dict[str, float] = {}
        since = 0
        try:
            while self.minutes < config.minutes:
                for name, value in self.train_step().items():
                    losses[name] = losses.get(name, 0.0) + value
                since += 1
                now = time.monotonic()
                self.minutes = spent + (now - began) / 60
                rate = (self.clips - first) / (now - began)
                if progress is not None:
                    words = f"loss {losses['loss'] / since:.3f}, {rate:.1f} clips/s"
                    progress(self.minutes / config.minutes, words)
                if now - measured > config.measure_every or self.minutes >= config.minutes:
                    means = {name: total / since for name, total in losses.items()}
                    place = {"step": self.step, "clips": self.clips, "minutes": round(self.minutes, 2)}
                    self.log.write(**place, clips_per_s=rate, **means, **self.measure())
                    losses, since = {}, 0
                    measured = time.monotonic()
                if now - saved > config.save_every:
                    self.save()
                    saved = time.monotonic()
        finally:
            # An interrupt loses nothing: the next run goes on from here.
            self.save()
        return self.measure()

    def train_step(self) -> dict[str, float]:
        """Let the teacher run one stretch of a batch, teach the student each of its steps, and take one step."""
        config = self.config
        self.optimizer.set_scale(decay_schedule(self.minutes, config.minutes, decay=config.decay))
        way = self._next_way()
        left = 1 - way.stretch / config.coarsest
        parts = config.finest // config.coarsest
        path = teacher_path(
            self.teacher,
            way.scene,
            way.x,
            left,
            length=1 / config.coarsest,
            parts=parts,
            inner=config.teacher_steps,
            guidance=self.guidance,
        )
        losses: dict[str, float] = {}
        ends: list[AVLatent] = []
        for steps in config.steps:
            taken = steps // config.coarsest
            self.lora.put_into(self.student, self.base, steps)
            x = way.x
            for place in range(taken):
                start = x if way.own else path[place * parts // taken]
                goal = path[(place + 1) * parts // taken]
                x, terms = self._learn(way.scene, start, goal, left - place / steps, 1 / steps)
                for name, value in terms.items():
                    losses[f"{name}_{steps}"] = losses.get(f"{name}_{steps}", 0.0) + value / taken
            ends.append(x)
            self.lora.pull_gradients(self.student, steps)
        norm = torch.nn.utils.clip_grad_norm_(self.lora.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update()
        self.step += 1
        self.clips += way.scene.size
        self._go_on(way, ends)
        return losses | {"loss": sum(losses[f"loss_{steps}"] for steps in config.steps) / len(config.steps)}

    def _learn(
        self, scene: Scene, x: AVLatent, goal: AVLatent, left: Tensor, length: float
    ) -> tuple[AVLatent, dict[str, float]]:
        """Add the gradient of one student step; return where it led, and the losses."""
        now, after = scene.levels(left), scene.levels((left - length).clamp(min=0))
        made = velocity(self.student, scene, x, now, 1.0)
        wanted = slope(x, goal, now, after)
        assert made.video is not None
        assert wanted.video is not None
        video = _weighted((made.video - wanted.video).square().mean(1), scene.weights[0])
        loss, terms = video, {"video": float(video.detach())}
        if made.audio is not None and wanted.audio is not None:
            audio = _weighted((made.audio - wanted.audio).square().mean((1, 3)), scene.weights[1])
            loss = loss + self.config.audio * audio
            terms["audio"] = float(audio.detach())
        loss.backward()
        end = move(x, AVLatent(*(None if half is None else half.detach() for half in made)), now, after)
        return end, terms | {"loss": float(loss.detach())}

    def _next_way(self) -> Way:
        """Return a batch that waits for its next stretch, or a new one somewhere on its way."""
        config, generator = self.config, self.generator
        if self.waiting and float(torch.rand((), generator=generator)) < config.own:
            return self.waiting.popleft()
        scene = self.scenes.draw()
        stretch = torch.randint(config.coarsest, (scene.size,), generator=generator).to(self.device)
        return Way(scene, scene.at(scene.noise(generator), 1 - stretch / config.coarsest), stretch)

    def _go_on(self, way: Way, ends: Sequence[AVLatent]) -> None:
        """Let each clip go on from where the student led it in one of its numbers of steps; begin ended ones anew."""
        scene, stretch = way.scene, way.stretch + 1
        chosen = torch.randint(len(ends), (scene.size,), generator=self.generator).to(self.device)
        again = stretch >= self.config.coarsest
        fresh = scene.at(scene.noise(self.generator), torch.ones_like(stretch, dtype=torch.float32))

        def choose(halves: Sequence[Tensor | None], begun: Tensor | None) -> Tensor | None:
            if begun is None:
                return None
            there = [half for half in halves if half is not None]
            rows = torch.arange(len(begun), device=begun.device)
            mask = again.reshape(-1, *[1] * (begun.ndim - 1))
            return torch.where(mask, begun, torch.stack(there)[chosen, rows])

        x = AVLatent(choose([end.video for end in ends], fresh.video), choose([end.audio for end in ends], fresh.audio))
        self.waiting.append(Way(scene, x, torch.where(again, 0, stretch), own=True))

    def measure(self) -> dict[str, float]:
        """Compare the averaged student, and the teacher in as few steps, with the teacher's full run; unseen clips."""
        first = self.buckets[0]
        scene = self.scenes.unseen(first, min(self.config.measured, len(first.validation)))
        with self.ema.swapped(), torch.compiler.set_stance("force_eager"):

            def student(steps: int) -> DiT:
                self.lora.put_into(self.student, self.base, steps)
                return self.student.eval()

            figures = self.yardstick.compare(self.teacher, student, scene, self.config.steps)
        self.student.train()
        return figures

    def save(self) -> None:
        """Write the state."""
        place = {"step": self.step, "clips": self.clips, "minutes": self.minutes}
        place |= {"next_seeds": [pool.next_seed for pool in self.pools]}
        sizes = {"dit": self.teacher.config.to_dict(), "rank": self.config.rank, "steps": list(self.config.steps)}
        save_state(
            self.path, self.lora, self.ema, self.optimizer, place | {"sizes": sizes, "stage": self.config.to_dict()}
        )

    def _resume(self) -> None:
        kept = read_progress(self.path)
        sizes = {"dit": self.teacher.config.to_dict(), "rank": self.config.rank, "steps": list(self.config.steps)}
        if kept["sizes"] != sizes:
            raise SoraError(f"{self.path} holds a quick model of other sizes, rank or steps; distil in an empty folder")
        load_state(self.path, self.lora, self.ema, self.optimizer)
        self.step, self.clips, self.minutes = kept["step"], kept["clips"], kept["minutes"]
        for pool, seed in zip(self.pools, kept["next_seeds"], strict=False):
            pool.next_seed = seed


def _weighted(error: Tensor, weight: Tensor) -> Tensor:
    return (error * weight).sum() / weight.sum().clamp(min=1.0)
