"""A pool of rendered clips in latent space: what the transformer trains on."""

# P clips in the pool, B drawn clips, T latent frames, H W latent cells, h w tokens, A audio latents

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..audio_vae import AudioVAE
from ..types import PATCH, ClipFormat
from ..video_vae import VideoVAE
from ..world.spec import Attributes
from .encoded import ENCODE_BATCH, ClipEncoder, EncodedClips, Shot
from .video_windows import TRAINING_SEEDS


@dataclass
class LatentBatch:
    """Clips in latent space.

    video: ``[B, 16, T, H, W]``. audio: ``[B, 32, A, 1]``. tail: ``[B, 16, H, W]``, the last frame held still.
    actor: ``[B, T, h, w]`` in [0, 1], share of a token's pixels that the actor covers at some time (largest of them).
    strike: ``[B, A]``, 1 just after a contact. attributes: what each shows. reference,
    second_reference: rows of clips with the same actor (or the clip itself where there is no other). second: what
    follows a cut, empty for clips without one; the cut of all clips is at the same latent frame.
    """

    video: Tensor
    audio: Tensor
    tail: Tensor
    actor: Tensor
    strike: Tensor
    attributes: list[Attributes]
    reference: Tensor
    second_reference: Tensor
    second: list[Shot]


class LatentPool:
    """Keep the newest clips as latents and replace the oldest as new ones are rendered.

    Args:
        video_vae, audio_vae: frozen, on ``device``.
        level: of the world. fmt: size and length of the clips.
        capacity: clips kept. device: where clips are rendered, encoded and kept.
        first_seed: of the first clip. split: of the attributes, as in `sample_attributes`.
        kind: one of `encoded.KINDS`.
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
        kind: str = "plain",
    ) -> None:
        self.video_vae, self.audio_vae, self.fmt = video_vae, audio_vae, fmt
        self.capacity, self.device = capacity, torch.device(device)
        self.encoder = ClipEncoder(
            video_vae=video_vae, audio_vae=audio_vae, level=level, fmt=fmt, split=split, device=self.device, kind=kind
        )
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
        self._second: list[Shot] = []
        self._same: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)

    def refresh(self, clips: int) -> None:
        """Render and encode ``clips`` new clips, in place of the oldest once the pool is full."""
        while clips > 0:
            count = min(clips, ENCODE_BATCH if self.device.type == "cpu" else 256)
            self.keep(self.encoder.make(range(self.next_seed, self.next_seed + count)))
            clips -= count

    def keep(self, made: EncodedClips) -> None:
        """Put the clips of the next seeds into the pool, in place of the oldest once it is full."""
        self.next_seed += len(made.attributes)
        for i, shown in enumerate(made.attributes):
            row = self.count % self.capacity
            if self.count >= self.capacity:
                self._same[_actor(self._attributes[row])].remove(row)
                self._attributes[row] = shown
            else:
                self._attributes.append(shown)
            self._second[row : row + 1] = made.second[i : i + 1]
            self._same[_actor(shown)].append(row)
            self._video[row], self._tail[row], self._audio[row] = made.video[i], made.tail[i], made.audio[i]
            self._actor[row], self._strike[row] = made.actor[i], made.strike[i]
            self.count += 1

    def __len__(self) -> int:
        """Return how many clips can be drawn."""
        return min(self.count, self.capacity)

    def draw(self, batch: int, generator: torch.Generator) -> LatentBatch:
        """Draw clips, each as likely; of clips with a cut, those that are cut where one of them is."""
        rows = torch.randint(len(self), (batch,), generator=generator)
        if self._second:
            cut = self._second[int(rows[0])].frame
            alike = torch.tensor([row for row, shot in enumerate(self._second) if shot.frame == cut])
            rows = alike[rows % len(alike)]
        return self.rows(rows, generator)

    def rows(self, rows: Tensor, generator: torch.Generator) -> LatentBatch:
        """Return the clips in these rows; ``generator`` chooses their references."""
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
            second=[self._second[row] for row in rows.tolist()] if self._second else [],
        )

    def first_frames(self, rows: Tensor) -> Tensor:
        """Return the first latent frame ``[B, 16, 1, H, W]`` of these rows: a picture of the clip's actor."""
        return self._video[rows.to(self.device), :, :1].float()


def _actor(shown: Attributes) -> tuple[str, str, str]:
    return shown.colour, shown.object, shown.size


def _choose(rows: Sequence[int], generator: torch.Generator) -> int:
    return rows[int(torch.randint(len(rows), (), generator=generator))]
