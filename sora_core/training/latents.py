"""A pool of rendered clips in latent space: what the transformer trains on."""

# P clips in the pool, B drawn clips, T latent frames, H W latent cells, h w tokens, A audio latents

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio_vae import AudioVAE
from ..types import PATCH, SAMPLE_RATE, SAMPLES_PER_LATENT, SPATIAL_RATIO, TEMPORAL_RATIO, ClipFormat
from ..video_vae import VideoVAE
from ..world.render import WorldBatch, render
from ..world.sample import sample_attributes
from ..world.spec import LEVELS, Attributes
from .video_windows import TRAINING_SEEDS, to_signed

LATENTS_PER_SECOND = SAMPLE_RATE / SAMPLES_PER_LATENT
STRIKE_LATENTS = 3
"""Audio latents from a contact on that are weighted up in the loss."""

ENCODE_BATCH = 16


@dataclass
class LatentBatch:
    """Clips in latent space.

    video: ``[B, 16, T, H, W]``. audio: ``[B, 32, A, 1]``. tail: ``[B, 16, H, W]``, the last frame held still.
    actor: ``[B, T, h, w]`` in [0, 1], share of a token's pixels that the actor covers at some time (largest of them).
    strike: ``[B, A]``, 1 just after a contact. attributes: what each shows. reference,
    second_reference: rows of clips with the same actor (or the clip itself where there is no other).
    """

    video: Tensor
    audio: Tensor
    tail: Tensor
    actor: Tensor
    strike: Tensor
    attributes: list[Attributes]
    reference: Tensor
    second_reference: Tensor


class LatentPool:
    """Keep the newest clips as latents and replace the oldest as new ones are rendered.

    Args:
        video_vae, audio_vae: frozen, on ``device``.
        level: of the world. fmt: size and length of the clips.
        capacity: clips kept. device: where clips are rendered, encoded and kept.
        first_seed: of the first clip.
    """

    def __init__(
        self,
        video_vae: VideoVAE,
        audio_vae: AudioVAE,
        *,
        level: int,
        fmt: ClipFormat,
        capacity: int,
        device: torch.device | str = "cpu",
        first_seed: int = TRAINING_SEEDS,
        split: str = "train",
    ) -> None:
        self.video_vae, self.audio_vae = video_vae, audio_vae
        self.level, self.fmt, self.split = level, fmt, split
        self.capacity, self.device = capacity, torch.device(device)
        self.next_seed = first_seed
        self.count = 0
        shape = fmt.latent
        kept = {"dtype": torch.bfloat16, "device": self.device}
        self._video = torch.zeros(capacity, 16, shape.frames, shape.height, shape.width, **kept)
        self._tail = torch.zeros(capacity, 16, shape.height, shape.width, **kept)
        self._audio = torch.zeros(capacity, 32, shape.audio, 1, **kept)
        self._actor = torch.zeros(capacity, shape.frames, shape.height // PATCH, shape.width // PATCH, **kept)
        self._strike = torch.zeros(capacity, shape.audio, **kept)
        self._attributes: list[Attributes] = []
        self._same: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        self._lock = threading.Lock()

    def refresh(self, clips: int) -> None:
        """Render and encode ``clips`` new clips, in place of the oldest once the pool is full."""
        while clips > 0:
            seeds = range(
                self.next_seed, self.next_seed + min(clips, ENCODE_BATCH if self.device.type == "cpu" else 256)
            )
            self.next_seed += len(seeds)
            clips -= len(seeds)
            level = LEVELS[self.level]
            shown = [sample_attributes(level, torch.Generator().manual_seed(s), self.split) for s in seeds]
            self._keep(render(shown, list(seeds), self.fmt, self.device))

    @torch.no_grad()
    def _keep(self, batch: WorldBatch) -> None:
        frames = to_signed(batch.frames)
        with torch.autocast(self.device.type, torch.bfloat16):
            video = self.video_vae.encode(frames)
            tail = self.video_vae.encode(frames[:, :, -1:].expand(-1, -1, 1 + TEMPORAL_RATIO, -1, -1))[:, :, -1]
        audio = self.audio_vae.encode(batch.audio)
        actor, strike = _actor_tokens(batch.mask), _strikes(batch.contacts, audio.shape[2], self.device)
        with self._lock:
            for i, shown in enumerate(batch.attributes):
                row = self.count % self.capacity
                if self.count >= self.capacity:
                    self._same[_actor(self._attributes[row])].remove(row)
                    self._attributes[row] = shown
                else:
                    self._attributes.append(shown)
                self._same[_actor(shown)].append(row)
                self._video[row], self._tail[row], self._audio[row] = video[i], tail[i], audio[i]
                self._actor[row], self._strike[row] = actor[i], strike[i]
                self.count += 1

    def __len__(self) -> int:
        """Return how many clips can be drawn."""
        return min(self.count, self.capacity)

    def draw(self, batch: int, generator: torch.Generator) -> LatentBatch:
        """Draw clips, each as likely."""
        return self.rows(torch.randint(len(self), (batch,), generator=generator), generator)

    def rows(self, rows: Tensor, generator: torch.Generator) -> LatentBatch:
        """Return the clips in these rows; ``generator`` chooses their references."""
        with self._lock:
            shown = [self._attributes[row] for row in rows.tolist()]
            first, second = ([_choose(self._same[_actor(a)], generator) for a in shown] for _ in range(2))
            at = rows.to(self.device)
            return LatentBatch(
                video=self._video[at].float(),
                audio=self._audio[at].float(),
                tail=self._tail[at].float(),
                actor=self._actor[at].float(),
                strike=self._strike[at].float(),
                attributes=shown,
                reference=torch.tensor(first),
                second_reference=torch.tensor(second),
            )

    def first_frames(self, rows: Tensor) -> Tensor:
        """Return the first latent frame ``[B, 16, 1, H, W]`` of these rows: a picture of the clip's actor."""
        with self._lock:
            return self._video[rows.to(self.device), :, :1].float()


class BackgroundRefresh:
    """Refresh a pool from a thread of its own, one CPU core beside the training step.

    Args:
        pool: to refresh. paused: asked before each piece of work; True waits.
    """

    def __init__(self, pool: LatentPool, paused: Callable[[], bool] = lambda: False) -> None:
        self._pool, self._paused = pool, paused
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="latent-pool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the clips under way."""
        self._stop.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        # Thread counts belong to the calling thread: one for rendering leaves the rest to the training step.
        torch.set_num_threads(1)
        try:
            while not self._stop.is_set():
                if self._paused():
                    self._stop.wait(0.2)
                else:
                    self._pool.refresh(ENCODE_BATCH)
        except BaseException as error:  # told to the trainer, which would otherwise go on with a stale pool
            self.error = error


def _actor(shown: Attributes) -> tuple[str, str, str]:
    return shown.colour, shown.object, shown.size


def _choose(rows: Sequence[int], generator: torch.Generator) -> int:
    return rows[int(torch.randint(len(rows), (), generator=generator))]


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
