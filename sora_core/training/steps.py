"""One training step, drawn: clips, noise levels, captions and references, as every process of a run draws them."""

# B clips of a process's part, T latent frames, A audio latents, L text tokens

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..text import Tokenizer
from ..world.captions import caption
from ..world.spec import Attributes
from .buckets import Bucket
from .encoded import first_pixel_frame
from .flow import Told, ToldCue, encode_padded
from .latents import LatentBatch
from .parallel import ALONE, Processes
from .plan import StepPlan
from .tasks import Levels, TaskMix, draw_levels, shift_level

LENGTHS = ("short", "medium", "medium", "dense")
SHORTER = ("medium", "short")
"""Lengths of captions, and those that are tried where one has more tokens than the text encoder reads."""

ONE_REFERENCE = 0.7
POINTING = 0.6
"""Shares of the clips with references that have one, and whose caption leaves the actor's name to the picture."""


@dataclass
class Step:
    """What is trained in one step: this process's part of it.

    bucket: format. task: of `plan.LAYOUTS`, or joint. batch, levels, told, cues, references: as in `flow.flow_loss`.
    noise: seed of the noise.
    """

    bucket: Bucket
    task: str
    batch: LatentBatch
    levels: Levels
    told: Told
    cues: tuple[ToldCue, ...]
    references: tuple[Tensor, ...]
    noise: int

    @property
    def silent(self) -> bool:
        """Whether the sound is left out."""
        return self.task in ("image", "silent")


class StepDraw:
    """Draw steps from the pools.

    Chances of a clip's caption come from a seed of its own, so that a process draws only the captions of its part.

    Args:
        buckets: formats. plan: which task at which of them. mix: noise levels of the tasks.
        tokenizer: of the text encoder. tokens: that it reads of a prompt. processes: that share the steps.
        generator: on the CPU, at the same place in each process.
    """

    def __init__(
        self,
        buckets: Sequence[Bucket],
        plan: StepPlan,
        mix: TaskMix,
        *,
        tokenizer: Tokenizer,
        tokens: int,
        generator: torch.Generator,
        processes: Processes = ALONE,
    ) -> None:
        self.buckets, self.plan, self.mix = list(buckets), plan, mix
        self.tokenizer, self.tokens = tokenizer, tokens
        self.generator, self.processes = generator, processes
        self.device = buckets[0].pools["plain"].device
        self._chances = torch.tensor(plan.chances)

    def draw(self) -> Step:
        """Return the next step."""
        at = int(torch.multinomial(self._chances, 1, generator=self.generator))
        return self.draw_as(self.buckets[self.plan.places[at]], self.plan.tasks[at])

    def draw_as(self, bucket: Bucket, task: str) -> Step:
        """Return a step of one format and task."""
        generator = self.generator
        pool = bucket.pools.get(task, bucket.pools["plain"])
        batch = pool.draw(bucket.batch, generator, self.processes)
        seeds = torch.randint(1 << 31, (bucket.batch,), generator=generator)
        if task == "image":
            batch.video, batch.actor = batch.video[:, :, :1], batch.actor[:, :1]
        levels = self._levels(bucket, task, batch)
        references: tuple[Tensor, ...] = ()
        if task == "references":
            references = (pool.first_frames(batch.reference),)
            if float(torch.rand((), generator=generator)) >= ONE_REFERENCE:
                references += (pool.first_frames(batch.second_reference),)
        part = self.processes.part(bucket.batch)
        told, cues = self._text(batch, seeds[part].tolist(), bucket.fmt.fps, reference=task == "references")
        noise = int(torch.randint(1 << 31, (), generator=generator))
        return Step(bucket, task, batch, levels, told, cues, references, noise)

    def _levels(self, bucket: Bucket, task: str, batch: LatentBatch) -> Levels:
        """Return noise levels on the device; those of the whole batch are drawn, and this process's part is kept."""
        mix, generator, size = self.mix, self.generator, bucket.batch
        frames, sound = batch.video.shape[2], batch.audio.shape[2]
        if task in ("image", "references"):
            # One frame alone, or a whole clip from a reference: nothing but the noise level is drawn.
            level = shift_level(torch.sigmoid(torch.randn(size, 1, generator=generator)), mix.shift)
            video, audio = level.expand(-1, frames), shift_level(level, mix.shift**-0.5).expand(-1, sound)
            levels = Levels(video=video, audio=audio, tail=torch.zeros(size, dtype=torch.bool))
        else:
            shares = mix.of_later if task == "later" else mix
            levels = draw_levels(size, frames=frames, audio=sound, fps=bucket.fmt.fps, mix=shares, generator=generator)
        part = self.processes.part(size)
        return Levels(video=levels.video[part], audio=levels.audio[part], tail=levels.tail[part]).to(self.device)

    def _text(
        self, batch: LatentBatch, seeds: Sequence[int], fps: float, *, reference: bool
    ) -> tuple[Told, tuple[ToldCue, ...]]:
        """Return the captions, and those of what follows a cut; a clip told nothing is told nothing of either."""
        dice = torch.Generator()
        dropped: list[bool] = []
        lengths: list[str] = []
        pointing: list[bool] = []
        for seed in seeds:
            drop, which, unnamed = torch.rand(3, generator=dice.manual_seed(seed)).tolist()
            dropped.append(drop < self.mix.drop_text)
            lengths.append(LENGTHS[int(which * len(LENGTHS))])
            pointing.append(reference and unnamed < POINTING)
        told = self.tell(batch.attributes, lengths, seeds, pointing=pointing, dropped=dropped)
        if not batch.second:
            return told, ()
        after = [LENGTHS[(seed >> 8) % len(LENGTHS)] for seed in seeds]
        later = self.tell([shot.attributes for shot in batch.second], after, [~seed for seed in seeds], dropped=dropped)
        start_s = first_pixel_frame(batch.second[0].frame) / fps
        return told, (ToldCue(start_s, later.ids, later.mask),)

    def tell(
        self,
        attributes: Sequence[Attributes],
        lengths: Sequence[str],
        seeds: Sequence[int],
        *,
        pointing: Sequence[bool] = (),
        dropped: Sequence[bool] = (),
    ) -> Told:
        """Return a caption of each clip; one that the text encoder could not read whole is told in fewer words.

        Args:
            attributes: what each shows. lengths: of the captions, as in `captions.caption`. seeds: of their wording.
            pointing: whether each speaks of an actor in a picture. dropped: whether each is to be empty.
        """
        pointing, dropped = pointing or [False] * len(seeds), dropped or [False] * len(seeds)
        dice, told = torch.Generator(), list(lengths)

        def worded(clip: int) -> str:
            dice.manual_seed((seeds[clip] + 1) % (1 << 32))
            return "" if dropped[clip] else caption(attributes[clip], told[clip], dice, reference=pointing[clip])

        prompts = [worded(clip) for clip in range(len(seeds))]
        for shorter in SHORTER:
            _, mask = self.tokenizer.encode(prompts, max_tokens=self.tokens + 1)
            if mask.shape[1] <= self.tokens:
                break
            for clip in mask[:, self.tokens].nonzero().flatten().tolist():
                told[clip] = shorter
                prompts[clip] = worded(clip)
        whole = [
            not empty and length != "short" and not points
            for empty, length, points in zip(dropped, told, pointing, strict=True)
        ]
        return Told(*encode_padded(self.tokenizer, prompts, self.tokens, self.device), whole)
