"""The stage ``distil``: from a trained model to the same file with a quick model beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..checkpoint import find_checkpoint, load_checkpoint, write_quick
from ..checkpoint.metadata import file_hash
from ..pipeline import Pipeline
from ..request import Defaults, Quick, Request, resolve
from ..types import Clip
from .buckets import load_pools, make_buckets
from .distil import Distiller
from .distil_config import DistilConfig
from .encoded import ENCODE_BATCH
from .flow import DiTStageConfig
from .formats import FormatShare, size_of
from .pictures import draw_curves, draw_samples
from .samples import PROMPTS

STAGE = "distil"
MODEL = "model.safetensors"
SAMPLES = "samples.png"

SHOWN = 8
"""Prompts on the contact sheet, each by the full model and in each number of steps."""


def distil_model(
    config: DistilConfig,
    out: Path,
    *,
    start: Path | None = None,
    level: int = 1,
    device: torch.device | str = "cpu",
    formats: Sequence[FormatShare] = (),
    latents: Path | None = None,
    latent_clips: int = 0,
    progress: Callable[[float, str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> str:
    """Distil a model, write it with its quick one as ``out/model.safetensors``, and draw what both make.

    Everything but the quick model is in the new file bit for bit as in the old one. It does not become the default:
    that is for whoever has measured it (`checkpoint.write_quick` with ``default=True``).

    Args:
        config: how. out: folder of the run. start: the trained model, or None for the shipped one.
        level: of the world, for formats that name none. device: where.
        formats: mix of sizes, empty for the model's own default clip.
        latents: folder of clips rendered beforehand, ``latent_clips`` of them; None renders ``config.clips``.
        progress, say: shown to the user.

    Returns:
        A sentence that says what was made.

    Raises:
        SoraError: a folder that holds a run of another size; an unusable model.
    """
    folder, source = out / STAGE, start or find_checkpoint()
    loaded = load_checkpoint(source, device, torch.float32)
    defaults = loaded.metadata.defaults
    shares = tuple(formats) or (FormatShare(fmt=defaults.format),)
    pool = max(config.clips, latent_clips if latents is not None else 0)
    buckets = make_buckets(
        DiTStageConfig(batch=config.batch, pool=pool, mix=config.mix),
        shares,
        loaded.video_vae,
        loaded.audio_vae,
        level=level,
    )
    distiller = Distiller(
        config,
        folder,
        text=loaded.text,
        dit=loaded.dit,
        tokenizer=loaded.tokenizer,
        buckets=buckets,
        shift=defaults.shift,
        guidance=defaults.guidance,
        full_steps=defaults.steps,
    )
    if latents is not None:
        load_pools(distiller.pools, distiller.pool_shares, latents, latent_clips, say=say)
    else:
        for clips, share in zip(distiller.pools, distiller.pool_shares, strict=True):
            clips.refresh(max(ENCODE_BATCH, int(config.clips * share)))
    distances = distiller.run(progress)
    record = _record(distiller, source, shares, defaults) | {"distances": distances}
    model = out / MODEL
    with distiller.ema.swapped():
        quick = Quick(rank=config.rank, steps=config.steps, training=record)
        write_quick(source, model, quick=quick, lora=distiller.lora)
    draw_curves(folder)
    quick_sheet(model, out / SAMPLES, device)
    return f"distilled {source.name} for {config.minutes:g} minutes: {model}"


def quick_sheet(checkpoint: Path, path: Path, device: torch.device | str = "cpu") -> None:
    """Make clips of prompts with the full model and in each number of quick steps, and write the contact sheet.

    Args:
        checkpoint: a pipeline's file with a quick model. path: the PNG. device: where to sample.
    """
    pipeline = Pipeline.load(checkpoint, str(device))
    assert pipeline.defaults.quick is not None
    prompts = PROMPTS[:SHOWN]
    made: list[tuple[str, list[Clip]]] = []
    for steps in (None, *pipeline.defaults.quick.steps):
        chosen = pipeline.at_speed(quick=steps is not None, steps=steps)
        plan = resolve(Request(prompt=prompts[0], variations=len(prompts)), chosen.defaults)
        latent = chosen.sample(chosen.encode_prompt(prompts), plan, variations=len(prompts))
        made.append((f"{'quick' if plan.quick else 'full'}, {plan.steps} steps", chosen.decode(latent, plan)))
    clips = [clips[place].frames.numpy() for place in range(len(prompts)) for _, clips in made]
    labels = [f"{name}: {prompt}" for prompt in prompts for name, _ in made]
    draw_samples(path, clips, labels)


def _record(distiller: Distiller, source: Path, formats: Sequence[FormatShare], defaults: Defaults) -> dict[str, Any]:
    return {
        "version": __version__,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "teacher": {
            "file": source.name,
            "sha256": file_hash(source),
            "steps": defaults.steps,
            "guidance": defaults.guidance,
            "shift": defaults.shift,
        },
        "formats": [{"size": size_of(share.fmt), "share": share.share} for share in formats],
        "steps": distiller.step,
        "clips": distiller.clips,
        "minutes": round(distiller.minutes, 1),
        "device": distiller.device.type,
        "stage": distiller.config.to_dict(),
    }
