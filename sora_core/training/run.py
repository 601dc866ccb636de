"""Run the stages of training one after another, each from what the one before left in the folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from .. import __version__
from ..audio_vae import AudioVAE, AudioVAEConfig
from ..checkpoint import World, find_checkpoint, load_checkpoint, save_checkpoint
from ..dit import PRESETS, DiT, DiTConfig, explicit, sdpa
from ..errors import SoraError
from ..request import Defaults
from ..text import TextEncoder, Tokenizer
from ..text.word_table import load_word_table
from ..types import ClipFormat
from ..video_vae import VideoVAE, VideoVAEConfig
from ..world.captions import known_words
from ..world.spec import LEVELS
from .audio_vae import AudioTrainer, AudioTraining, load_audio_vae
from .buckets import load_pools, make_buckets
from .distil_config import DistilConfig
from .distil_stage import STAGE as DISTIL
from .distil_stage import distil_model
from .dit import DiTStageConfig, DiTTrainer
from .formats import FormatShare, size_of
from .parallel import ALONE, Processes
from .pictures import LOG, draw_curves
from .samples import audio_sheet, sample_sheet, video_sheet
from .video_vae import VideoStageConfig, VideoVAETrainer

SHARES = {"video-vae": 0.26, "audio-vae": 0.08, "dit": 0.50, DISTIL: 0.16}
"""Shares of the minutes when all stages run; where a model brings its audio VAE, the others share that time."""

MODEL = "model.safetensors"
STATE = "state.safetensors"
SAMPLES = "samples.png"

START_CLIPS = 300
"""Clips rendered for each of the DiT stage's minutes before its first step, up to `DiTStageConfig.start`: about a tenth
of the time on one core."""


GENTLE = 0.35
"""Learning rates of a transformer that goes on from a model, over those of a new one."""

LATENT_CLIPS = 20_000
"""Clips made beforehand where a folder of latents is named and nothing else is said."""


class Progress(Protocol):
    """Shows how far a stage is."""

    def __call__(self, share: float, words: str) -> None:
        """Show ``share`` in [0, 1] and a few words."""
        ...


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
        stages = [name for name in stages if name in ("dit", DISTIL) or not _vae_path(out, name).exists()]
    order = _Order(
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
        _RUNS[name](order, part)
        if processes.first and name != DISTIL:
            draw_stage(name, out, level=level, device=device)
    done = out / MODEL if {"dit", DISTIL} & set(stages) else out / stages[-1]
    return f"trained {', '.join(stages)} for {minutes:g} minutes: {done}"


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What was asked of `train`, for each of its stages."""

    preset: str
    out: Path
    device: torch.device | str
    seed: int
    level: int
    batch: int | None
    compile_blocks: bool
    start: Path | None
    formats: tuple[FormatShare, ...]
    default_format: ClipFormat | None
    latents: Path | None
    latent_clips: int
    processes: Processes
    progress: Progress | None
    say: Callable[[str], None] | None

    @property
    def threads(self) -> int:
        """CPU threads of a step, 0 on a GPU."""
        return torch.get_num_threads() if torch.device(self.device).type == "cpu" else 0


def _train_video_vae(order: _Order, minutes: float) -> None:
    """Train the video VAE, or of the one that a model brings the decoder alone, at half the rate."""
    begun = None
    if order.start is not None:
        begun = load_vaes(order.out, order.device, order.start)[0].requires_grad_(True)
    config = VideoStageConfig(
        minutes=minutes,
        level=order.level,
        formats=order.formats,
        seed=order.seed,
        threads=torch.get_num_threads(),
        # at the batch that serves a CPU, a GPU waits most of the time
        batch=VideoStageConfig.batch * (1 if torch.device(order.device).type == "cpu" else 8),
        decoder_only=begun is not None,
        lr=VideoStageConfig.lr * (0.5 if begun is not None else 1.0),
    )
    VideoVAETrainer(config, order.out / "video-vae", start=begun, device=order.device).run(order.progress)


def _train_audio_vae(order: _Order, minutes: float) -> None:
    training = AudioTraining(minutes=minutes, level=order.level, seed=order.seed)
    trainer = AudioTrainer(AudioVAEConfig(), training, order.out / "audio-vae", device=order.device)
    trainer.run(progress=_audio(order.progress))


