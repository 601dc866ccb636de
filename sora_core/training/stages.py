"""The stages of training, each from what the one before left in the folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from ..audio_vae import AudioVAEConfig
from ..types import ClipFormat
from .audio_vae import AudioTrainer, AudioTraining, load_audio_vae
from .buckets import load_pools
from .building import dit_trainer, load_vaes, load_video_vae, vae_path, write_model
from .distil_config import DistilConfig
from .distil_stage import STAGE as DISTIL
from .distil_stage import distil_model
from .dit import DiTStageConfig
from .formats import FormatShare
from .parallel import Processes
from .pictures import draw_curves
from .samples import audio_sheet, sample_sheet, video_sheet
from .video_vae import VideoStageConfig, VideoVAETrainer

MODEL = "model.safetensors"
STATE = "state.safetensors"
SAMPLES = "samples.png"

START_CLIPS = 300
"""Clips rendered for each of the DiT stage's minutes before its first step, up to `DiTStageConfig.start`: about a tenth
of the time on one core."""

GENTLE = 0.35
"""Learning rates of a transformer that goes on from a model, over those of a new one."""


class Progress(Protocol):
    """Shows how far a stage is."""

    def __call__(self, share: float, words: str) -> None:
        """Show ``share`` in [0, 1] and a few words."""
        ...


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked of `run.train`, for each of its stages; see there."""

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


def train_video_vae(order: Order, minutes: float) -> None:
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


def train_audio_vae(order: Order, minutes: float) -> None:
    """Train the audio VAE."""
    training = AudioTraining(minutes=minutes, level=order.level, seed=order.seed)
    trainer = AudioTrainer(AudioVAEConfig(), training, order.out / "audio-vae", device=order.device)
    trainer.run(progress=_audio(order.progress))


def train_dit(order: Order, minutes: float) -> None:
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
        write_model(trainer, order.out / MODEL, default_format=order.default_format, began=order.start)


def distil(order: Order, minutes: float) -> None:
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


RUNS: dict[str, Callable[[Order, float], None]] = {
    "video-vae": train_video_vae,
    "audio-vae": train_audio_vae,
    "dit": train_dit,
    DISTIL: distil,
}


def draw_stage(name: str, out: Path, *, level: int, device: torch.device | str) -> None:
    """Draw a finished stage's curves, and what its model makes."""
    draw_curves(out / name)
    if name == "dit":
        sample_sheet(out / MODEL, out / SAMPLES, device)
    elif name == "video-vae":
        video_sheet(load_video_vae(vae_path(out, name), device), out / name / SAMPLES, level=level, device=device)
    else:
        audio_sheet(load_audio_vae(vae_path(out, name), device), out / name / SAMPLES, level=level, device=device)


def _audio(progress: Progress | None) -> Callable[[float], None] | None:
    return None if progress is None else lambda share: progress(share, "audio VAE")
