"""What a run is built from, and the model that it writes: a trainer over VAEs, and one file with all parts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from .. import __version__
from ..audio_vae import AudioVAE
from ..checkpoint import World, find_checkpoint, load_checkpoint, read_metadata, save_checkpoint
from ..dit import PRESETS, DiT, DiTConfig, explicit, sdpa
from ..errors import SoraError
from ..request import Defaults
from ..text import TextEncoder, Tokenizer
from ..text.word_table import load_word_table
from ..types import ClipFormat
from ..video_vae import VideoVAE, VideoVAEConfig
from ..world.captions import known_words
from ..world.spec import LEVELS
from .audio_vae import load_audio_vae
from .buckets import make_buckets
from .dit import DiTStageConfig, DiTTrainer
from .formats import FormatShare, size_of
from .parallel import ALONE, Processes


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


def load_vaes(out: Path, device: torch.device | str, start: Path | None = None) -> tuple[VideoVAE, AudioVAE]:
    """Return the VAEs trained in ``out``, in place of a missing one that of ``start``, or the shipped one; frozen."""
    video_path, audio_path = vae_path(out, "video-vae"), vae_path(out, "audio-vae")
    begun = None if video_path.exists() and audio_path.exists() else load_checkpoint(start or find_checkpoint())
    video = load_video_vae(video_path) if begun is None or video_path.exists() else begun.video_vae
    audio = load_audio_vae(audio_path) if begun is None or audio_path.exists() else begun.audio_vae
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
    began: Path | None = None,
    notes: str = "",
) -> None:
    """Write the whole pipeline with the averaged weights as one checkpoint.

    Args:
        trainer: the run. path: of the file. level: of the world that it knows, the highest trained unless given.
        default_format: what it makes when nothing else is asked; None is the format with the greatest share.
        began: the model that the run went on from. Its steps, guidance, shift and solver stay, what it saw counts, and
            its record is kept within the new one. notes: for the training record.
    """
    before = read_metadata(began) if began is not None else None
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
        "clips": trainer.clips + (before.training.get("clips", 0) if before else 0),
        "rendered": trainer.rendered,
        "minutes": round(trainer.minutes, 1),
        "device": trainer.device.type,
        "stage": trainer.config.to_dict(),
        "notes": notes,
    }
    if before is not None:
        record |= {"clips_of_this_run": trainer.clips, "began_from": dict(before.training)}
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
            defaults=replace(
                before.defaults if before else Defaults(shift=trainer.config.mix.shift),
                width=fmt.width,
                height=fmt.height,
                frames=fmt.frames,
                fps=fmt.fps,
                quick=None,
            ),
            training=record,
            tokenizer=tokenizer.to_bytes(),
            world=World(level=level, words=known_words(LEVELS[level])),
        )


def _vae_record(out: Path, stage: str) -> dict[str, Any] | str:
    """Return what a VAE trained in ``out`` says of its training."""
    path = vae_path(out, stage)
    if not path.exists():
        return "as in the model that this one began from"
    with safe_open(path, "pt") as file:
        said = file.metadata()
    return json.loads(said.get("training") or said["sora.training"])


def vae_path(out: Path, stage: str) -> Path:
    """Return where a VAE stage leaves its model: ``video-vae/video_vae.safetensors``."""
    return out / stage / f"{stage.replace('-', '_')}.safetensors"
