"""Rendered clips in latent space, made on the spot or by a process of their own."""

# B clips, F frames, T latent frames, H W latent cells, h w tokens, A audio latents

from __future__ import annotations

import queue
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, NamedTuple

import torch
import torch.multiprocessing
import torch.nn.functional as F
from torch import Tensor

from ..audio_vae import AudioVAE
from ..errors import SoraError
from ..pixels import to_signed
from ..processor import low_precision
from ..types import PATCH, SAMPLE_RATE, SAMPLES_PER_LATENT, SPATIAL_RATIO, TEMPORAL_RATIO, ClipFormat
from ..video_vae import VideoVAE
from ..world.cuts import splice
from ..world.render import WorldBatch, join, render
from ..world.sample import sample_attributes, sample_second_shot
from ..world.spec import LEVELS, Attributes
from .formats import size_of

LATENTS_PER_SECOND = SAMPLE_RATE / SAMPLES_PER_LATENT
STRIKE_LATENTS = 3
"""Audio latents from a contact on that are weighted up in the loss."""

ENCODE_BATCH = 16
WAITING = 12
"""Batches that a process renders ahead."""


KINDS = ("plain", "later", "cut")
"""Whole motions from their beginning; windows that begin later in a motion; two shots with a cut between them."""

LATER = (0.3, 6.0)
"""Seconds of a motion that have gone by where a later window begins."""

FIRST_CUT = 2
LAST_SHOT = 2
"""Latent frames that the first shot has at least, and the last."""

SECOND_SEEDS = 1 << 31
"""Added to a clip's seed for the chances of its second shot; torch's CPU generators read the lower 32 bits alone."""

GPU_PIXELS = 256 * 96 * 96 * 49
"""Pixels that a GPU renders and encodes at once, all frames counted, and the most clips that this may be."""
GPU_BATCH = 256


class Shot(NamedTuple):
    """What follows a cut. frame: latent frame that it begins with; attributes: what it shows."""

    frame: int
    attributes: Attributes


class Planned(NamedTuple):
    """What clips are to show. shown: of each. starts: seconds into the motion. second: after the cut; or empty."""

    shown: list[Attributes]
    starts: list[float]
    second: list[Shot]


class EncodedClips(NamedTuple):
    """Clips of one kind as `LatentPool` keeps them, bfloat16; see `latents.LatentBatch` for the shapes.

    seeds: of the clips, in order. source: place of their pool among those of a run.
    """

    video: Tensor
    tail: Tensor
    audio: Tensor
    actor: Tensor
    strike: Tensor
    attributes: list[Attributes]
    kind: str = "plain"
    second: Sequence[Shot] = ()
    seeds: Sequence[int] = ()
    source: int = 0

    def to(self, device: torch.device | str) -> EncodedClips:
        """Return the same clips on a device."""
        video, tail, audio, actor, strike = (tensor.to(device) for tensor in self[:5])
        return self._replace(video=video, tail=tail, audio=audio, actor=actor, strike=strike)


