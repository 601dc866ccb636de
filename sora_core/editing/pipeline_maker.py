"""The library's own model as the editor sees it."""

# F frames, H W pixels, T latent frames, h w latent cells, A audio latents, S samples

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..conditioning import Conditions
from ..pipeline import Pipeline
from ..request import Plan
from ..sampling import StepCallback, TextStates
from ..types import SAMPLES_PER_LATENT, SPATIAL_RATIO, ClipFormat
from .maker import Latents, Task
from .profile import Profile, our_profile


@dataclass(frozen=True, kw_only=True)
class PipelineMaker:
    """A `Maker` over a pipeline, with a prompt and the settings of a plan.

    Args:
        pipeline: the models.
        plan: sampler settings (see `request.resolve`); size and length come from each task.
        prompt: what to show. negative: what guidance leads away from.
        cues: further prompts, each with the second of the film from which it holds.
        references: pictures of who or what to show, latents ``[1, 16, 1, h, w]``.
        sound: whether to make sound.
        callback: after each sampling step.
    """

    pipeline: Pipeline
    plan: Plan
    prompt: str
    negative: str = ""
    cues: Sequence[tuple[float, str]] = ()
    references: Sequence[Tensor] = ()
    sound: bool = True
    callback: StepCallback | None = None
    profile: Profile = field(init=False)
    _texts: dict[str, TextStates] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take the longest clip from what the checkpoint was trained on."""
        defaults = self.pipeline.defaults
        object.__setattr__(self, "profile", our_profile(defaults.fps, defaults.frames))

    def encode_video(self, frames: Tensor) -> Tensor:
        """Encode a clip, uint8 ``[F, H, W, 3]``, to ``[1, 16, T, h, w]``."""
        return self.pipeline.encode_video(frames)

    def encode_sound(self, sound: Tensor, latents: int) -> Tensor:
        """Encode sound ``[1, S]`` to ``[1, 32, A, 1]``."""
        return self.pipeline.encode_audio(sound[0], latents)

    def sample(self, task: Task) -> Latents:
        """Run the sampler."""
        given = task.given
        cells = given.video.shape[3:]
        fmt = ClipFormat(
            width=cells[1] * SPATIAL_RATIO, height=cells[0] * SPATIAL_RATIO, frames=task.frames, fps=task.fps
        )
        samples = 0 if given.audio is None else given.audio.shape[2] * SAMPLES_PER_LATENT
        held, cues = task.cues_within(self.cues)
        made = self.pipeline.sample(
            self._encoded(self.prompt if held is None else held),
            replace(self.plan, format=fmt, frames=task.frames, samples=samples),
            negative=self._encoded(self.negative),
            seed=task.seed,
            conditions=Conditions(
                video=given.video,
                video_mask=task.video_mask,
                audio=given.audio,
                audio_mask=task.audio_mask,
                references=tuple(self.references),
            ),
            strength=task.strength,
            callback=self.callback,
            cues=[(at, self._encoded(text)) for at, text in cues],
        )
        assert made.video is not None
        return Latents(made.video, made.audio)

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        """Yield the clip's frames."""
        return self.pipeline.decode_frames(video, self.profile.frames_of(video.shape[2]))

    def decode_sound(self, audio: Tensor) -> Tensor:
        """Return the clip's sound ``[1, S]``."""
        return self.pipeline.decode_audio(audio)[None]

    def _encoded(self, text: str) -> TextStates:
        if text not in self._texts:
            self._texts[text] = self.pipeline.encode_prompt([text])
        return self._texts[text]
