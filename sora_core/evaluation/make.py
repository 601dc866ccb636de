"""The clips that an evaluation measures: the truth, the model's own, and the truth through the VAEs."""

# B clips, F frames, H W pixels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditioning import Conditions, keep_frames
from ..editing.long_clip import long_clip
from ..pipeline import Pipeline
from ..request import Plan
from ..types import AVLatent, Clip, ClipFormat
from ..world.render import render
from ..world.spec import Attributes
from .prompts import Case

REFERENCE_SEEDS = 1 << 20
"""Added to a clip's seed for its reference picture, which shows the actor of another place and light."""


def true_clips(cases: Sequence[Case], plan: Plan) -> list[Clip]:
    """Render what each case asks for, by the case's seed, cut to the plan's length."""
    return _rendered([case.attributes for case in cases], [case.seed for case in cases], plan)


def reference_pictures(cases: Sequence[Case], plan: Plan) -> list[Tensor]:
    """Render each case's actor at rest on a plain ground, uint8 ``[H, W, 3]``."""
    fmt = ClipFormat(width=plan.format.width, height=plan.format.height, frames=1, fps=plan.format.fps)
    seeds = [case.seed + REFERENCE_SEEDS for case in cases]
    return list(render([case.reference() for case in cases], seeds, fmt).frames[:, 0])


def _rendered(attributes: Sequence[Attributes], seeds: Sequence[int], plan: Plan) -> list[Clip]:
    batch = render(attributes, seeds, plan.format)
    return [
        Clip(frames=frames[: plan.frames], audio=audio[: plan.samples], fps=plan.format.fps)
        for frames, audio in zip(batch.frames, batch.audio, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes clips with one checkpoint under one plan, several at a time.

    A clip comes out as ``sora generate`` makes it alone: a batch takes consecutive seeds, and the noise of each clip
    depends on its own seed only.
    """

    pipeline: Pipeline
    plan: Plan

    def generate(
        self, cases: Sequence[Case], images: Sequence[Tensor] = (), references: Sequence[Tensor] = ()
    ) -> list[Clip]:
        """Generate a batch of cases whose seeds are consecutive.

        Args:
            cases: what to make.
            images: first frames, uint8 ``[H, W, 3]``, one for each case or none.
            references: pictures of the actor, likewise.
        """
        assert [case.seed for case in cases] == list(range(cases[0].seed, cases[0].seed + len(cases)))
        if self.pipeline.in_parts(self.plan):
            return [
                self._long(case, *(pictures[at] if pictures else None for pictures in (images, references)))
                for at, case in enumerate(cases)
            ]
        pipeline, fmt = self.pipeline, self.plan.format
        conditions = Conditions()
        if images:
            firsts = torch.cat([pipeline.encode_image(image, fmt).first for image in images])
            conditions = keep_frames({0: firsts}, fmt.latent)
        if references:
            latents = torch.cat([pipeline.encode_reference(picture, fmt) for picture in references])
            conditions = Conditions(video=conditions.video, video_mask=conditions.video_mask, references=(latents,))
        latent = pipeline.sample(
            pipeline.encode_prompt([case.prompt for case in cases]),
            self.plan,
            seed=cases[0].seed,
            variations=len(cases),
            conditions=conditions,
        )
        return pipeline.decode(latent, self.plan)

    def _long(self, case: Case, image: Tensor | None, reference: Tensor | None) -> Clip:
        pipeline = self.pipeline
        shown = [] if reference is None else [pipeline.encode_reference(reference, self.plan.format)]
        return long_clip(pipeline, self.plan, prompt=case.prompt, seed=case.seed, image=image, references=shown)

    def round_trip(self, clips: Sequence[Clip]) -> list[Clip]:
        """Return each clip after the VAEs' encoders and decoders."""
        return [self._round_trip(clip) for clip in clips]

    def _round_trip(self, clip: Clip) -> Clip:
        pipeline, fmt = self.pipeline, self.plan.format
        frames = clip.frames
        if len(frames) < fmt.frames:
            frames = torch.cat([frames, frames[-1:].expand(fmt.frames - len(frames), -1, -1, -1)])
        audio = None if clip.audio is None else pipeline.encode_audio(clip.audio, fmt.latent.audio)
        return pipeline.decode(AVLatent(pipeline.encode_video(frames), audio), self.plan)[0]
