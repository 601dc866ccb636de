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
from ..types import PATCH, SAMPLE_RATE, SAMPLES_PER_LATENT, SPATIAL_RATIO, TEMPORAL_RATIO, ClipFormat
from ..video_vae import VideoVAE
from ..world.cuts import splice
from ..world.render import WorldBatch, join, render
from ..world.sample import sample_attributes, sample_second_shot
from ..world.spec import LEVELS, Attributes

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

SECOND_SEEDS = 1 << 40
"""Added to a clip's seed for the chances of its second shot."""


class Shot(NamedTuple):
    """What follows a cut. frame: latent frame that it begins with; attributes: what it shows."""

    frame: int
    attributes: Attributes


class EncodedClips(NamedTuple):
    """Clips of one kind as `LatentPool` keeps them, bfloat16; see `latents.LatentBatch` for the shapes."""

    video: Tensor
    tail: Tensor
    audio: Tensor
    actor: Tensor
    strike: Tensor
    attributes: list[Attributes]
    kind: str = "plain"
    second: Sequence[Shot] = ()


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

    def make(self, seeds: Sequence[int]) -> EncodedClips:
        """Return the clips of these seeds."""
        level, given = LEVELS[self.level], list(seeds)
        dice = [torch.Generator().manual_seed(seed) for seed in given]
        shown = [sample_attributes(level, generator, self.split) for generator in dice]
        if self.kind == "later":
            # Squared, so that more of them begin while there is still something going on.
            gone = [float(torch.rand((), generator=generator)) ** 2 for generator in dice]
            starts = [LATER[0] + (LATER[1] - LATER[0]) * share for share in gone]
            made = self.encode(render(shown, given, self.fmt, self.device, starts=starts))
            return made._replace(kind=self.kind)
        first = render(shown, given, self.fmt, self.device)
        if self.kind == "plain":
            return self.encode(first)
        then = [sample_second_shot(a, level, generator, self.split) for a, generator in zip(shown, dice, strict=True)]
        second = render(then, [seed + SECOND_SEEDS for seed in given], self.fmt, self.device)
        cuts = [cut_frame(seed, self.fmt.latent.frames) for seed in given]
        clips = [
            splice(one, two, first_pixel_frame(cut), self.fmt.fps)
            for one, two, cut in zip(first.split(), second.split(), cuts, strict=True)
        ]
        return self.encode(join(clips))._replace(
            kind=self.kind, second=[Shot(cut, attributes) for cut, attributes in zip(cuts, then, strict=True)]
        )

    @torch.no_grad()
    def encode(self, batch: WorldBatch) -> EncodedClips:
        """Return rendered clips in latent space."""
        frames = to_signed(batch.frames)
        with torch.autocast(self.device.type, torch.bfloat16):
            video = self.video_vae.encode(frames)
            tail = self.video_vae.encode(frames[:, :, -1:].expand(-1, -1, 1 + TEMPORAL_RATIO, -1, -1))[:, :, -1]
        audio = self.audio_vae.encode(batch.audio)
        kept = (video, tail, audio, _actor_tokens(batch.mask), _strikes(batch.contacts, audio.shape[2], self.device))
        return EncodedClips(*(tensor.bfloat16() for tensor in kept), attributes=batch.attributes)


class Work(NamedTuple):
    """What a process beside is to render: with which encoder (on the CPU), from which seed on, and how much of it."""

    encoder: ClipEncoder
    first_seed: int
    share: float


class RenderBeside:
    """Render clips ahead in a process of its own, on one CPU core beside the training step.

    A thread would share Python's lock with the step: measured, 2 clips a second against 40.

    Args:
        works: kinds of clips, made in turns by their shares.
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
        made = works[turn].encoder.make(range(seeds[turn], seeds[turn] + ENCODE_BATCH))
        seeds[turn] += ENCODE_BATCH
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
    """Return ``[B, T, h, w]``: the largest share of each token's pixels that the actor covers within its frames."""
    side = SPATIAL_RATIO * PATCH
    share = F.avg_pool2d(mask_BFHW, side)
    first, rest = share[:, :1], share[:, 1:]
    return torch.cat([first, rest.unflatten(1, (-1, TEMPORAL_RATIO)).amax(2)], 1)


def _strikes(contacts: Sequence[Tensor], latents: int, device: torch.device) -> Tensor:
    strike = torch.zeros(len(contacts), latents, device=device)
    for clip, times in enumerate(contacts):
        for time in times.tolist():
            first = int(time * LATENTS_PER_SECOND)
            strike[clip, first : first + STRIKE_LATENTS] = 1.0
    return strike
