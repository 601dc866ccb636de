"""Train the transformer and the text encoder within a number of minutes, resumable at any time."""

# B clips, L text tokens

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..dit import DiT, compile_blocks
from ..errors import SoraError
from ..text import TextEncoder, Tokenizer
from ..world.spec import Attributes
from .buckets import Bucket, Renewal, clip_shares, plan_buckets
from .concepts import teach_words
from .ema import EMA
from .flow import DiTStageConfig, Generator, flow_loss
from .formats import size_of
from .log import RunLog
from .optim import MuonAdamW, decay_schedule, split_parameters
from .parallel import ALONE, Processes
from .state import load_state, read_progress, save_state
from .steps import Step, StepDraw
from .unseen import measure_unseen

__all__ = ["DiTStageConfig", "DiTTrainer"]

PLAIN = (
    "dit.text_in",
    "dit.video_in",
    "dit.audio_in",
    "dit.video_out",
    "dit.audio_out",
    "dit.modulation",
    "dit.final_table",
    "text.project",
    "concepts",
)
"""First and last layers and the modulation stay with AdamW, as Muon's authors advise."""

NAMING = ("medium", "dense")
TEACH_BATCH = 128
"""Lengths of captions that name everything, and how many the text encoder reads in a step of its own."""

SHOWN_EVERY = 1.0
"""Seconds between two looks at the loss: each waits for a GPU."""

MOST_MEASURED = 0.05
"""Share of the time that measuring may take: large clips on a CPU would otherwise be measured more than trained on."""

TERMS = ("loss", "video", "audio", "concepts")


