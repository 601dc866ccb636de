"""The whole way in plain Python: a sentence, pictures and sounds in, clips with sound out."""

# B batch (variations), C channels, T latent frames, F pixel frames, H W height and width, S samples, A audio latents

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checkpoint import load_checkpoint
from .conditioning import Conditions, keep_frames
from .errors import SoraError
from .media.image import cover, read_image
from .pixels import check_frames, first_frames, size_within, to_signed
from .request import Defaults, Plan, Request, resolve
from .sampling import (
    Guidance,
    ModelDenoiser,
    Schedule,
    StepCallback,
    TextStates,
    VelocityModel,
    draw_noise,
    flow_schedule,
    partial_schedule,
    sample_latents,
    token_shift,
)
from .types import (
    SAMPLES_PER_LATENT,
    SPATIAL_RATIO,
    TEMPORAL_RATIO,
    AVLatent,
    Clip,
    ClipFormat,
    LatentShape,
    frames_on_grid,
)
from .vocabulary import unknown_words

if TYPE_CHECKING:
    from .audio_vae import AudioVAE
    from .checkpoint import Metadata
    from .dit import Lora
    from .text import TextEncoder, Tokenizer
    from .video_vae import VideoVAE

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Weights and activations of the models by name; state, noise levels and guidance are float32 under both."""

CHUNK_CELLS = 8 * 16 * 16
MAX_CHUNK = 8
"""Latent cells and latent frames that the video VAE holds at a time (8 frames up to 128 px): memory, not the result."""

CHUNK_FRAMES = 8
"""Frames of a finished clip that are handed on at a time."""


class ClipStream(NamedTuple):
    """A clip that is decoded while it is read, so that one that was sampled whole need not lie in memory as frames.

    frames: uint8 chunks ``[f, H, W, 3]``, to be read once; together ``num_frames`` frames.
    audio: float32 ``[S]`` in [-1, 1], 16 kHz, or None.
    """

    frames: Iterator[Tensor]
    audio: Tensor | None
    fps: float
    num_frames: int
    width: int
    height: int
    seed: int

    @classmethod
    def of(cls, clip: Clip, *, seed: int) -> ClipStream:
        """Return a clip that is there already as a stream."""
        num_frames, height, width = clip.frames.shape[:3]
        return cls(
            frames=iter(clip.frames.split(CHUNK_FRAMES)),
            audio=clip.audio,
            fps=clip.fps,
            num_frames=num_frames,
            width=width,
            height=height,
            seed=seed,
        )


class StillLatents(NamedTuple):
    """A picture as a condition, ``[1, 16, 1, H, W]`` each: ``first`` for frame 0, ``later`` for any other place.

    The first latent frame of a clip stands for one frame and every later one for four, seen after the ones before.
    """

    first: Tensor
    later: Tensor


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The models of one checkpoint and the steps from a request to clips.

    Args:
        text, tokenizer, dit, video_vae, audio_vae: the models, on ``device`` in ``dtype``.
        defaults: what a request leaves open.
        metadata: the checkpoint's account of itself, or None for models that were put together by hand.
        device: where the models are. dtype: of the transformer's inputs.
        quick: the transformer's LoRA for few steps without guidance, or None. It is merged into a copy of the
            transformer when a plan first asks for it, so that its steps cost what others do.
    """

    text: TextEncoder
    tokenizer: Tokenizer
    dit: VelocityModel
    video_vae: VideoVAE
    audio_vae: AudioVAE
    defaults: Defaults
    metadata: Metadata | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    quick: Lora | None = None
    _merged: dict[int, VelocityModel] = field(init=False, default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | str | None = None, device: str = "cpu", dtype: str | None = None) -> Pipeline:
        """Load a checkpoint.

        Args:
            path: the file, or None for the shipped one.
            device: such as ``"cpu"`` or ``"cuda"``.
            dtype: a name in `DTYPES`, or None for float32 on the CPU and bfloat16 elsewhere.

        Raises:
            SoraError: no such device or type, or a file that is refused.
        """
        try:
            place = torch.device(device)
        except RuntimeError:
            raise SoraError(f"device '{device}' is unknown; use cpu or cuda") from None
        if place.type == "cuda" and not torch.cuda.is_available():
            raise SoraError(f"device '{device}' was asked for and torch finds no CUDA device here; use cpu")
        if dtype is not None and dtype not in DTYPES:
            raise SoraError(f"dtype '{dtype}' is unknown; choose one of {', '.join(DTYPES)}")
        kind = DTYPES[dtype] if dtype else torch.float32 if place.type == "cpu" else torch.bfloat16
        loaded = load_checkpoint(None if path is None else Path(path), place, kind)
        return cls(
            text=loaded.text,
            tokenizer=loaded.tokenizer,
            dit=loaded.dit,
            video_vae=loaded.video_vae,
            audio_vae=loaded.audio_vae,
            defaults=loaded.metadata.defaults,
            metadata=loaded.metadata,
            device=place,
            dtype=kind,
            quick=loaded.quick,
        )

    def at_speed(self, *, quick: bool, steps: int | None = None) -> Pipeline:
        """Return the same models with another default: the quick one, or the full one.

        A request (and `resolve` with the pipeline's ``defaults``) that leaves the sampler open is then made so.

        Args:
            quick: True for the quick model without guidance, False for the full one with its guidance.
            steps: how many; None leaves the model's own.

        Raises:
            SoraError: there is no quick model, or it was not made for so many steps.
        """
        defaults, said = self.defaults, self.defaults.quick
        if not quick:
            said = None if said is None else replace(said, default=False)
            return replace(self, defaults=replace(defaults, quick=said, steps=steps or defaults.steps))
        if said is None:
            raise SoraError("this model has no quick one beside it; make one with sora train --stage distil")
        first = steps or said.steps[0]
        if first not in said.steps:
            raise SoraError(f"the quick model is made for {said.words} steps, not for {first}")
        order = (first, *(other for other in said.steps if other != first))
        return replace(self, defaults=replace(defaults, quick=replace(said, default=True, steps=order)))

    def model_for(self, plan: Plan) -> VelocityModel:
        """Return the transformer that a plan asks for: the full one, or the quick one for its number of steps."""
        if not plan.quick:
            return self.dit
        from .dit import DiT, merged

        assert self.quick is not None, "a quick plan comes from a checkpoint with a quick model"
        assert isinstance(self.dit, DiT)
        steps = self.quick.nearest(plan.steps)
        if steps not in self._merged:
            self._merged[steps] = merged(self.dit, self.quick, steps)
        return self._merged[steps]

    def generate(
        self, request: Request, callback: StepCallback | None = None, *, conditions: Conditions | None = None
    ) -> list[Clip]:
        """Make every variation of a request, whole in memory; arguments and errors as `generate_stream`."""
        streams = self.generate_stream(request, callback, conditions=conditions)
        return [Clip(frames=torch.cat(list(clip.frames)), audio=clip.audio, fps=clip.fps) for clip in streams]

    def generate_stream(
        self, request: Request, callback: StepCallback | None = None, *, conditions: Conditions | None = None
    ) -> list[ClipStream]:
        """Make every variation of a request; pictures are decoded as they are read.

        A clip longer than the model's own is made part by part (`editing.long_clip`), each variation by itself, and
        is whole when it is returned; with ``conditions``, which are of a whole clip, in one run at any length.

        Args:
            request: the wish; its images are added to ``conditions``.
            callback: after each sampling step, with steps done, steps in all and a preview ``AVLatent`` (the clean
                clips, or their part, as that step saw them). What it raises ends the run and reaches the caller.
            conditions: latents to keep, at the size that `resolve` gives the request.

        Raises:
            SoraError: a request that cannot be met, or a result that is not finite.
        """
        plan = resolve(request, self.defaults)
        if conditions is None and self.in_parts(plan):
            from .editing.long_clip import long_clips

            return long_clips(self, request, plan, callback)
        latent = self.sample(
            self.encode_prompt([request.prompt]),
            plan,
            negative=self.encode_prompt([request.negative]),
            seed=request.seed,
            variations=request.variations,
            conditions=self.request_conditions(request, plan.format, conditions),
            cues=[(start_s, self.encode_prompt([text])) for start_s, text in request.cues],
            callback=callback,
        )
        return [
            self.decode_stream(
                AVLatent(*(None if half is None else half[index : index + 1] for half in latent)),
                plan,
                seed=request.seed + index,
            )
            for index in range(request.variations)
        ]

    def in_parts(self, plan: Plan) -> bool:
        """Say whether a clip is longer than the model was trained on, and is therefore made part by part."""
        return plan.format.frames > self.defaults.frames

    @torch.inference_mode()
    def encode_prompt(self, prompts: Sequence[str]) -> TextStates:
        """Return the text encoder's states of one or more prompts; an empty prompt is the unconditional one.

        All are padded to the encoder's full length, as in training: the transformer sees its padding.
        """
        longest = self.text.config.max_tokens
        ids_BL, mask_BL = self.tokenizer.encode(prompts, longest)
        mask_BL = mask_BL.to(self.device)
        states_BLD = self.text(ids_BL.to(self.device), mask_BL)
        missing = longest - mask_BL.shape[1]
        return TextStates(F.pad(states_BLD, (0, 0, 0, missing)), F.pad(mask_BL, (0, missing)))

    def sample(
        self,
        prompt: TextStates,
        plan: Plan,
        *,
        negative: TextStates | None = None,
        seed: int = 0,
        variations: int = 1,
        conditions: Conditions | None = None,
        strength: float = 1.0,
        cues: Sequence[tuple[float, TextStates]] = (),
        callback: StepCallback | None = None,
    ) -> AVLatent:
        """Sample clips in latent space.

        Args:
            prompt: of one clip, or of each variation.
            plan: size, length and sampler (see `resolve`); without samples the clip is silent.
            negative: what guidance leads away from; None for the empty prompt.
            seed: of the first variation; the next ones count up.
            conditions: what to keep.
            strength: share in (0, 1] of the schedule that is run. Below 1 the clip varies the latents of
                ``conditions``, which must then be those of the whole clip (SDEdit, Meng et al. 2108.01073).
            cues: further prompts, each with the seconds at which it takes over (see `Request`).
            callback: as in `generate_stream`.

        Returns:
            float32 latents ``[variations, 16, T, H, W]`` and ``[variations, 32, A, 1]`` on the pipeline's device.

        Raises:
            SoraError: conditions that do not fit, or a result that is not finite.
        """
        shape = plan.format.latent
        shift = plan.shift if plan.shift is not None else token_shift(_tokens(shape, plan.samples > 0))
        guidance = Guidance(video=plan.guidance, audio=plan.audio_guidance, rescale=plan.guidance_rescale)
        if negative is None and guidance.needs_null:
            negative = self.encode_prompt([""])
        if plan.quick:
            # The quick model's steps have one length each, so that a share of the schedule is a share of the steps.
            whole = flow_schedule(plan.steps, shift)
            run = max(1, round(plan.steps * strength))
            if strength < 1 < plan.steps:
                # rounded up to all of them, nothing of what is given would stay
                run = min(run, plan.steps - 1)
            schedule = Schedule(whole.video[-run - 1 :], whole.audio[-run - 1 :])
        else:
            schedule = partial_schedule(plan.steps, shift, strength)
        conditions = (conditions or Conditions()).scaled(*schedule.at(0))
        denoiser = ModelDenoiser(
            model=self.model_for(plan),
            noise=draw_noise(seed, shape, audio=plan.samples > 0, count=variations, device=self.device),
            text=prompt,
            null=negative,
            cues=cues,
            guidance=guidance,
            conditions=conditions.to(self.device),
            fps=plan.format.fps,
            dtype=self.dtype,
        )
        # Each token runs from the schedule's first level times its mask, so the schedule itself starts at 1.
        return sample_latents(denoiser, schedule.from_one(), solver=plan.solver, callback=callback)

    def request_conditions(self, request: Request, fmt: ClipFormat, conditions: Conditions | None = None) -> Conditions:
        """Add a request's first, last and reference pictures to ``conditions``.

        First and last pictures are scaled to cover the clip's size, references to lie within it whole.

        Raises:
            SoraError: an unreadable picture, too many references, or ``conditions`` of another size.
        """
        conditions = conditions or Conditions()
        for source, frame in ((request.image, 0), (request.last_image, -1)):
            if source is not None:
                still = self.encode_image(read_picture(source), fmt)
                conditions = keep_frames({frame: still.later if frame else still.first}, fmt.latent, conditions)
        references = tuple(self.encode_reference(read_picture(source), fmt) for source in request.references)
        return replace(conditions, references=(*conditions.references, *references))

    def encode_image(self, image: Tensor, fmt: ClipFormat) -> StillLatents:
        """Encode a picture, uint8 ``[H, W, 3]`` of any size, for use as a frame of a clip of format ``fmt``."""
        # A latent frame after the first describes four frames in the light of earlier ones: show it four more.
        film = scaled(image, fmt.width, fmt.height).expand(1 + TEMPORAL_RATIO, -1, -1, -1)
        latent = self.encode_video(film)
        return StillLatents(first=latent[:, :, :1], later=latent[:, :, 1:])

    def encode_reference(self, image: Tensor, fmt: ClipFormat) -> Tensor:
        """Encode a picture, uint8 ``[H, W, 3]``, as a reference ``[1, 16, 1, h, w]`` for clips of format ``fmt``."""
        rows, columns = check_frames(image).shape[1:3]
        return self.encode_video(scaled(image, *size_within(columns, rows, fmt.width, fmt.height)))

    @torch.inference_mode()
    def encode_video(self, frames: Tensor) -> Tensor:
        """Encode film, uint8 ``[F, H, W, 3]`` with F = 1 + 4 k, to float32 latents ``[1, 16, T, H / 8, W / 8]``.

        Raises:
            SoraError: another type, or a size or length off the grid.
        """
        frames = check_frames(frames)
        if (len(frames) - 1) % TEMPORAL_RATIO:
            raise SoraError(
                f"{len(frames)} frames must be 1 + a multiple of 4; the next is {frames_on_grid(len(frames))}"
            )
        first = 1 + TEMPORAL_RATIO * _chunk(frames.shape[1] // SPATIAL_RATIO, frames.shape[2] // SPATIAL_RATIO)
        parts = [part for part in (frames[:first], *frames[first:].split(first - 1)) if len(part)]
        latents = self.video_vae.encode_stream(to_signed(part, self.device) for part in parts)
        return torch.cat([latent.float() for latent in latents], dim=2)

    @torch.inference_mode()
    def encode_audio(self, samples: Tensor, latents: int | None = None) -> Tensor:
        """Encode sound, float ``[S]`` in [-1, 1] at 16 kHz, to float32 latents ``[1, 32, A, 1]``.

        Args:
            samples: the sound.
            latents: length of the clip that it is for; the sound is cut, or filled up with silence, to it.
        """
        if latents is not None:
            samples = samples[: latents * SAMPLES_PER_LATENT]
            samples = F.pad(samples, (0, latents * SAMPLES_PER_LATENT - len(samples)))
        return self.audio_vae.encode(samples[None].to(self.device, torch.float32)).float()

    def decode(self, latent: AVLatent, plan: Plan) -> list[Clip]:
        """Decode latents to clips, one for each of the batch, cut to the plan's length.

        Raises:
            SoraError: a sound that is not finite, or a latent without a picture.
        """
        video, audio = latent
        if video is None:
            raise SoraError("the latent holds no picture to decode; decode its sound with decode_audio")
        clips = []
        for index in range(len(video)):
            one = AVLatent(video[index : index + 1], None if audio is None else audio[index : index + 1])
            clip = self.decode_stream(one, plan)
            clips.append(Clip(frames=torch.cat(list(clip.frames)), audio=clip.audio, fps=clip.fps))
        return clips

    def decode_stream(self, latent: AVLatent, plan: Plan, *, seed: int = 0) -> ClipStream:
        """Decode one clip's sound at once and its picture as it is read; errors as `decode`."""
        assert latent.video is not None
        sound = latent.audio is not None and plan.samples > 0
        return ClipStream(
            frames=self.decode_frames(latent.video, plan.frames),
            audio=self.decode_audio(latent.audio)[: plan.samples] if sound and latent.audio is not None else None,
            fps=plan.format.fps,
            num_frames=plan.frames,
            width=plan.format.width,
            height=plan.format.height,
            seed=seed,
        )

    @torch.inference_mode()
    def decode_frames(self, video_1CTHW: Tensor, frames: int) -> Iterator[Tensor]:
        """Yield the first ``frames`` frames of one clip as uint8 chunks ``[f, H, W, 3]`` on the CPU."""
        pieces = video_1CTHW.to(self.device).split(_chunk(*video_1CTHW.shape[3:]), dim=2)
        yield from first_frames(self.video_vae.decode_stream(pieces), frames)

    @torch.inference_mode()
    def decode_audio(self, audio_1CA1: Tensor) -> Tensor:
        """Return one clip's sound, float32 ``[S]`` on the CPU, clamped to [-1, 1].

        Raises:
            SoraError: a sample that is not finite.
        """
        samples = self.audio_vae.decode(audio_1CA1.to(self.device))[0].float().cpu()
        if not bool(torch.isfinite(samples).all()):
            raise SoraError("the sound came out not finite; run in float32 or lower the audio guidance")
        return samples.clamp(-1, 1)

    def unknown_words(self, prompt: str) -> list[tuple[str, str | None]]:
        """Return each word of the prompt that the model was not trained on, with the nearest one that it was.

        Nearness is the cosine of the two words' rows in the text encoder's table; None where the table knows the word
        as little as the model does. Without a record of trained words nothing is unknown.
        """
        if self.metadata is None or self.metadata.world is None:
            return []
        return unknown_words(prompt, self.metadata.world.words, self.text, self.tokenizer)


def read_picture(source: object) -> Tensor:
    """Return a request's picture as uint8 ``[H, W, 3]``: a path is read, an array or tensor taken as it is.

    Raises:
        SoraError: a file that is no picture, or something that is neither.
    """
    if isinstance(source, str | Path):
        return torch.from_numpy(read_image(Path(source)))
    return torch.as_tensor(source)


def scaled(image: Tensor, width: int, height: int) -> Tensor:
    """Return one picture as uint8 ``[1, H, W, 3]``, scaled to cover ``width`` x ``height`` and cut evenly to it."""
    frames = check_frames(image)
    return torch.from_numpy(cover(frames[0].cpu().numpy(), height, width)).unsqueeze(0)


def _tokens(shape: LatentShape, audio: bool) -> int:
    """Return how many picture and sound tokens the clip has."""
    return shape.video_tokens + (shape.audio if audio else 0)


def _chunk(height: int, width: int) -> int:
    """Return how many latent frames of ``height`` x ``width`` cells go through the video VAE at a time."""
    return max(1, min(MAX_CHUNK, CHUNK_CELLS // (height * width)))
