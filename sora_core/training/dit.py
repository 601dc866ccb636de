"""Train the transformer and the text encoder within a number of minutes, resumable at any time."""

# B clips, T latent frames, A audio latents, L text tokens

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..dit import DiT
from ..errors import SoraError
from ..text import TextEncoder, Tokenizer
from ..world.captions import caption
from ..world.spec import Attributes
from .concepts import teach_words
from .ema import EMA
from .encoded import ENCODE_BATCH, KINDS, RenderBeside, Work, first_pixel_frame
from .flow import DiTStageConfig, Generator, Told, ToldCue, encode_padded, flow_loss
from .latents import LatentBatch, LatentPool
from .log import RunLog
from .optim import MuonAdamW, decay_schedule, split_parameters
from .state import load_state, read_progress, save_state
from .tasks import Levels, draw_levels, shift_level

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

LAYOUTS = ("image", "silent", "references", "cut", "later")
"""Tasks of a whole step, each with its share in `TaskMix`."""

LENGTHS = ("short", "medium", "medium", "dense")
NAMING = ("medium", "dense")
TEACH_BATCH = 128
"""Lengths of captions that name everything, and how many the text encoder reads in a step of its own."""

VALIDATION_CLIPS = 64
VALIDATION_SEED = 16384
VALIDATION_LEVELS = (0.15, 0.4, 0.65, 0.9)


