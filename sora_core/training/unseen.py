"""The loss on clips that training never shows, at fixed noise: what a run's log is read by."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .buckets import Bucket
from .flow import DiTStageConfig, Generator, flow_loss
from .formats import size_of
from .steps import StepDraw
from .tasks import Levels

VALIDATION_LEVELS = (0.15, 0.4, 0.65, 0.9)


@torch.no_grad()
def measure_unseen(
    models: Generator, buckets: Sequence[Bucket], steps: StepDraw, config: DiTStageConfig
) -> dict[str, float]:
    """Return the models' loss on unseen clips: ``unseen_video``, ``unseen_audio`` and ``unseen_concepts`` of the first
    format, ``unseen_video_96x96x49`` and ``unseen_audio_96x96x49`` of each other one.
    """
    models.eval()
    found: dict[str, float] = {}
    for place, bucket in enumerate(buckets):
        terms = _measure(models, bucket, steps, config)
        names = {"video": "unseen_video", "audio": "unseen_audio"}
        if place:
            level = f"@{bucket.level}" if bucket.fmt in [other.fmt for other in buckets[:place]] else ""
            names = {term: f"{name}_{size_of(bucket.fmt)}{level}" for term, name in names.items()}
        else:
            names["concepts"] = "unseen_concepts"
        found |= {name: terms[term] for term, name in names.items()}
    return found


def _measure(models: Generator, bucket: Bucket, steps: StepDraw, config: DiTStageConfig) -> dict[str, float]:
    pool = bucket.validation
    clips = len(pool)
    batch = pool.rows(torch.arange(clips), torch.Generator().manual_seed(0))
    told = steps.tell(batch.attributes, ["medium"] * clips, range(clips))
    generator = torch.Generator(pool.device).manual_seed(1)
    sums: dict[str, float] = dict.fromkeys(("video", "audio", "concepts"), 0.0)
    for value in VALIDATION_LEVELS:
        level = torch.full((clips, 1), value, device=pool.device)
        levels = Levels(
            video=level.expand(-1, batch.video.shape[2]),
            audio=level.expand(-1, batch.audio.shape[2]),
            tail=torch.zeros(clips, dtype=torch.bool, device=pool.device),
        )
        terms = flow_loss(
            models,
            batch,
            levels,
            told,
            fps=pool.fmt.fps,
            references=(),
            silent=False,
            generator=generator,
            config=config,
        )
        for name in sums:
            sums[name] += float(terms[name]) / len(VALIDATION_LEVELS)
    return sums
