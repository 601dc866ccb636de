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
from ..world.render import WorldBatch, render
from ..world.sample import sample_attributes
from ..world.spec import LEVELS, Attributes

LATENTS_PER_SECOND = SAMPLE_RATE / SAMPLES_PER_LATENT
STRIKE_LATENTS = 3
"""Audio latents from a contact on that are weighted up in the loss."""

ENCODE_BATCH = 16
WAITING = 12
"""Batches that a process renders ahead."""


class EncodedClips(NamedTuple):
    """Clips as `LatentPool` keeps them, bfloat16; see `latents.LatentBatch` for the shapes."""

    video: Tensor
    tail: Tensor
    audio: Tensor
    actor: Tensor
    strike: Tensor
    attributes: list[Attributes]


@dataclass(frozen=True, kw_only=True)
class ClipEncoder:
    """Render clips of the world and encode them; a clip depends on its seed alone.

    Args:
        video_vae, audio_vae: frozen, on ``device``.
        level: of the world. fmt: size and length. split: of the attributes, as in `sample_attributes`.
    """

    video_vae: VideoVAE
    audio_vae: AudioVAE
    level: int
    fmt: ClipFormat
    split: str
    device: torch.device

    def make(self, seeds: Sequence[int]) -> EncodedClips:
        """Return the clips of these seeds."""
        level = LEVELS[self.level]
        shown = [sample_attributes(level, torch.Generator().manual_seed(seed), self.split) for seed in seeds]
        return self.encode(render(shown, list(seeds), self.fmt, self.device))

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


class RenderBeside:
    """Render clips ahead in a process of its own, on one CPU core beside the training step.

    A thread would share Python's lock with the step: measured, 2 clips a second against 40.

    Args:
        encoder: on the CPU. first_seed: of the first clip.
    """

    def __init__(self, encoder: ClipEncoder, first_seed: int) -> None:
        context: Any = torch.multiprocessing.get_context("spawn")
        self._clips = context.Queue(maxsize=WAITING)
        self._stop = context.Event()
        self._process = context.Process(
            target=_render_on, args=(encoder, first_seed, self._clips, self._stop), name="sora-render", daemon=True
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


def _render_on(encoder: ClipEncoder, seed: int, clips: Any, stop: Event) -> None:  # noqa: ANN401
    """Render until stopped; an interrupt is the training process's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    while not stop.is_set():
        made = encoder.make(range(seed, seed + ENCODE_BATCH))
        seed += ENCODE_BATCH
        while not stop.is_set():
            try:
                clips.put(made, timeout=0.5)
                break
            except queue.Full:
                continue
    # What nobody takes must not keep the process from ending.
    clips.cancel_join_thread()


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
