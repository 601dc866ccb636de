"""A MODEL of any family with its prompt, VAEs and sampler, as the editor asks for one."""

# F frames, H W pixels, C channels, S samples, T latent frames, A audio latents, h w latent cells

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...sora_core.editing.maker import Latents, Task
from ...sora_core.editing.profile import Profile, Strategy
from ...sora_core.errors import SoraError
from ..host import check_interrupt, resample
from .cues import within
from .family import LONG, SoundLayout, facts_of, profile_of
from .kept import beside, settled, sound_mask, video_mask, with_text_mask, with_values
from .latents import FPS, join, streams_of
from .relay import Low
from .sampler import Run, sample, schedule_of

PIECE = 16
"""Frames that are turned into bytes at a time."""

SPARE = 4
"""Latents of silence that are tried behind a sound until its VAE gives as many as are asked for."""

TEXT_LEVEL, IMAGE_LEVEL = 0.875, 0.9
"""Noise level at which Wan 2.2 A14B changes models, of text and of image to video (``boundary`` in its wan/configs)."""


@dataclass(frozen=True, kw_only=True)
class HostMaker:
    """A `Maker` of the host's parts; `of` makes one.

    Args:
        model: MODEL; of the high noise levels, where there are two. positive, negative: CONDITIONING.
        vae, audio_vae: VAE of pictures, and of sound (None: no sound is made). profile: their family.
        run: sampler settings; its seed and denoise are the task's.
        model_low: MODEL of the low noise levels. switch_step: steps of the whole schedule that the first model runs;
            0 changes where Wan 2.2 was trained to.
        sampler, sigmas: SAMPLER and SIGMAS in place of the run's.
    """

    model: Any
    positive: Any
    negative: Any
    vae: Any
    profile: Profile
    run: Run
    audio_vae: Any = None
    model_low: Any = None
    switch_step: int = 0
    sampler: Any = None
    sigmas: Tensor | None = None

    @classmethod
    def of(cls, *, model: Any, vae: Any, audio_vae: Any = None, model_low: Any = None, **rest: Any) -> HostMaker:
        """Return a maker of parts that fit together; arguments as the class has them, but for the profile.

        Raises:
            SoraError: parts that do not fit, see `profile_of`, or a switch step outside the schedule.
        """
        profile = profile_of(model, vae, audio_vae, model_low)
        maker = cls(model=model, vae=vae, audio_vae=audio_vae, model_low=model_low, profile=profile, **rest)
        maker._low()
        return maker

    @property
    def sound(self) -> bool:
        """Whether sound is made: the family has it and its VAE is at hand."""
        return self.profile.sound is not None

    def encode_video(self, frames: Tensor) -> Tensor:
        """Encode a whole clip, uint8 ``[F, H, W, 3]`` of a valid length and size, to ``[1, C, T, h, w]``.

        Raises:
            SoraError: a length or size off the family's grid, or a VAE that does not keep to it.
        """
        count, height, width = frames.shape[:3]
        multiple = self.profile.multiple
        if not self.profile.valid(count):
            raise SoraError(
                f"{self.profile.family} makes no clip of {count} frames; the nearest is one of "
                f"{self.profile.at_least(count)}"
            )
        if height % multiple or width % multiple:
            across, down = self.profile.size(width, height)
            raise SoraError(
                f"the picture is {width}x{height} and {self.profile.family} makes multiples of {multiple}; bring it to "
                f"{across}x{down}"
            )
        check_interrupt()
        made = self.vae.encode(frames.float() / 255).float().cpu()
        if (latents := self.profile.latents_of(count)) != made.shape[2]:
            raise SoraError(
                f"the VAE makes {made.shape[2]} latents of {count} frames where {latents} are due; it is on another "
                "grid than it says, so connect the model's own"
            )
        return made

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        """Yield the clip's frames in pieces, uint8 ``[f, H, W, 3]``."""
        check_interrupt()
        frames = self.vae.decode(video)
        for piece in frames.reshape(-1, *frames.shape[-3:]).split(PIECE):
            yield (piece[..., :3].float() * 255).round().clamp(0, 255).to(torch.uint8).cpu()

    def encode_sound(self, sound: Tensor, latents: int) -> Tensor:
        """Encode ``[C, S]`` at the profile's rate to exactly so many latents; what is missing is silence."""
        layout, vae = self._sound_layout(), self.audio_vae
        check_interrupt()
        assert self.profile.sound is not None
        rate = int(vae.audio_sample_rate)
        wave = resample(sound[None].float(), self.profile.sound.rate, rate)[0]
        # The host cuts what is no multiple of this, at both ends.
        step = int(vae.spacial_compression_encode()) if vae.crop_input else 1
        per_latent = LONG / self.profile.sound.latents(LONG) * rate
        for spare in range(SPARE + 1):
            samples = math.ceil(math.ceil(round((latents + spare) * per_latent, 3)) / step) * step
            filled = torch.nn.functional.pad(wave, (0, max(0, samples - wave.shape[1])))[:, :samples]
            made = vae.encode(_channels(filled, vae.output_channels).T[None])
            if made.shape[layout.time] >= latents:
                return made.narrow(layout.time, 0, latents).float().cpu()
        raise SoraError(f"the audio VAE makes fewer than {latents} latents of {samples} samples; connect another one")

    def decode_sound(self, audio: Tensor) -> Tensor:
        """Return the clip's sound ``[C, S]`` at the profile's rate, at the loudness that the model gave it."""
        self._sound_layout()
        check_interrupt()
        assert self.profile.sound is not None
        wave = self.audio_vae.decode(audio).movedim(-1, 1)[0].float().cpu()
        return _channels(wave, self.profile.sound.channels)

    def sample(self, task: Task) -> Latents:
        """Run the sampler; kept latents come back as they were given.

        Families but those of strategy TOKEN know no shares: what would get less than half of the noise is kept.
        """
        given, strategy = task.given, self.profile.strategy
        _require_length("video_mask", task.video_mask, given.video.shape[2])
        shown = settled(task.video_mask, strategy)
        video, audio = given.video.float(), given.audio
        masks = [video_mask(shown), None]
        if audio is not None:
            layout = self._sound_layout()
            heard = torch.ones(audio.shape[layout.time]) if task.audio_mask is None else task.audio_mask
            _require_length("audio_mask", heard, audio.shape[layout.time])
            masks[1] = sound_mask(settled(heard, strategy), layout)
        elif (unheard := self._unheard(video)) is not None:
            audio, masks[1] = unheard, torch.ones(1, 1, 1, 1)
        latent: dict[str, Any] = {"samples": join(video, audio), FPS: task.fps}
        if any(mask is not None and bool((mask < 1).any()) for mask in masks):
            latent["noise_mask"] = join(*masks)
        made = sample(
            self.model,
            *self._texts(task, video, shown),
            latent,
            replace(self.run, seed=task.seed, denoise=task.strength),
            sampler=self.sampler,
            sigmas=self.sigmas,
            low=self._low(),
        )
        streams = streams_of(made["samples"])
        assert streams.video is not None
        pairs = zip(masks, (video, given.audio), streams, strict=True)
        kept = [
            # The host mixes kept latents in with a multiplication, which may cost their last bits.
            None if before is None or after is None else torch.where(mask == 0, before.float(), after.float().cpu())
            for mask, before, after in pairs
        ]
        assert kept[0] is not None
        return Latents(video=kept[0], audio=kept[1])

    def _texts(self, task: Task, video: Tensor, mask_T: Tensor) -> list[Any]:
        """Return both conditionings as they are for the task's part of the film, with what the family must have."""
        texts = [within(text, task) for text in (self.positive, self.negative)]
        if facts_of(self.model).text_mask:
            texts = with_text_mask(texts)
        if self.profile.strategy is Strategy.CONCAT and bool((mask_T == 0).any()):
            texts = with_values(texts, beside(self.model, video, mask_T))
        return texts

    def _unheard(self, video: Tensor) -> Tensor | None:
        """Return empty sound for a family that cannot go without one; it is generated and thrown away."""
        layout = self.model.get_model_object("latent_format")
        return streams_of(layout.fix_empty_latent(torch.zeros_like(video))).audio

    def _low(self) -> Low | None:
        """Return the second model and where it takes over."""
        if self.model_low is None:
            return None
        if not self.switch_step:
            level = IMAGE_LEVEL if self.profile.strategy is Strategy.CONCAT else TEXT_LEVEL
            return Low(model=self.model_low, level=level)
        sigmas = self.sigmas
        if sigmas is None:
            sigmas = schedule_of(self.model, self.run.steps, self.run.shift)
        if not 0 < self.switch_step < len(sigmas) - 1:
            raise SoraError(
                f"switch_step {self.switch_step} must be at least 1 and less than the {len(sigmas) - 1} steps; "
                "0 changes models at the noise level that they were trained for"
            )
        return Low(model=self.model_low, level=float(sigmas[self.switch_step]))

    def _sound_layout(self) -> SoundLayout:
        layout = facts_of(self.model).sound
        if layout is None or self.profile.sound is None:
            raise SoraError(f"no sound can be made: {self._why_silent()}")
        return layout

    def _why_silent(self) -> str:
        if facts_of(self.model).sound is None:
            return f"{self.profile.family} makes none; connect a model that does"
        return "no audio VAE is connected; connect the one that belongs to the model"


def _channels(wave: Tensor, channels: int) -> Tensor:
    """Return sound ``[C, S]`` with one channel or two."""
    if wave.shape[0] == channels:
        return wave
    return wave.mean(0, keepdim=True).expand(channels, -1)


def _require_length(name: str, mask: Tensor, length: int) -> None:
    if mask.shape != (length,):
        raise SoraError(f"{name} {list(mask.shape)} must hold one value for each of the clip's {length} latents")
