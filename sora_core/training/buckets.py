"""What a run trains on: for each format the pools of its kinds of clips, and how they are kept fresh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch

from ..audio_vae import AudioVAE
from ..errors import SoraError
from ..types import ClipFormat
from ..video_vae import VideoVAE
from .encoded import ENCODE_BATCH, EncodedClips, RenderBeside, Work
from .flow import DiTStageConfig
from .formats import FormatShare, seed_region, step_batches
from .latents import LatentPool
from .parallel import ALONE, Processes
from .plan import StepPlan, is_possible, plan_steps
from .shards import SHARD, missing_shards, write_with
from .tasks import TaskMix
from .video_windows import TRAINING_SEEDS

VALIDATION_CLIPS = 64
MORE_VALIDATION_CLIPS = 16
"""Unseen clips of the first format, and of every other one."""

VALIDATION_SEED = 16384

RENDERED_AT_ONCE = 128
"""Clips of one pool that a GPU renders between two steps, once so many are due."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One format of a run.

    Args:
        share: of the clips that are trained on. batch: clips in a step, of all processes together.
        pools: by kind (`encoded.KINDS`), ``plain`` first. validation: unseen clips.
    """

    share: float
    batch: int
    pools: dict[str, LatentPool]
    validation: LatentPool

    @property
    def fmt(self) -> ClipFormat:
        """Size and length of its clips."""
        return self.pools["plain"].fmt

    @property
    def level(self) -> int:
        """Level of the world that its clips show."""
        return self.pools["plain"].encoder.level


def make_buckets(
    config: DiTStageConfig,
    formats: Sequence[FormatShare],
    video_vae: VideoVAE,
    audio_vae: AudioVAE,
    *,
    level: int,
    processes: Processes = ALONE,
) -> list[Bucket]:
    """Return the empty pools of a run.

    Args:
        config: of the run. formats: its mix. video_vae, audio_vae: frozen, on the run's device.
        level: of the world, for formats that name none. processes: that share each step.

    Raises:
        SoraError: a format that is there twice at one level.
    """
    device, mix = next(video_vae.parameters()).device, config.mix
    seen = [(share.fmt, share.at(level)) for share in formats]
    if twice := [share.size for place, share in enumerate(formats) if seen[place] in seen[:place]]:
        raise SoraError(
            f"format {twice[0]} is in the mix twice at level {level}; give it once, with both shares together"
        )
    batches = step_batches([share.fmt for share in formats], config.batch, processes.size)
    whole = sum(share.share for share in formats)
    buckets: list[Bucket] = []
    for place, (share, batch) in enumerate(zip(formats, batches, strict=True)):
        fmt, at = share.fmt, share.at(level)
        of_format = share.share / whole
        kinds = {"plain": 1.0, "later": mix.later, "cut": mix.cut}
        pools = {
            kind: LatentPool(
                video_vae,
                audio_vae,
                level=at,
                fmt=fmt,
                capacity=max(ENCODE_BATCH, int(config.pool * of_format * of_kind)),
                device=device,
                first_seed=TRAINING_SEEDS + seed_region(fmt, at),
                kind=kind,
            )
            for kind, of_kind in kinds.items()
            if of_kind > 0 and is_possible(kind, fmt.latent.frames)
        }
        validation = LatentPool(
            video_vae,
            audio_vae,
            level=at,
            fmt=fmt,
            capacity=MORE_VALIDATION_CLIPS if place else VALIDATION_CLIPS,
            device=device,
            first_seed=VALIDATION_SEED + VALIDATION_CLIPS * place,
            split="any",
        )
        buckets.append(Bucket(share=of_format, batch=batch, pools=pools, validation=validation))
    return buckets


def plan_buckets(buckets: Sequence[Bucket], mix: TaskMix, most: int) -> StepPlan:
    """Return a run's steps; ``mix`` and ``most`` as in `plan.plan_steps`."""
    return plan_steps(
        mix,
        [bucket.fmt.latent.frames for bucket in buckets],
        [bucket.share for bucket in buckets],
        [bucket.batch for bucket in buckets],
        most,
    )


