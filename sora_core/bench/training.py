"""A training run, stage by stage: clips rendered, encoded, told and learned from in a second, and what holds it up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..training.buckets import Bucket
from ..training.building import dit_trainer
from ..training.dit import DiTTrainer
from ..training.flow import DiTStageConfig
from ..training.formats import MIXES, FormatShare, size_of
from .timing import median_seconds

REPEATS = 3
"""Samples behind each median: on a CPU one step of a long format takes seconds."""

AIM = 1000.0
AIM_SIDE = 96
"""Clips a second that one H200 is to train on, at about so many pixels a side (our own aim)."""

STAGES = ("render", "encode", "tell", "forward", "backward", "update")

DOES = {
    "render": "rendering",
    "encode": "encoding",
    "tell": "drawing clips and telling captions",
    "forward": "the forward pass",
    "backward": "the backward pass",
    "update": "the optimizer",
}


def bench_training(
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
    *,
    formats: Sequence[FormatShare] = MIXES["whole"],
    preset: str = "micro",
    level: int = 3,
    batch: int | None = None,
    compile_blocks: bool = False,
    repeats: int = REPEATS,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure each stage of a training run at each format of a mix, with the trainer's own code.

    Args:
        checkpoint: whose VAEs encode, or the shipped one's. device: where. formats: mix, see `formats.parse_formats`.
        preset: of the transformer, see `dit.PRESETS`; its weights are new. level: of the world.
        batch: clips in a step of the first format, 48 on a CPU and 256 on a GPU unless given.
        compile_blocks: as in training. repeats: samples behind each median. tell: told what comes next.

    Returns:
        Under ``formats`` for each (``"96x96x49"``, with ``@level`` where it names one) its ``batch``, ``share`` of the
        clips, and clips a second of each stage alone: ``render_per_s``, ``encode_per_s``, ``tell_per_s`` (on the CPU,
        beside a GPU's work), ``forward_per_s``, ``backward_per_s``, ``update_per_s``, and of a step ``step_per_s`` and
        the whole ``run_per_s``, where each clip is rendered once for every four times that it is trained on.
        ``run_per_s`` of the mix, ``aim_per_s``, ``aim_format``, ``aim_met`` (None without a format near 96 px) and
        ``in_the_way``, a sentence.

    Raises:
        SoraError: no usable model, or a mix that cannot be trained.
    """
    place = torch.device(device)
    cuda = place.type == "cuda"
    say = tell or (lambda _: None)
    size = batch or (256 if cuda else DiTStageConfig.batch)
    config = DiTStageConfig(
        batch=size,
        pool=4 * size,
        start=0,
        refresh=-(-DiTStageConfig.refresh * size // DiTStageConfig.batch),
        formats=tuple(formats),
        compile=compile_blocks,
        words=0.0,
    )
    start = Path(checkpoint) if checkpoint is not None else None
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="sora-bench-") as folder:
        trainer = dit_trainer(config, Path(folder), preset=preset, level=level, device=place, vaes_of=start)
        trainer.minutes = 0.5 * config.minutes
        reuse = size / config.refresh
        for share, bucket in zip(formats, trainer.buckets, strict=True):
            name = size_of(bucket.fmt) + ("" if share.level is None else f"@{share.level}")
            say(name)
            seconds = _stages(trainer, bucket, repeats)
            found[name] = _figures(bucket, seconds, reuse=reuse, cuda=cuda)
    whole = 1 / sum(figures["share"] / figures["run_per_s"] for figures in found.values())
    return {
        "preset": preset,
        "formats": found,
        "run_per_s": whole,
        "aim_per_s": AIM,
        **_judged(found, cuda=cuda),
    }


def _stages(trainer: DiTTrainer, bucket: Bucket, repeats: int) -> dict[str, float]:
    """Return the seconds a clip that each stage takes."""
    pool = bucket.pools["plain"]
    encoder, device = pool.encoder, trainer.device
    seeds = range(pool.first_seed, pool.first_seed + encoder.at_once)
    made = encoder.picture(seeds)
    render, encode = median_seconds(
        lambda: encoder.picture(seeds), lambda: encoder.encode(made), device=device, repeats=repeats, least=0.0
    )
    pool.keep(encoder.make(seeds))
    step = trainer.steps.draw_as(bucket, "joint")
    trainer.models.train()

    def backward() -> None:
        trainer.loss(step)["loss"].backward()

    def whole() -> None:
        backward()
        trainer.update()

    def drawn() -> None:
        trainer.steps.draw_as(bucket, "joint")

    def forward() -> None:
        trainer.loss(step)

    # what a stage adds to the one before, since a backward pass needs its own forward pass
    tell, to_loss, to_gradient, to_end = median_seconds(
        drawn, forward, backward, whole, device=device, repeats=repeats, least=0.0
    )
    trainer.optimizer.zero_grad(set_to_none=True)
    made_at_once = len(seeds)
    return {
        "render": render / made_at_once,
        "encode": encode / made_at_once,
        "tell": tell / bucket.batch,
        "forward": to_loss / bucket.batch,
        "backward": max(to_gradient - to_loss, 1e-9) / bucket.batch,
        "update": max(to_end - to_gradient, 1e-9) / bucket.batch,
    }


def _figures(bucket: Bucket, seconds: dict[str, float], *, reuse: float, cuda: bool) -> dict[str, Any]:
    """Return a format's figures: of each stage alone, and of all of them as a run has them."""
    step = seconds["forward"] + seconds["backward"] + seconds["update"]
    # a GPU computes while the CPU tells the next captions; without one, a process beside renders
    new = (seconds["render"] + seconds["encode"]) / reuse
    run = max(step + new, seconds["tell"]) if cuda else max(step + seconds["tell"], new)
    return {
        "batch": bucket.batch,
        "share": bucket.share,
        **{f"{name}_per_s": 1 / seconds[name] for name in STAGES},
        "step_per_s": 1 / step,
        "run_per_s": 1 / run,
        "costs": {
            name: value / (reuse if name in ("render", "encode") else 1.0) / run for name, value in seconds.items()
        },
    }


def _judged(found: dict[str, dict[str, Any]], *, cuda: bool) -> dict[str, Any]:
    """Return whether the aim is met at the format nearest to it, and what stands in the way, in a sentence."""
    near = [name for name in found if name.startswith(f"{AIM_SIDE}x{AIM_SIDE}x")]
    name = near[0] if near else max(found, key=lambda key: found[key]["share"])
    figures = found[name]
    costs: dict[str, float] = figures["costs"]
    slowest = max(costs, key=lambda stage: costs[stage])
    speed = figures["run_per_s"]
    met = speed >= AIM if near and cuda else None
    aim = f"which meets the {AIM:,.0f} aimed at on one H200" if met else f"where {AIM:,.0f} on one H200 are the aim"
    sentence = (
        f"at {name} a run trains on {speed:,.1f} clips/s, {aim}: {DOES[slowest]} stands in the way with "
        f"{costs[slowest]:.0%} of a clip's time ({figures[f'{slowest}_per_s']:,.1f} clips/s alone)"
    )
    return {"aim_format": name if near else None, "aim_met": met, "in_the_way": sentence}
