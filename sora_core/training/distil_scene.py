"""Scenes to distil on: drawn training steps, with the tasks that users have, as a sampler meets them."""

# B clips, T latent frames, A audio latents

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..dit import Cue
from ..sampling import token_shift
from ..text import TextEncoder, Tokenizer
from ..types import AVLatent
from .buckets import Bucket, plan_buckets
from .distil_teacher import Scene, Words
from .flow import Told, encode_padded
from .latents import LatentBatch
from .steps import StepDraw
from .tasks import TaskMix

WHOLE_TASKS = ("image", "references")
"""Tasks in which everything is made: one frame alone, or a whole clip from a reference."""


class SceneDraw:
    """Draws scenes.

    Args:
        text, tokenizer: encoder of the prompts, frozen.
        buckets: formats with their pools. mix: shares of the tasks; no prompt is dropped, for a user gives one.
        actor, strike: extra weights of the loss, as in `flow.DiTStageConfig`.
        patch: of the transformer. shift: of the sampler; None is that of each clip's own number of tokens.
        layouts: most packed layouts, 0 for no limit (see `plan.plan_steps`). generator: on the CPU.
    """

    def __init__(
        self,
        text: TextEncoder,
        tokenizer: Tokenizer,
        buckets: Sequence[Bucket],
        *,
        mix: TaskMix,
        actor: float,
        strike: float,
        patch: int,
        shift: float | None,
        layouts: int,
        generator: torch.Generator,
    ) -> None:
        self.text, self.tokenizer, self.shift = text, tokenizer, shift
        self.actor, self.strike, self.patch = actor, strike, patch
        self.device = buckets[0].pools["plain"].device
        self.plan = plan_buckets(buckets, mix, layouts)
        self.steps = StepDraw(
            buckets,
            self.plan,
            replace(mix, drop_text=0.0),
            tokenizer=tokenizer,
            tokens=text.config.max_tokens,
            generator=generator,
        )

    def draw(self) -> Scene:
        """Draw a format, a task and clips, and what of them is given."""
        step = self.steps.draw()
        clips, levels = step.batch, step.levels
        made = (torch.ones_like, torch.ones_like) if step.task in WHOLE_TASKS else (_noisy, _noisy)
        generated = (made[0](levels.video), made[1](levels.audio))
        clean = clips.video
        if bool(levels.tail.any()):
            clean = clean.clone()
            clean[levels.tail, :, -1] = clips.tail[levels.tail]
        told, untold = self._words(step.told), self._untold(len(clips.attributes))
        if step.cues:
            starts = [cue.start_s for cue in step.cues]
            then = [self._words(Told(cue.ids, cue.mask, ())) for cue in step.cues]
            told = told._replace(cues=[Cue(at, w.states, w.mask) for at, w in zip(starts, then, strict=True)])
            untold = untold._replace(cues=[Cue(at, untold.states, untold.mask) for at in starts])
        return self._scene(
            AVLatent(clean, None if step.silent else clips.audio),
            generated,
            clips,
            told,
            untold,
            references=step.references,
            bucket=step.bucket,
        )

    def unseen(self, bucket: Bucket, count: int) -> Scene:
        """Return validation clips, told in middling words; every other one has its first frame given."""
        clips = bucket.validation.rows(torch.arange(count), torch.Generator().manual_seed(0))
        video = torch.ones(count, clips.video.shape[2], device=self.device)
        video[1::2, 0] = 0
        audio = torch.ones(count, clips.audio.shape[2], device=self.device)
        told = self._words(self.steps.tell(clips.attributes, ["medium"] * count, range(count)))
        latents = AVLatent(clips.video, clips.audio)
        return self._scene(latents, (video, audio), clips, told, self._untold(count), references=(), bucket=bucket)

    def _scene(
        self,
        latents: AVLatent,
        generated: tuple[Tensor, Tensor],
        clips: LatentBatch,
        told: Words,
        untold: Words,
        *,
        references: Sequence[Tensor],
        bucket: Bucket,
    ) -> Scene:
        video, audio = generated
        actor = clips.actor.repeat_interleave(self.patch, -1).repeat_interleave(self.patch, -2)
        tokens = video.shape[1] * bucket.fmt.latent.video_tokens // bucket.fmt.latent.frames
        tokens += 0 if latents.audio is None else audio.shape[1]
        return Scene(
            clean=latents,
            generated=generated,
            told=told,
            untold=untold,
            references=references,
            fps=bucket.fmt.fps,
            shift=token_shift(tokens) if self.shift is None else self.shift,
            weights=(
                (1 + self.actor * actor) * video[:, :, None, None],
                (1 + self.strike * clips.strike) * audio,
            ),
        )

    @torch.no_grad()
    def _words(self, told: Told) -> Words:
        return Words(self.text(told.ids, told.mask), told.mask)

    def _untold(self, count: int) -> Words:
        """Return the empty prompt for each clip."""
        return self._words(
            Told(*encode_padded(self.tokenizer, [""] * count, self.text.config.max_tokens, self.device), ())
        )


def _noisy(levels: Tensor) -> Tensor:
    return (levels > 0).float()