def clip_shares(buckets: Sequence[Bucket], plan: StepPlan) -> dict[LatentPool, float]:
    """Return what each pool gets of the clips that a run's steps use; together 1."""
    used = {
        pool: plan.of_kind(kind, place) * bucket.batch
        for place, bucket in enumerate(buckets)
        for kind, pool in bucket.pools.items()
    }
    whole = sum(used.values())
    return {pool: share / whole for pool, share in used.items()}


def load_pools(
    pools: Sequence[LatentPool],
    shares: Sequence[float],
    folder: Path,
    clips: int,
    *,
    processes: Processes = ALONE,
    say: Callable[[str], None] | None = None,
) -> None:
    """Fill pools from a folder of latents; what it lacks is made first.

    Args:
        pools: of a run. shares: of the clips that each gets.
        folder: of `shards.write_shards`; made where there is none. clips: in all pools together.
        processes: that train together; on a CPU each starts as many more as torch has threads.
        say: told what is made.

    Raises:
        SoraError: latents of another VAE, format, level or version of the world, or a folder that cannot be written.
    """
    wanted = [max(ENCODE_BATCH, int(clips * share)) for share in shares]
    missing = [
        (pool.encoder, path)
        for pool, count in zip(pools, wanted, strict=True)
        for path in missing_shards(pool.encoder, folder, count, pool.first_seed)
    ]
    # every process looks before any of them writes
    processes.gather("looked")
    total, done = len(missing), 0

    def tell() -> None:
        nonlocal done
        done = min(total, done + processes.size)
        if say is not None:
            say(f"latents: {done * SHARD:,} of {total * SHARD:,} new clips are in {folder}")

    write_with(missing[processes.rank :: processes.size], torch.get_num_threads(), tell)
    processes.gather("written")
    for pool, count in zip(pools, wanted, strict=True):
        pool.load(folder, count)


class Renewal:
    """Put new clips into the pools as steps use them up: in the step on a GPU, from a process beside it on a CPU.

    Every process of a run renders its part, and all keep all: a clip is some 20 to 70 KiB of latents, and the same
    pools everywhere make every step the same as that of one process.

    Args:
        pools: to fill. shares: of the rendering that each gets.
        processes: that render together. beside: whether to render in a process of its own, as a context manager.
    """

    def __init__(
        self, pools: Sequence[LatentPool], shares: Sequence[float], *, processes: Processes = ALONE, beside: bool
    ) -> None:
        whole = sum(shares)
        self.pools, self.processes = list(pools), processes
        self.shares = [share / whole for share in shares]
        self._owed = [0.0] * len(self.pools)
        self._wanted = beside
        self._beside: RenderBeside | None = None

    def fill(self, clips: int) -> None:
        """Render what the pools lack to ``clips`` clips in all: a batch of each at least, and no more than it holds."""
        for pool, share in zip(self.pools, self.shares, strict=True):
            wanted = min(pool.capacity, max(ENCODE_BATCH, int(clips * share)))
            pool.refresh(wanted - len(pool), self.processes)

    def __enter__(self) -> Renewal:
        """Start the process beside, if one is wanted."""
        if self._wanted:
            apart = ENCODE_BATCH * self.processes.size
            first = ENCODE_BATCH * self.processes.rank
            self._beside = RenderBeside(
                [
                    Work(pool.encoder, pool.next_seed + first, share, apart)
                    for pool, share in zip(self.pools, self.shares, strict=True)
                ]
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if self._beside is not None:
            self._beside.close()

    def renew(self, clips: float) -> None:
        """Take in what is ready, or render what is due; ``clips`` have become due since the last call."""
        self._owed = [owed + clips * share for owed, share in zip(self._owed, self.shares, strict=True)]
        if self._beside is None:
            for place, pool in enumerate(self.pools):
                # a few clips at a time would keep a GPU waiting
                if self._owed[place] >= (chunk := min(RENDERED_AT_ONCE, pool.encoder.at_once)):
                    pool.refresh(chunk, self.processes)
                    self._owed[place] -= chunk
            return
        for batches in self.processes.gather(self._ready(self._beside)):
            for made in batches:
                self.pools[made.source].keep(made)
                self._owed[made.source] -= len(made.attributes)

    def _ready(self, beside: RenderBeside) -> list[EncodedClips]:
        """Return the batches that this process takes: no more than are due."""
        taken: list[EncodedClips] = []
        while sum(self._owed) > ENCODE_BATCH * len(taken) and (made := beside.ready()) is not None:
            taken.append(made)
        return taken
