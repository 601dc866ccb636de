"""Run the stages of training one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..dit import PRESETS
from ..errors import SoraError
from ..types import ClipFormat
from .building import vae_path
from .distil_stage import STAGE as DISTIL
from .formats import FormatShare
from .parallel import ALONE, Processes
from .pictures import LOG
from .stages import MODEL, RUNS, STATE, Order, Progress, draw_stage

SHARES = {"video-vae": 0.26, "audio-vae": 0.08, "dit": 0.50, DISTIL: 0.16}
"""Shares of the minutes when all stages run; where a model brings its audio VAE, the others share that time."""

LATENT_CLIPS = 20_000
"""Clips made beforehand where a folder of latents is named and nothing else is said."""


def train(
    *,
    stage: str,
    preset: str,
    minutes: float,
    out: Path,
    resume: bool = False,
    device: torch.device | str = "cpu",
    seed: int = 0,
    level: int = 1,
    batch: int | None = None,
    compile_blocks: bool = False,
    start: Path | None = None,
    formats: Sequence[FormatShare] = (),
    default_format: ClipFormat | None = None,
    latents: Path | None = None,
    latent_clips: int = LATENT_CLIPS,
    processes: Processes = ALONE,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> str:
    """Train one stage, or all of them, within a number of minutes.

    Args:
        stage: ``video-vae``, ``audio-vae``, ``dit`` (with the text encoder), ``distil`` (a quick model beside that of
            the run, of ``start`` or the shipped one; see `distil_stage`), or ``all`` of them.
        preset: of the transformer, see `dit.PRESETS`.
        minutes: in all, over every resumption. Rendering is part of it; reading and writing files, and the pictures
            drawn after each stage, are not.
        out: folder for states, logs, pictures and the model. A DiT stage takes the VAEs found there, or the shipped
            ones where there are none.
        resume: go on from the states in ``out``; without it a folder that holds any is refused. Where all stages run,
            VAEs that a transformer has begun to learn from stay as they are.
        device, seed, level, batch: where, how and on what to train; ``batch`` is clips a step of the DiT stage, at the
            first format and of all processes together.
        compile_blocks: compile the transformer's blocks; needs a C++ compiler on a CPU and pays from ten minutes on.
        start: a model to go on from, instead of new weights: the transformer, the text encoder and of the video VAE
            the decoder are trained on; the encoders and the audio VAE stay as they are, and so do latents.
        formats: mix of the DiT stage, see `formats.parse_formats`; empty for the default clip alone.
        default_format: what the model makes when nothing else is asked; None is the format with the greatest share.
        latents: folder of clips rendered and encoded beforehand. What it lacks to ``latent_clips`` is made first, by as
            many processes as torch has threads on a CPU, beside the minutes; nothing is rendered while training.
        processes: that train the DiT stage together.
        progress, say: shown to the user, by the first process alone.

    Returns:
        A sentence that says what was made.

    Raises:
        SoraError: unknown stage or preset, a folder that already holds a run, or one of another size; latents of
            another VAE or format; several processes for a VAE.
    """
    stages = _stages(stage, preset, processes, begun=start is not None)
    if not processes.first:
        progress = say = None
    held = [name for name in stages if (out / name / STATE).exists()]
    if held and not resume:
        raise SoraError(
            f"{out} already holds a run of {', '.join(held)}; add --resume to go on, or name another folder"
        )
    if stage == "all" and "dit" in held:
        stages = [name for name in stages if name in ("dit", DISTIL) or not vae_path(out, name).exists()]
    order = Order(
        preset=preset,
        out=out,
        device=device,
        seed=seed,
        level=level,
        batch=batch,
        compile_blocks=compile_blocks,
        start=start,
        formats=tuple(formats),
        default_format=default_format,
        latents=latents,
        latent_clips=latent_clips,
        processes=processes,
        progress=progress,
        say=say,
    )
    whole = sum(SHARES[name] for name in stages)
    for name in stages:
        part = minutes * (SHARES[name] / whole if stage == "all" else 1.0)
        if say is not None:
            say(f"{name}: {part:.1f} minutes, log in {out / name / LOG}")
        RUNS[name](order, part)
        if processes.first and name != DISTIL:
            draw_stage(name, out, level=level, device=device)
    done = out / MODEL if {"dit", DISTIL} & set(stages) else out / stages[-1]
    return f"trained {', '.join(stages)} for {minutes:g} minutes: {done}"


def _stages(stage: str, preset: str, processes: Processes, *, begun: bool) -> list[str]:
    """Return the stages to run, or refuse what cannot be run; ``begun``: from a model, which brings its VAEs."""
    if preset not in PRESETS:
        raise SoraError(f"preset {preset!r} is not known; choose one of {', '.join(PRESETS)}")
    stages = list(SHARES) if stage == "all" else [stage]
    if unknown := [name for name in stages if name not in SHARES]:
        raise SoraError(f"stage {unknown[0]!r} is not known; choose one of {', '.join(SHARES)} or all")
    if begun and stage == "audio-vae":
        raise SoraError("stage audio-vae begins from nothing, and --start names a model; leave --start away")
    if processes.size > 1 and stages != ["dit"]:
        raise SoraError(
            f"stage {stage} trains in one process and {processes.size} were started; "
            "train the VAEs first without torchrun, then --stage dit with it"
        )
    return [name for name in stages if not (begun and name == "audio-vae")]
