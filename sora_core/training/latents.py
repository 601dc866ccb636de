"""A pool of rendered clips in latent space: what the transformer trains on."""

# P clips in the pool, B drawn clips, T latent frames, H W latent cells, h w tokens, A audio latents

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..audio_vae import AudioVAE
from ..types import PATCH, ClipFormat
from ..video_vae import VideoVAE
from ..world.spec import Attributes
from .encoded import ClipEncoder, EncodedClips, Shot
from .parallel import ALONE, Processes
from .shards import read_shards
from .video_windows import TRAINING_SEEDS


@dataclass
class LatentBatch:
    """Clips in latent space.

    video: ``[B, 16, T, H, W]``. audio: ``[B, 32, A, 1]``. tail: ``[B, 16, H, W]``, the last frame held still.
    actor: ``[B, T, h, w]`` in [0, 1], share of a token's pixels that actors cover at some time (largest of them).
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
        self.first_seed = self.next_seed = first_seed
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

    def refresh(self, clips: int, processes: Processes = ALONE) -> None:
        """Render and encode ``clips`` new clips, in place of the oldest once the pool is full.

        Args:
            clips: how many. processes: that make them together; each keeps all of them.
        """
        while clips > 0:
            count = min(clips, self.encoder.at_once * processes.size)
            seeds = range(self.next_seed, self.next_seed + count)
            for made in processes.gather(self._made(seeds[processes.part(count)], processes)):
                if made is not None:
                    self.keep(made)
            clips -= count

    def _made(self, seeds: range, processes: Processes) -> EncodedClips | None:
        if not seeds:
            return None
        made = self.encoder.make(seeds)
        return made if processes.size == 1 else made.to("cpu")

    def keep(self, made: EncodedClips) -> None:
        """Put clips into the pool, in place of the oldest once it is full; the next seed follows the last of theirs."""
        count = len(made.attributes)
        self.next_seed = max(self.next_seed, made.seeds[-1] + 1) if made.seeds else self.next_seed + count
        for first in range(0, count, self.capacity):
            self._put(made, range(first, min(first + self.capacity, count)))

    def _put(self, made: EncodedClips, clips: range) -> None:
        """Keep a neighbouring few of the clips, no more than there is room for."""
        rows = [(self.count + i) % self.capacity for i in range(len(clips))]
        for row, clip in zip(rows, clips, strict=True):
            shown = made.attributes[clip]
            if row < len(self._attributes):
                self._same[_actor(self._attributes[row])].remove(row)
                self._attributes[row] = shown
            else:
                self._attributes.append(shown)
            self._second[row : row + 1] = made.second[clip : clip + 1]
            self._same[_actor(shown)].append(row)
        at = torch.tensor(rows).to(self.device)
        pairs = zip((self._video, self._tail, self._audio, self._actor, self._strike), made[:5], strict=True)
        for held, new in pairs:
            held[at] = new[clips.start : clips.stop].to(self.device)
        self.count += len(clips)

    def load(self, folder: Path, clips: int) -> int:
        """Put up to ``clips`` clips into the pool that were made beforehand, and return how many there were.

        Raises:
            SoraError: a file of it holds other latents than this pool's, see `shards.read_shards`.
        """
        found = 0
        for made in read_shards(self.encoder, folder, clips):
            self.keep(made)
            found += len(made.attributes)
        return found

    def __len__(self) -> int:
        """Return how many clips can be drawn."""
        return min(self.count, self.capacity)

    def draw(self, batch: int, generator: torch.Generator, processes: Processes = ALONE) -> LatentBatch:
        """Draw clips, each as likely; of clips with a cut, those that are cut where one of them is.

        Args:
            batch: of all processes together. generator: on the CPU, at the same place in each of them.
            processes: whose part is returned.
        """
        rows = torch.randint(len(self), (batch,), generator=generator)
        if self._second:
            cut = self._second[int(rows[0])].frame
            alike = torch.tensor([row for row, shot in enumerate(self._second) if shot.frame == cut])
            rows = alike[rows % len(alike)]
        return self.rows(rows, generator, processes)

    def rows(self, rows: Tensor, generator: torch.Generator, processes: Processes = ALONE) -> LatentBatch:
        """Return the clips in these rows; ``generator`` chooses their references."""
        part = processes.part(len(rows))
        chances = torch.rand(2, len(rows), generator=generator)[:, part].tolist()
        rows = rows[part]
        shown = [self._attributes[row] for row in rows.tolist()]
        first, second = (
            [_choose(self._same[_actor(a)], at) for a, at in zip(shown, row, strict=True)] for row in chances
        )
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

    def shown(self, count: int, generator: torch.Generator) -> list[Attributes]:
        """Return what ``count`` drawn clips show."""
        return [self._attributes[row] for row in torch.randint(len(self), (count,), generator=generator).tolist()]

    def first_frames(self, rows: Tensor) -> Tensor:
        """Return the first latent frame ``[B, 16, 1, H, W]`` of these rows: a picture of the clip's actor."""
        return self._video[rows.to(self.device), :, :1].float()


def _actor(shown: Attributes) -> tuple[str, str, str]:
    return shown.colour, shown.object, shown.size


def _choose(rows: Sequence[int], chance: float) -> int:
    return rows[int(chance * len(rows))]