class DiTTrainer:
    """One run: the models, their average, the optimizer and where it stands.

    Args:
        config: how to train. folder: where state and log are written; a state found there is continued.
        text, dit: new or loaded models, on the pools' device. tokenizer: of the text encoder.
        buckets: formats of the clips, the first one measured most.
        processes: that train together; the first one measures, logs and saves.

    ``pools`` holds every pool by its encoder's name, and ``render_shares`` what each gets of the rendering: as much as
    of the clips that are trained on.

    Raises:
        SoraError: the state in ``folder`` belongs to a model of other sizes.
    """

    def __init__(
        self,
        config: DiTStageConfig,
        folder: Path,
        *,
        text: TextEncoder,
        dit: DiT,
        tokenizer: Tokenizer,
        buckets: Sequence[Bucket],
        processes: Processes = ALONE,
    ) -> None:
        self.config, self.folder, self.processes = config, folder, processes
        self.tokenizer, self.buckets = tokenizer, list(buckets)
        self.pool, self.validation = self.buckets[0].pools["plain"], self.buckets[0].validation
        self.device = self.pool.device
        self.plan = plan_buckets(self.buckets, config.mix, config.layouts if config.compile else 0)
        used = {pool: share for pool, share in clip_shares(self.buckets, self.plan).items() if share > 0}
        self.pools = {pool.encoder.name: pool for pool in used}
        self.render_shares = list(used.values())
        self.models = Generator(text, dit)
        text.table_noise = config.table_noise
        self.optimizer = MuonAdamW(
            split_parameters(self.models, plain=PLAIN if config.muon else ("",)),
            lr=config.muon_lr,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.95),
        )
        for group in self.optimizer.param_groups:
            group["base_lr"] = config.muon_lr if group["muon"] else config.adam_lr
        self.ema = EMA(self.models, config.ema)
        self.log = RunLog(folder / "log.jsonl")
        self.step = self.clips = 0
        self.minutes = 0.0
        self.path = folder / "state.safetensors"
        if self.path.exists():
            self._resume()
        self.generator = torch.Generator().manual_seed(config.seed + 7919 * self.step)
        self.steps = StepDraw(
            self.buckets,
            self.plan,
            config.mix,
            tokenizer=tokenizer,
            tokens=text.config.max_tokens,
            generator=self.generator,
            processes=processes,
        )
        self.noise = torch.Generator(self.device)
        self._next: Step | None = None
        if config.compile:
            compile_blocks(dit, layouts=2 * self.plan.layouts + 8)

    def run(self, progress: Callable[[float, str], None] | None = None) -> dict[str, float]:
        """Train until the minutes are spent, save the state, and return the last measurement.

        Args:
            progress: called after each step with the share of the minutes spent and a few words.

        Returns:
            As `unseen.measure_unseen`; empty in all processes but the first.
        """
        config, processes = self.config, self.processes
        if config.threads:
            torch.set_num_threads(config.threads)
        renewal = Renewal(
            list(self.pools.values()),
            self.render_shares,
            processes=processes,
            beside=self.device.type == "cpu" and config.refresh > 0,
        )
        renewal.fill(config.start)
        self._fill_validation()
        began, spent, first = time.monotonic(), self.minutes, self.clips
        measured = saved = shown = began
        took = 0.0
        words = ""
        if self.step == 0 and config.words > 0 and processes.first:
            self._teach_words()
        processes.same_weights(self.models)
        tally = Tally()
        try:
            with renewal:
                while self.share < 1:
                    step, terms = self.train_step()
                    due = config.refresh * step.bucket.batch / self.buckets[0].batch
                    renewal.renew(due)
                    tally.add(size_of(step.bucket.fmt), terms)
                    now = time.monotonic()
                    self.minutes = processes.same_number(spent + (now - began) / 60)
                    rate = (self.clips - first) / (now - began)
                    if progress is not None:
                        if not words or now - shown > SHOWN_EVERY:
                            words, shown = f"loss {tally.loss():.3f}, {rate:.0f} clips/s", now
                        progress(self.share, words)
                    wait = max(config.measure_every, took * (1 / MOST_MEASURED - 1))
                    if processes.first and (now - measured > wait or self.share >= 1):
                        self.log.write(
                            step=self.step,
                            clips=self.clips,
                            minutes=round(self.minutes, 2),
                            clips_per_s=rate,
                            rendered=self.rendered,
                            **tally.means(),
                            **self.measure(),
                        )
                        tally = Tally()
                        measured = time.monotonic()
                        took = measured - now
                    if now - saved > config.save_every:
                        self.save()
                        saved = time.monotonic()
        finally:
            # An interrupt loses nothing: the next run goes on from here.
            self.save()
        return self.measure() if processes.first else {}

    @property
    def share(self) -> float:
        """Return how much of the run is behind it, in minutes or in clips."""
        config = self.config
        return self.clips / config.seen if config.seen else self.minutes / config.minutes

    @property
    def rendered(self) -> int:
        """Return how many clips were rendered, or read, in all."""
        return sum(pool.count for pool in self.pools.values())

    def train_step(self) -> tuple[Step, dict[str, Tensor]]:
        """Draw a step, learn from it, and return it with its loss (the mean over all processes, without gradient)."""
        self.models.train()
        step = self._next or self.steps.draw()
        terms = self.loss(step)
        terms["loss"].backward()
        # captions are told while a GPU computes
        self._next = self.steps.draw()
        self.update()
        self.step += 1
        self.clips += step.bucket.batch
        means = self.processes.mean(torch.stack([terms[name].detach() for name in TERMS]))
        return step, dict(zip(TERMS, means.unbind(), strict=True))

    def loss(self, step: Step) -> dict[str, Tensor]:
        """Return the loss of a step with its parts, see `flow.flow_loss`."""
        return flow_loss(
            self.models,
            step.batch,
            step.levels,
            step.told,
            fps=step.bucket.fmt.fps,
            references=step.references,
            silent=step.silent,
            generator=self.noise.manual_seed(step.noise),
            config=self.config,
            cues=step.cues,
            processes=self.processes,
        )

    def update(self) -> None:
        """Move the weights and their average by the gradients, which are then gone."""
        self.optimizer.set_scale(decay_schedule(self.share, 1.0, decay=self.config.decay))
        self.processes.average_gradients(self.models.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.models.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update()

    def save(self) -> None:
        """Write the state; only the first process does."""
        if not self.processes.first:
            return
        seeds = {name: pool.next_seed for name, pool in self.pools.items()}
        place = {"step": self.step, "clips": self.clips, "minutes": self.minutes, "next_seeds": seeds}
        sizes = {"dit": self.models.dit.config.to_dict(), "text": self.models.text.config.to_dict()}
        save_state(
            self.path, self.models, self.ema, self.optimizer, place | {"sizes": sizes, "stage": self.config.to_dict()}
        )

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Return the averaged model's loss on unseen clips at fixed noise, see `unseen.measure_unseen`."""
        # Another batch size would be compiled anew, for a few calls.
        with self.ema.swapped(), torch.compiler.set_stance("force_eager"):
            return measure_unseen(self.models, self.buckets, self.steps, self.config)

    def _fill_validation(self) -> None:
        if not self.processes.first:
            return
        for bucket in self.buckets:
            bucket.validation.refresh(bucket.validation.capacity - len(bucket.validation))

    def _resume(self) -> None:
        kept = read_progress(self.path)
        if kept["sizes"]["dit"] != self.models.dit.config.to_dict():
            raise SoraError(
                f"{self.path} holds a model of other sizes; train in an empty folder or use the same preset"
            )
        load_state(self.path, self.models, self.ema, self.optimizer)
        self.step, self.clips, self.minutes = kept["step"], kept["clips"], kept["minutes"]
        seeds = kept.get("next_seeds") or {"plain": kept["next_seed"]}
        for name, pool in self.pools.items():
            # states from before several formats name the kind alone
            of_kind = seeds.get(pool.encoder.kind) if pool in self.buckets[0].pools.values() else None
            pool.next_seed = seeds.get(name) or of_kind or pool.next_seed

    def _teach_words(self) -> None:
        generator = torch.Generator().manual_seed(self.config.seed)
        shares = torch.tensor([bucket.share for bucket in self.buckets])

        def draw() -> tuple[Tensor, Tensor, list[Attributes]]:
            at = int(torch.multinomial(shares, 1, generator=generator))
            shown = self.buckets[at].pools["plain"].shown(TEACH_BATCH, generator)
            lengths = [NAMING[i] for i in torch.randint(2, (len(shown),), generator=generator).tolist()]
            seeds = torch.randint(1 << 31, (len(shown),), generator=generator).tolist()
            told = self.steps.tell(shown, lengths, seeds)
            return told.ids, told.mask, shown

        seconds = min(self.config.words, 3.0 * self.config.minutes)
        loss = teach_words(
            self.models.text,
            self.models.concepts,
            draw,
            seconds=seconds,
            heads_alone=self.config.knows_words,
        )
        self.log.write(event="words taught", seconds=round(seconds, 1), concepts=loss)


class Tally:
    """Losses of steps, added up where they were computed, so that no step waits for a GPU."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps: dict[str, int] = {}

    def add(self, size: str, terms: dict[str, Tensor]) -> None:
        """Count a step of a format; ``terms`` are of `TERMS`."""
        named = terms | {f"loss_{size}": terms["loss"]}
        for name, value in named.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._steps[name] = self._steps.get(name, 0) + 1

    def loss(self) -> float:
        """Return the mean loss of all steps so far."""
        return float(self._sums["loss"]) / self._steps["loss"]

    def means(self) -> dict[str, float]:
        """Return the mean of each term, and the loss of each format where there are several."""
        several = sum(name.startswith("loss_") for name in self._sums) > 1
        return {
            name: float(total) / self._steps[name]
            for name, total in self._sums.items()
            if several or not name.startswith("loss_")
        }