@dataclass(frozen=True, kw_only=True)
class ClipEncoder:
    """Render clips of the world and encode them; a clip depends on its seed alone.

    Args:
        video_vae, audio_vae: frozen, on ``device``.
        level: of the world. fmt: size and length. split: of the attributes, as in `sample_attributes`.
        kind: one of `KINDS`.
    """

    video_vae: VideoVAE
    audio_vae: AudioVAE
    level: int
    fmt: ClipFormat
    split: str
    device: torch.device
    kind: str = "plain"

    @property
    def name(self) -> str:
        """What is made, in one word: ``"plain-64x64x25-12fps-level1"``."""
        return f"{self.kind}-{size_of(self.fmt)}-{self.fmt.fps:g}fps-level{self.level}"

    @property
    def at_once(self) -> int:
        """Clips to make at a time: enough to keep the device busy, and no more than its memory holds."""
        if self.device.type == "cpu":
            return ENCODE_BATCH
        return max(ENCODE_BATCH, min(GPU_BATCH, GPU_PIXELS // self.fmt.pixels))

    def plan(self, seeds: Sequence[int]) -> Planned:
        """Return what the clips of these seeds show, without rendering them."""
        level = LEVELS[self.level]
        dice = [torch.Generator().manual_seed(seed) for seed in seeds]
        shown = [sample_attributes(level, generator, self.split) for generator in dice]
        starts: list[float] = []
        second: list[Shot] = []
        if self.kind == "later":
            # Squared, so that more of them begin while there is still something going on.
            gone = [float(torch.rand((), generator=generator)) ** 2 for generator in dice]
            # A camera that has gone on for several clips' lengths has zoomed past everything.
            moving = max(LATER[0], min(LATER[1], self.fmt.seconds / 2))
            last = [LATER[1] if attributes.camera == "still" else moving for attributes in shown]
            starts = [LATER[0] + (end - LATER[0]) * share for end, share in zip(last, gone, strict=True)]
        elif self.kind == "cut":
            frames = self.fmt.latent.frames
            second = [
                Shot(cut_frame(seed, frames), sample_second_shot(first, level, generator, self.split))
                for seed, first, generator in zip(seeds, shown, dice, strict=True)
            ]
        return Planned(shown, starts, second)

    def make(self, seeds: Sequence[int]) -> EncodedClips:
        """Return the clips of these seeds."""
        planned = self.plan(seeds)
        made = self.encode(self._rendered(seeds, planned))
        return made._replace(kind=self.kind, seeds=list(seeds), second=planned.second)

    def picture(self, seeds: Sequence[int]) -> WorldBatch:
        """Return the rendered clips of these seeds."""
        return self._rendered(seeds, self.plan(seeds))

    def _rendered(self, seeds: Sequence[int], planned: Planned) -> WorldBatch:
        given = list(seeds)
        first = render(planned.shown, given, self.fmt, self.device, starts=planned.starts)
        if not planned.second:
            return first
        then = [shot.attributes for shot in planned.second]
        second = render(then, [seed + SECOND_SEEDS for seed in given], self.fmt, self.device)
        clips = [
            splice(one, two, first_pixel_frame(shot.frame), self.fmt.fps)
            for one, two, shot in zip(first.split(), second.split(), planned.second, strict=True)
        ]
        return join(clips)

    @torch.no_grad()
    def encode(self, batch: WorldBatch) -> EncodedClips:
        """Return rendered clips in latent space."""
        frames = to_signed(batch.frames)
        with low_precision(self.device):
            video = self.video_vae.encode(frames)
            tail = self.video_vae.encode(frames[:, :, -1:].expand(-1, -1, 1 + TEMPORAL_RATIO, -1, -1))[:, :, -1]
        audio = self.audio_vae.encode(batch.audio)
        actors = _actor_tokens(torch.maximum(batch.mask, batch.other_mask))
        kept = (video, tail, audio, actors, _strikes(batch.contacts, audio.shape[2]).to(self.device))
        return EncodedClips(*(tensor.bfloat16() for tensor in kept), attributes=batch.attributes)


class Work(NamedTuple):
    """What a process beside is to render: with which encoder (on the CPU), from which seed on, and how much of it.

    apart: seeds from one batch of it to the next, more than a batch where other processes make those between.
    """

    encoder: ClipEncoder
    first_seed: int
    share: float
    apart: int = ENCODE_BATCH


class RenderBeside:
    """Render clips ahead in a process of its own, on one CPU core beside the training step.

    A thread would share Python's lock with the step: measured, 2 clips a second against 40.

    Args:
        works: kinds and formats of clips, made in turns by their shares; a batch names its work as its ``source``.
    """

    def __init__(self, works: Sequence[Work]) -> None:
        context: Any = torch.multiprocessing.get_context("spawn")
        self._clips = context.Queue(maxsize=WAITING)
        self._stop = context.Event()
        self._process = context.Process(
            target=_render_on, args=(works, self._clips, self._stop), name="sora-render", daemon=True
        )
        self._process.start()

    def ready(self) -> EncodedClips | None:
        """Return a batch that is ready, or None.

        Raises:
            SoraError: the process has died.
        """
        try:
            return self._clips.get_nowait()
        except queue.Empty:
            if not self._process.is_alive():
                code = self._process.exitcode
                raise SoraError(f"the rendering process ended with code {code}; its error stands above") from None
            return None

    def close(self) -> None:
        """End the process."""
        self._stop.set()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()
        self._clips.close()


def _render_on(works: Sequence[Work], clips: Any, stop: Event) -> None:  # noqa: ANN401
    """Render until stopped; an interrupt is the training process's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    seeds = [work.first_seed for work in works]
    owed = [0.0] * len(works)
    while not stop.is_set():
        owed = [debt + work.share for debt, work in zip(owed, works, strict=True)]
        turn = owed.index(max(owed))
        owed[turn] -= sum(work.share for work in works)
        made = works[turn].encoder.make(range(seeds[turn], seeds[turn] + ENCODE_BATCH))._replace(source=turn)
        seeds[turn] += works[turn].apart
        while not stop.is_set():
            try:
                clips.put(made, timeout=0.5)
                break
            except queue.Full:
                continue
    # What nobody takes must not keep the process from ending.
    clips.cancel_join_thread()


def can_cut(frames: int) -> bool:
    """Say whether a clip of so many latent frames is long enough for two shots."""
    return frames >= FIRST_CUT + LAST_SHOT


def cut_frame(seed: int, frames: int) -> int:
    """Return the latent frame that the second shot of a clip begins with: clips of neighbouring seeds take turns."""
    return FIRST_CUT + seed % (frames - FIRST_CUT - LAST_SHOT + 1)


def first_pixel_frame(latent_frame: int) -> int:
    """Return the first of the pixel frames that a latent frame holds."""
    return max(0, TEMPORAL_RATIO * (latent_frame - 1) + 1)


def _actor_tokens(mask_BFHW: Tensor) -> Tensor:
    """Return ``[B, T, h, w]``: the largest share of each token's pixels that actors cover within its frames."""
    side = SPATIAL_RATIO * PATCH
    share = F.avg_pool2d(mask_BFHW, side)
    first, rest = share[:, :1], share[:, 1:]
    return torch.cat([first, rest.unflatten(1, (-1, TEMPORAL_RATIO)).amax(2)], 1)


def _strikes(contacts: Sequence[Tensor], latents: int) -> Tensor:
    """Return ``[B, A]`` on the CPU; the times are fetched from the device at once."""
    strike = torch.zeros(len(contacts), latents)
    times = torch.cat(list(contacts)).tolist()
    clips = [clip for clip, found in enumerate(contacts) for _ in range(len(found))]
    for clip, time in zip(clips, times, strict=True):
        first = int(time * LATENTS_PER_SECOND)
        strike[clip, first : first + STRIKE_LATENTS] = 1.0
    return strike