class DiTTrainer:
    """One run: the models, their average, the optimizer and where it stands.

    Args:
        config: how to train. folder: where state and log are written; a state found there is continued.
        text, dit: new or loaded models, on the pool's device. tokenizer: of the text encoder.
        pool: training clips. validation: unseen clips.
        later, cut: pools of those kinds (see `encoded.KINDS`), or None to leave their steps out.

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
        pool: LatentPool,
        validation: LatentPool,
        later: LatentPool | None = None,
        cut: LatentPool | None = None,
    ) -> None:
        self.config, self.folder = config, folder
        self.tokenizer, self.pool, self.validation = tokenizer, pool, validation
        self.pools = {pool.encoder.kind: pool for pool in (pool, later, cut) if pool is not None}
        self.device = pool.device
        self.models = Generator(text, dit)
        text.table_noise = config.table_noise
        self.optimizer = MuonAdamW(
            split_parameters(self.models, plain=PLAIN),
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
        if config.compile:
            for block in dit.blocks:
                block.compile(dynamic=False)

    def run(self, progress: Callable[[float, str], None] | None = None) -> dict[str, float]:
        """Train until the minutes are spent, save the state, and return the last measurement.

        Args:
            progress: called after each step with the share of the minutes spent and a few words.
        """
        config = self.config
        if config.threads:
            torch.set_num_threads(config.threads)
        shares = self._render_shares()
        for kind, pool in self.pools.items():
            pool.refresh(max(ENCODE_BATCH, int(config.start * shares[kind])) - len(pool))
        self.validation.refresh(max(0, VALIDATION_CLIPS - len(self.validation)))
        beside = None
        if self.device.type == "cpu":
            works = [Work(pool.encoder, pool.next_seed, shares[kind]) for kind, pool in self.pools.items()]
            beside = RenderBeside(works)
        owed = dict.fromkeys(self.pools, 0.0)
        began, spent, first = time.monotonic(), self.minutes, self.clips
        measured = saved = began
        if self.step == 0 and config.words > 0:
            self._teach_words()
        totals = {"loss": 0.0, "video": 0.0, "audio": 0.0, "concepts": 0.0}
        since = 0
        try:
            while self.minutes < config.minutes:
                self._renew(owed, beside)
                terms = self._train_step()
                for name in totals:
                    totals[name] += float(terms[name])
                since += 1
                now = time.monotonic()
                self.minutes = spent + (now - began) / 60
                rate = (self.clips - first) / (now - began)
                if progress is not None:
                    progress(self.minutes / config.minutes, f"loss {totals['loss'] / since:.3f}, {rate:.0f} clips/s")
                if now - measured > config.measure_every or self.minutes >= config.minutes:
                    means = {name: total / since for name, total in totals.items()}
                    self.log.write(
                        step=self.step,
                        clips=self.clips,
                        minutes=round(self.minutes, 2),
                        clips_per_s=rate,
                        rendered=self.pool.count,
                        **means,
                        **self.measure(),
                    )
                    totals, since = dict.fromkeys(totals, 0.0), 0
                    measured = time.monotonic()
                if now - saved > config.save_every:
                    self.save()
                    saved = time.monotonic()
        finally:
            if beside is not None:
                beside.close()
            # An interrupt loses nothing: the next run goes on from here.
            self.save()
        return self.measure()

    def _render_shares(self) -> dict[str, float]:
        """Return how much of the rendering each kind of clip gets: as much as of the steps."""
        mix = self.config.mix
        others: dict[str, float] = {kind: getattr(mix, kind) for kind in self.pools if kind != "plain"}
        return {"plain": 1 - sum(others.values())} | others

    def _renew(self, owed: dict[str, float], beside: RenderBeside | None) -> None:
        """Put a step's worth of new clips into the pools; ``owed`` counts those of each kind that are due."""
        refresh, shares = self.config.refresh, self._render_shares()
        for kind in owed:
            owed[kind] += refresh * shares[kind]
        if beside is None:
            for kind, pool in self.pools.items():
                # A few clips at a time would keep a GPU waiting.
                if owed[kind] >= refresh:
                    pool.refresh(refresh)
                    owed[kind] -= refresh
            return
        while sum(owed.values()) > 0 and (made := beside.ready()) is not None:
            self.pools[made.kind].keep(made)
            owed[made.kind] -= len(made.attributes)

    def save(self) -> None:
        """Write the state."""
        seeds = {kind: pool.next_seed for kind, pool in self.pools.items()}
        place = {"step": self.step, "clips": self.clips, "minutes": self.minutes, "next_seeds": seeds}
        sizes = {"dit": self.models.dit.config.to_dict(), "text": self.models.text.config.to_dict()}
        save_state(
            self.path, self.models, self.ema, self.optimizer, place | {"sizes": sizes, "stage": self.config.to_dict()}
        )

    def _resume(self) -> None:
        kept = read_progress(self.path)
        if kept["sizes"]["dit"] != self.models.dit.config.to_dict():
            raise SoraError(
                f"{self.path} holds a model of other sizes; train in an empty folder or use the same preset"
            )
        load_state(self.path, self.models, self.ema, self.optimizer)
        self.step, self.clips, self.minutes = kept["step"], kept["clips"], kept["minutes"]
        seeds = kept.get("next_seeds") or {"plain": kept["next_seed"]}
        for kind, seed in seeds.items():
            if kind in self.pools:
                self.pools[kind].next_seed = seed

    def _teach_words(self) -> None:
        def draw() -> tuple[Tensor, Tensor, list[Attributes]]:
            shown = self.pool.draw(TEACH_BATCH, self.generator).attributes
            lengths = torch.randint(2, (len(shown),), generator=self.generator).tolist()
            prompts = [caption(a, NAMING[i], self.generator) for a, i in zip(shown, lengths, strict=True)]
            return *self._encoded(prompts), shown

        seconds = min(self.config.words, 3.0 * self.config.minutes)
        loss = teach_words(self.models.text, self.models.concepts, draw, seconds=seconds)
        self.log.write(event="words taught", seconds=round(seconds, 1), concepts=loss)

    def _train_step(self) -> dict[str, Tensor]:
        config = self.config
        self.models.train()
        self.optimizer.set_scale(decay_schedule(self.minutes, config.minutes, decay=config.decay))
        layout = self._layout()
        batch = self.pools.get(layout, self.pool).draw(config.batch, self.generator)
        terms = self._loss(batch, layout)
        terms["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(self.models.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update()
        self.step += 1
        self.clips += config.batch
        return {name: value.detach() for name, value in terms.items()}

    def _layout(self) -> str:
        """Draw what the step's clips have in common: a task of `LAYOUTS`, or joint."""
        roll = float(torch.rand((), generator=self.generator))
        for name in LAYOUTS:
            roll -= getattr(self.config.mix, name)
            if roll < 0:
                return "joint" if name in KINDS and name not in self.pools else name
        return "joint"

    def _loss(self, batch: LatentBatch, layout: str) -> dict[str, Tensor]:
        """Draw the tasks and noise of a step, and return the loss with its parts."""
        mix, generator = self.config.mix, self.generator
        if layout == "later":
            mix = mix.of_later
        image, with_reference = layout == "image", layout == "references"
        if image:
            batch.video, batch.actor = batch.video[:, :, :1], batch.actor[:, :1]
        size, frames, sound = batch.video.shape[0], batch.video.shape[2], batch.audio.shape[2]
        levels = draw_levels(size, frames=frames, audio=sound, fps=self.pool.fmt.fps, mix=mix, generator=generator)
        if image or with_reference:
            # One frame alone, or a whole clip from a reference: nothing but the noise level is drawn.
            level = shift_level(torch.sigmoid(torch.randn(size, 1, generator=generator)), mix.shift)
            levels.video = level.expand(-1, frames)
            levels.audio = shift_level(level, mix.shift**-0.5).expand(-1, sound)
            levels.tail = torch.zeros(size, dtype=torch.bool)
        references = self._references(batch, generator) if with_reference else ()
        told, cues = self._text(batch, reference=with_reference)
        return flow_loss(
            self.models,
            batch,
            levels.to(self.device),
            told,
            fps=self.pool.fmt.fps,
            references=references,
            silent=layout in ("image", "silent"),
            generator=generator,
            config=self.config,
            cues=cues,
        )

    def _references(self, batch: LatentBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        first = self.pool.first_frames(batch.reference)
        if float(torch.rand((), generator=generator)) < 0.7:
            return (first,)
        return (first, self.pool.first_frames(batch.second_reference))

    def _text(self, batch: LatentBatch, *, reference: bool) -> tuple[Told, tuple[ToldCue, ...]]:
        """Return the captions, and those of what follows a cut; a clip told nothing is told nothing of either."""
        generator, mix = self.generator, self.config.mix
        prompts: list[str] = []
        named: list[bool] = []
        for attributes in batch.attributes:
            dropped, which, unnamed = torch.rand(3, generator=generator).tolist()
            length = LENGTHS[int(which * len(LENGTHS))]
            pointing = reference and unnamed < 0.6
            told = caption(attributes, length, generator, reference=pointing)
            prompts.append("" if dropped < mix.drop_text else told)
            named.append(dropped >= mix.drop_text and length != "short" and not pointing)
        told = Told(*self._encoded(prompts), named)
        if not batch.second:
            return told, ()
        lengths = torch.randint(len(LENGTHS), (len(prompts),), generator=generator).tolist()
        then = [
            caption(shot.attributes, LENGTHS[which], generator) if prompt else ""
            for prompt, shot, which in zip(prompts, batch.second, lengths, strict=True)
        ]
        start_s = first_pixel_frame(batch.second[0].frame) / self.pool.fmt.fps
        return told, (ToldCue(start_s, *self._encoded(then)),)

    def _encoded(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        return encode_padded(self.tokenizer, prompts, self.models.text.config.max_tokens, self.device)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Return the averaged model's loss on unseen clips at fixed noise: video, audio, concepts."""
        self.models.eval()
        rows = torch.arange(len(self.validation))
        batch = self.validation.rows(rows, torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(1)
        prompts = [caption(a, "medium", generator) for a in batch.attributes]
        told = Told(*self._encoded(prompts), [True] * len(prompts))
        sums = {"video": 0.0, "audio": 0.0, "concepts": 0.0}
        # Another batch size would be compiled anew, for a few calls.
        with self.ema.swapped(), torch.compiler.set_stance("force_eager"):
            for value in VALIDATION_LEVELS:
                level = torch.full((len(rows), 1), value, device=self.device)
                levels = Levels(
                    video=level.expand(-1, batch.video.shape[2]),
                    audio=level.expand(-1, batch.audio.shape[2]),
                    tail=torch.zeros(len(rows), dtype=torch.bool, device=self.device),
                )
                terms = flow_loss(
                    self.models,
                    batch,
                    levels,
                    told,
                    fps=self.pool.fmt.fps,
                    references=(),
                    silent=False,
                    generator=generator,
                    config=self.config,
                )
                for name in sums:
                    sums[name] += float(terms[name]) / len(VALIDATION_LEVELS)
        return {f"unseen_{name}": value for name, value in sums.items()}
