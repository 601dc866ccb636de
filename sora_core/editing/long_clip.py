"""A clip from text that is longer than the model was trained on, made part by part.

A model that never saw more than two seconds begins each motion anew when it is asked for four in one run. Each part is
therefore no longer than what it knows, and sees the end of the part before, as where a film is extended (`extend`).
"""

# H W pixels, h w latent cells

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..pipeline import ClipStream, Pipeline, read_picture, scaled
from ..request import Plan, Request
from ..sampling import StepCallback
from ..types import AVLatent, Clip
from .engine import Settings
from .film import MemoryFilm
from .keyframes import Pin, keyframes
from .pipeline_maker import PipelineMaker


class Steps:
    """The steps of all parts of all clips as those of one run.

    Args:
        callback: told of them. clips: how many are made, one after another; ``clip``: those that are done.
    """

    def __init__(self, callback: StepCallback | None, clips: int = 1) -> None:
        self.callback, self.clips = callback, clips
        self.clip = self.done = self.parts = 0

    def part(self, done: int, parts: int) -> None:
        """Be told of parts done, of how many."""
        self.done, self.parts = done, parts

    def step(self, done: int, steps: int, preview: AVLatent) -> None:
        """Be told of a part's steps, and tell of all."""
        if self.callback is not None:
            before = self.clip * self.parts + self.done
            self.callback(before * steps + done, self.clips * self.parts * steps, preview)


def long_clips(
    pipeline: Pipeline, request: Request, plan: Plan, callback: StepCallback | None = None
) -> list[ClipStream]:
    """Make every variation of a request, one after another; arguments and errors as `Pipeline.generate_stream`.

    Args:
        plan: of the request.
    """
    fmt, steps = plan.format, Steps(callback, request.variations)
    image, last_image = (
        None if source is None else scaled(read_picture(source), fmt.width, fmt.height)[0]
        for source in (request.image, request.last_image)
    )
    references = [pipeline.encode_reference(read_picture(source), fmt) for source in request.references]
    made: list[ClipStream] = []
    for seed in range(request.seed, request.seed + request.variations):
        steps.clip = len(made)
        clip = long_clip(
            pipeline,
            plan,
            prompt=request.prompt,
            negative=request.negative,
            seed=seed,
            image=image,
            last_image=last_image,
            references=references,
            cues=request.cues,
            steps=steps,
        )
        made.append(ClipStream.of(clip, seed=seed))
    return made


def long_clip(
    pipeline: Pipeline,
    plan: Plan,
    *,
    prompt: str,
    negative: str = "",
    seed: int = 0,
    image: Tensor | None = None,
    last_image: Tensor | None = None,
    references: Sequence[Tensor] = (),
    cues: Sequence[tuple[float, str]] = (),
    steps: Steps | None = None,
) -> Clip:
    """Make one clip in as many parts as it takes.

    The first part is what a request for the model's own length makes of the same seed.

    Args:
        pipeline: the models. plan: size, length and sampler (see `resolve`).
        prompt: what to show. negative: what guidance leads away from.
        seed: of the first part.
        image, last_image: first and last frame, uint8 ``[H, W, 3]`` of the plan's size.
        references: pictures of who or what to show, latents ``[1, 16, 1, h, w]``.
        cues: further prompts, each with the second of the clip from which it holds.
        steps: told of each part, and of each sampling step with a preview of the part.

    Returns:
        ``plan.frames`` frames and ``plan.samples`` samples, the given pictures among them as they were given.

    Raises:
        SoraError: a result that is not finite.
    """
    fmt, steps = plan.format, steps or Steps(None)
    maker = PipelineMaker(
        pipeline=pipeline,
        plan=plan,
        prompt=prompt,
        negative=negative,
        references=references,
        cues=cues,
        sound=plan.samples > 0,
        callback=steps.step,
    )
    pins = [
        Pin(at_s=at_s, film=MemoryFilm(picture=picture[None], audio=None, fps=fmt.fps))
        for at_s, picture in ((0.0, image), (-1.0, last_image))
        if picture is not None
    ]
    film = keyframes(
        maker,
        pins,
        seconds=plan.seconds,
        fps=fmt.fps,
        width=fmt.width,
        height=fmt.height,
        settings=Settings(seed=seed, report=steps.part),
    )
    return film.collect().clip()
