"""The model as the solvers see it: prompt, guidance, kept tokens and noise levels behind one velocity function."""

# B batch, L text tokens, D text width, C channels, T latent frames, H W latent cells, A audio latents

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..conditioning import Conditions, HeldHalf
from ..dit import Cue
from ..types import AVLatent
from .guidance import Guidance, guide, rescale_contrast
from .schedules import Sigma


class TextStates(NamedTuple):
    """A prompt as the transformer reads it. states: float ``[B or 1, L, D]``; mask: bool ``[B or 1, L]``."""

    states: Tensor
    mask: Tensor


class VelocityModel(Protocol):
    """The diffusion transformer's call, so that any module with it can be sampled."""

    def __call__(
        self,
        video: Tensor | None,
        audio: Tensor | None,
        text: Tensor,
        text_mask: Tensor,
        /,
        *,
        sigma_video: Tensor | None,
        sigma_audio: Tensor | None,
        fps: float,
        references: Sequence[Tensor],
        cues: Sequence[Cue] = (),
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return ``noise - x0`` for video ``[B, 16, T, H, W]`` and audio ``[B, 32, A, 1]``, None for an absent half.

        ``sigma_video`` is ``[B, 1]`` where nothing is kept, ``[B, T]``, or ``[B, T, H, W]`` where levels differ within
        a frame; ``sigma_audio`` is ``[B, 1]`` or ``[B, A]``. ``references`` are ``[B, 16, 1, h, w]`` each.
        ``cues`` is left out where there are none.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ModelDenoiser:
    """A `Denoiser` over a model: one batch holds the passes with and without the prompt.

    Args:
        model: predicts velocities.
        noise: the clip's starting noise; gives batch, sizes and device.
        text: the prompt.
        null: the negative or empty prompt; needed where ``guidance.needs_null``.
        cues: further prompts, each with the seconds at which it takes over; the pass without the prompt has ``null``
            in the place of each.
        guidance: scales; where all are 1 the pass without the prompt is left out.
        conditions: what to keep.
        fps: frames per second, for the model's clock.
        dtype: of the model's inputs. State, noise levels and the guidance arithmetic stay float32.

    Raises:
        SoraError: the conditions do not fit the clip.
    """

    model: VelocityModel
    noise: AVLatent
    text: TextStates
    null: TextStates | None = None
    cues: Sequence[tuple[float, TextStates]] = ()
    guidance: Guidance = field(default_factory=Guidance)
    conditions: Conditions = field(default_factory=Conditions)
    fps: float = 12.0
    dtype: torch.dtype = torch.float32
    held_video: HeldHalf | None = field(init=False)
    held_audio: HeldHalf | None = field(init=False)

    def __post_init__(self) -> None:
        """Lay the conditions over the clip."""
        assert self.null is not None or not self.guidance.needs_null, "guidance needs a null prompt"
        video, audio = self.noise
        object.__setattr__(self, "held_video", None if video is None else self.conditions.hold_video(video))
        object.__setattr__(self, "held_audio", None if audio is None else self.conditions.hold_audio(audio))

    def start(self) -> AVLatent:
        """Return the state to begin with: noise, or the given latents under their own share of it."""
        return AVLatent(
            video=self.noise.video if self.held_video is None else self.held_video.start(_given(self.noise.video)),
            audio=self.noise.audio if self.held_audio is None else self.held_audio.start(_given(self.noise.audio)),
        )

    def finish(self, x: AVLatent) -> AVLatent:
        """Return ``x`` with every kept value exactly as it was given."""
        return AVLatent(
            video=x.video if self.held_video is None else self.held_video.finish(_given(x.video)),
            audio=x.audio if self.held_audio is None else self.held_audio.finish(_given(x.audio)),
        )

    def __call__(self, x: AVLatent, sigma: Sigma, /) -> AVLatent:
        """Return the guided velocity, 0 where a token is kept."""
        sigma_video = None if x.video is None else sigma.video * _level(x.video, self.held_video)
        sigma_audio = None if x.audio is None else sigma.audio * _level(x.audio, self.held_audio)
        with_prompt, without = self._predict(x, sigma_video, sigma_audio)
        scale = self.guidance
        return AVLatent(
            video=self._combine(
                x.video, with_prompt.video, without.video, sigma=sigma_video, scale=scale.video, held=self.held_video
            ),
            audio=self._combine(
                x.audio,
                with_prompt.audio,
                without.audio,
                sigma=sigma_audio,
                scale=scale.audio_scale,
                held=self.held_audio,
            ),
        )

    def _predict(
        self, x: AVLatent, sigma_video: Tensor | None, sigma_audio: Tensor | None
    ) -> tuple[AVLatent, AVLatent]:
        """Return the model's velocities with and without the prompt (the same pair where guidance is off)."""
        batch = len(_given(x.audio if x.video is None else x.video))
        null = [self.null] if self.null is not None and self.guidance.needs_null else []
        text = _join_texts([self.text, *null], batch)
        passes = 1 + len(null)
        cues: list[Cue] = []
        for start_s, prompt in self.cues:
            states, mask = _join_texts([prompt, *null], batch)
            cues.append(Cue(start_s, states.to(self.dtype), mask))

        def repeated(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
            if tensor is None:
                return None
            return tensor.expand(batch, *tensor.shape[1:]).to(dtype).repeat(passes, *[1] * (tensor.ndim - 1))

        video, audio = self.model(
            repeated(x.video, self.dtype),
            repeated(x.audio, self.dtype),
            text.states.to(self.dtype),
            text.mask,
            sigma_video=repeated(_by_token(sigma_video), torch.float32),
            sigma_audio=repeated(_by_token(sigma_audio), torch.float32),
            fps=self.fps,
            references=[_given(repeated(reference, self.dtype)) for reference in self.conditions.references],
            **({"cues": cues} if cues else {}),
        )
        video = None if video is None else video.float()
        audio = None if audio is None else audio.float()
        return (
            AVLatent(None if video is None else video[:batch], None if audio is None else audio[:batch]),
            AVLatent(None if video is None else video[-batch:], None if audio is None else audio[-batch:]),
        )

    def _combine(
        self,
        x: Tensor | None,
        with_prompt: Tensor | None,
        without: Tensor | None,
        *,
        sigma: Tensor | None,
        scale: float,
        held: HeldHalf | None,
    ) -> Tensor | None:
        """Guide one half and hold its kept tokens."""
        if x is None or with_prompt is None or without is None or sigma is None:
            return None
        velocity = guide(with_prompt, without, scale)
        if scale != 1 and self.guidance.rescale:
            weight = torch.ones_like(x[:1, :1]) if held is None else (~held.kept).to(x.dtype)
            velocity = rescale_contrast(velocity, with_prompt, x, sigma, weight=weight, share=self.guidance.rescale)
        return velocity if held is None else held.velocity(velocity)


def _given(tensor: Tensor | None) -> Tensor:
    """Return a tensor that the caller knows to be there."""
    assert tensor is not None
    return tensor


def _level(x: Tensor, held: HeldHalf | None) -> Tensor:
    """Return each token's noise level over the step's, ``[B or 1, 1, 1 or time, 1 or H, 1 or W]``."""
    return x.new_ones(*[1] * x.ndim) if held is None else held.level


def _by_token(sigma: Tensor | None) -> Tensor | None:
    """Drop the channel axis, and the spatial axes where they hold one value."""
    if sigma is None:
        return None
    by_token = sigma[:, 0]
    return by_token.flatten(1) if by_token[0, 0].numel() == 1 else by_token


def _join_texts(prompts: Sequence[TextStates], batch: int) -> TextStates:
    """Stack prompts along the batch, each expanded to ``batch`` and padded to the longest."""
    longest = max(prompt.states.shape[1] for prompt in prompts)
    states_BLD = []
    masks_BL = []
    for states, mask in prompts:
        missing = longest - states.shape[1]
        states_BLD.append(F.pad(states, (0, 0, 0, missing)).expand(batch, -1, -1))
        masks_BL.append(F.pad(mask, (0, missing)).expand(batch, -1))
    return TextStates(torch.cat(states_BLD), torch.cat(masks_BL))