def _train_dit(order: _Order, minutes: float) -> None:
    """Train transformer and text encoder, those of a model gently, and write the model."""
    size = order.batch or DiTStageConfig.batch
    begun = order.start is not None
    first_fill = min(DiTStageConfig.start, max(size, int(minutes * START_CLIPS)))
    kept = order.latents is not None
    config = DiTStageConfig(
        minutes=minutes,
        seed=order.seed,
        batch=size,
        pool=max(DiTStageConfig.pool, order.latent_clips if kept else 0),
        start=0 if kept else first_fill,
        # a quarter of the clips are new, whatever the batch
        refresh=0 if kept else -(-DiTStageConfig.refresh * size // DiTStageConfig.batch),
        formats=order.formats,
        # what a model knows is not to be shaken off
        muon_lr=DiTStageConfig.muon_lr * (GENTLE if begun else 1.0),
        adam_lr=DiTStageConfig.adam_lr * (GENTLE if begun else 1.0),
        words=DiTStageConfig.words * (0.25 if begun else 1.0),
        knows_words=begun,
        compile=order.compile_blocks,
        threads=order.threads,
    )
    trainer = dit_trainer(
        config,
        order.out,
        preset=order.preset,
        level=order.level,
        device=order.device,
        start=order.start,
        processes=order.processes,
    )
    if order.latents is not None:
        pools = list(trainer.pools.values())
        load_pools(
            pools, trainer.render_shares, order.latents, order.latent_clips, processes=order.processes, say=order.say
        )
    trainer.run(order.progress)
    if order.processes.first:
        write_model(trainer, order.out / MODEL, default_format=order.default_format)


def _distil(order: _Order, minutes: float) -> None:
    """Distil the model that this run made, or that it was given, or the shipped one."""
    made = order.out / "dit" / STATE
    distil_model(
        DistilConfig(
            minutes=minutes,
            seed=order.seed,
            batch=order.batch or DistilConfig.batch,
            clips=min(DistilConfig.clips, int(minutes * START_CLIPS)),
            compile=order.compile_blocks,
            threads=order.threads,
        ),
        order.out,
        start=order.out / MODEL if made.exists() else order.start,
        level=order.level,
        device=order.device,
        formats=order.formats,
        latents=order.latents,
        latent_clips=order.latent_clips,
        progress=order.progress,
        say=order.say,
    )


_RUNS: dict[str, Callable[[_Order, float], None]] = {
    "video-vae": _train_video_vae,
    "audio-vae": _train_audio_vae,
    "dit": _train_dit,
    DISTIL: _distil,
}


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


def dit_trainer(
    config: DiTStageConfig,
    out: Path,
    *,
    preset: str,
    level: int,
    device: torch.device | str,
    fmt: ClipFormat | None = None,
    start: Path | None = None,
    vaes_of: Path | None = None,
    sizes: DiTConfig | None = None,
    processes: Processes = ALONE,
) -> DiTTrainer:
    """Build the transformer stage over the VAEs in ``out`` (or of ``start``, or the shipped ones).

    Args:
        config: how to train; where its ``formats`` are empty, the clips are of ``fmt`` (the default one unless given).
        out: folder of the run. preset: of the transformer. level: of the world, for formats that name none.
        device: where. start: model to begin from. vaes_of: model whose VAEs are taken where ``out`` has none.
        sizes: of the transformer, in place of the preset's.
        processes: that train together.
    """
    torch.manual_seed(config.seed)
    fmt = fmt or ClipFormat()
    video_vae, audio_vae = load_vaes(out, device, vaes_of or start)
    table = load_word_table(start)
    text = TextEncoder.from_word_table(table).to(device)
    # On a CPU the two plain products have the faster backward pass at these lengths.
    kernel = explicit if torch.device(device).type == "cpu" else sdpa
    dit = DiT(sizes or PRESETS[preset](text.config.width), attention=kernel)
    dit.initialise(torch.Generator().manual_seed(config.seed))
    if start is not None:
        begun = load_checkpoint(start, dtype=torch.float32)
        if begun.dit.config != dit.config:
            raise SoraError(f"{start} holds a transformer of other sizes than preset {preset}; name its own preset")
        dit.load_state_dict(begun.dit.state_dict())
        text.load_state_dict(begun.text.state_dict())
    shares = config.formats or (FormatShare(fmt=fmt or ClipFormat()),)
    return DiTTrainer(
        config,
        out / "dit",
        text=text,
        dit=dit.to(device),
        tokenizer=table.tokenizer,
        buckets=make_buckets(config, shares, video_vae, audio_vae, level=level, processes=processes),
        processes=processes,
    )


def draw_stage(name: str, out: Path, *, level: int, device: torch.device | str) -> None:
    """Draw a finished stage's curves, and what its model makes."""
    draw_curves(out / name)
    if name == "dit":
        sample_sheet(out / MODEL, out / SAMPLES, device)
    elif name == "video-vae":
        video_sheet(load_video_vae(_vae_path(out, name), device), out / name / SAMPLES, level=level, device=device)
    else:
        audio_sheet(load_audio_vae(_vae_path(out, name), device), out / name / SAMPLES, level=level, device=device)


def load_vaes(out: Path, device: torch.device | str, start: Path | None = None) -> tuple[VideoVAE, AudioVAE]:
    """Return the VAEs trained in ``out``, in place of a missing one that of ``start``, or the shipped one; frozen."""
    video_path, audio_path = _vae_path(out, "video-vae"), _vae_path(out, "audio-vae")
    if not (video_path.exists() and audio_path.exists()):
        begun = load_checkpoint(start or find_checkpoint())
    video = load_video_vae(video_path) if video_path.exists() else begun.video_vae
    audio = load_audio_vae(audio_path) if audio_path.exists() else begun.audio_vae
    return video.float().to(device).eval().requires_grad_(False), audio.float().to(device).eval().requires_grad_(False)


def load_video_vae(path: Path, device: torch.device | str = "cpu") -> VideoVAE:
    """Read what `VideoVAETrainer` wrote."""
    with safe_open(path, "pt") as file:
        vae = VideoVAE(VideoVAEConfig.from_dict(json.loads(file.metadata()["config"])))
    vae.load_state_dict(load_file(path))
    return vae.to(device).eval()


def write_model(
    trainer: DiTTrainer,
    path: Path,
    *,
    level: int | None = None,
    default_format: ClipFormat | None = None,
    defaults: Defaults | None = None,
    notes: str = "",
) -> None:
    """Write the whole pipeline with the averaged weights as one checkpoint.

    Args:
        trainer: the run. path: of the file. level: of the world that it knows, the highest trained unless given.
        default_format: what it makes when nothing else is asked; None is the format with the greatest share.
        defaults: in place of what follows from the format. notes: for the training record.
    """
    level = level or max(bucket.level for bucket in trainer.buckets)
    fmt = default_format or max(trainer.buckets, key=lambda bucket: bucket.share).fmt
    record = {
        "version": __version__,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "data": f"rendered world, level {level}, seeds from 2^20; held-out pairs and words never shown",
        "formats": [
            {"size": size_of(bucket.fmt), "level": bucket.level, "share": bucket.share, "batch": bucket.batch}
            for bucket in trainer.buckets
        ],
        "steps": trainer.step,
        "clips": trainer.clips,
        "rendered": trainer.rendered,
        "minutes": round(trainer.minutes, 1),
        "device": trainer.device.type,
        "stage": trainer.config.to_dict(),
        "notes": notes,
    }
    record |= {name: _vae_record(path.parent, name) for name in ("video-vae", "audio-vae")}
    tokenizer: Tokenizer = trainer.tokenizer
    with trainer.ema.swapped():
        save_checkpoint(
            path,
            {
                "text": trainer.models.text,
                "dit": trainer.models.dit,
                "video_vae": trainer.pool.video_vae,
                "audio_vae": trainer.pool.audio_vae,
            },
            defaults=defaults
            or Defaults(
                width=fmt.width, height=fmt.height, frames=fmt.frames, fps=fmt.fps, shift=trainer.config.mix.shift
            ),
            training=record,
            tokenizer=tokenizer.to_bytes(),
            world=World(level=level, words=known_words(LEVELS[level])),
        )


def _vae_record(out: Path, stage: str) -> dict[str, Any] | str:
    """Return what a VAE trained in ``out`` says of its training."""
    path = _vae_path(out, stage)
    if not path.exists():
        return "as in the model that this one began from"
    with safe_open(path, "pt") as file:
        said = file.metadata()
    return json.loads(said.get("training") or said["sora.training"])


def _audio(progress: Progress | None) -> Callable[[float], None] | None:
    return None if progress is None else lambda share: progress(share, "audio VAE")


def _vae_path(out: Path, stage: str) -> Path:
    """Return where a VAE stage leaves its model: ``video-vae/video_vae.safetensors``."""
    return out / stage / f"{stage.replace('-', '_')}.safetensors"
