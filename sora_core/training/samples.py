"""What a freshly trained model makes, as contact sheets: for the eye, beside the figures."""

# F frames, S samples

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..audio_vae import AudioVAE
from ..media.chart import spectrogram
from ..media.png import write_png
from ..pipeline import Pipeline
from ..pixels import to_bytes, to_signed
from ..request import Request, resolve
from ..types import SAMPLE_RATE
from ..video_vae import VideoVAE
from .audio_sounds import world_impacts
from .pictures import draw_samples
from .video_vae import VALIDATION_SEED
from .video_windows import world_clips

PROMPTS = (
    "a large red ball bounces on a wooden floor",
    "a small blue box slides to the left on a plain background",
    "a medium green ring rolls to the right on sand",
    "a large white star falls onto a dark floor",
    "a small cyan ball rolls to the left on a wooden floor",
    "a large orange box stays on sand",
    "a medium purple star rises over a dark floor",
    "a small yellow ring stays on a plain floor",
    # pairs that no training clip shows
    "a large orange ball bounces on sand",
    "a medium purple box slides to the right on a wooden floor",
    # words that no caption uses
    "a gigantic crimson orb bounces on a wooden floor",
    "a tiny turquoise cube drifts to the left on a plain background",
)
"""Shown after every run: eight of the trained world, two held-out pairs, two with held-out words."""

ROUND_TRIPS = 6
SOUNDS = 3
SOUND_SAMPLES = 33_280
"""52 audio latents, the sound of a default clip."""


def sample_sheet(checkpoint: Path, path: Path, device: torch.device | str = "cpu") -> None:
    """Make a clip of each of `PROMPTS` as the command would, seed 0 on, and write the contact sheet.

    Args:
        checkpoint: the whole pipeline's file. path: the PNG. device: where to sample.
    """
    pipeline = Pipeline.load(checkpoint, str(device))
    plan = resolve(Request(prompt=PROMPTS[0], audio=False, variations=len(PROMPTS)), pipeline.defaults)
    latent = pipeline.sample(pipeline.encode_prompt(PROMPTS), plan, variations=len(PROMPTS))
    draw_samples(path, [clip.frames.numpy() for clip in pipeline.decode(latent, plan)], PROMPTS)


@torch.inference_mode()
def video_sheet(vae: VideoVAE, path: Path, *, level: int, device: torch.device | str = "cpu") -> None:
    """Write a contact sheet of unseen clips, each above its copy through the video VAE."""
    clips = world_clips(level, device=device)(VALIDATION_SEED, ROUND_TRIPS, True).frames
    shown: list[NDArray[np.uint8]] = []
    for frames in clips:
        copy = vae.decode(vae.encode(to_signed(frames[None])))
        shown += [frames.cpu().numpy(), to_bytes(copy[0]).numpy()]
    draw_samples(path, shown, [f"{what} {i + 1}" for i in range(ROUND_TRIPS) for what in ("clip", "copy")])


@torch.inference_mode()
def audio_sheet(vae: AudioVAE, path: Path, *, level: int, device: torch.device | str = "cpu") -> None:
    """Write spectrograms of unseen impacts, each above its copy through the audio VAE; contacts are marked."""
    sounds = world_impacts(SOUNDS, SOUND_SAMPLES, torch.Generator().manual_seed(993), level)
    copies = vae.decode(vae.encode(sounds.audio.to(device))).cpu()
    rows = []
    for true_S, copy_S, contacts in zip(sounds.audio, copies, sounds.contacts, strict=True):
        for what, audio in (("SOUND", true_S), ("COPY", copy_S)):
            rows.append(
                spectrogram(audio.numpy(), SAMPLE_RATE, marks=contacts.tolist(), title=f"{what}, CONTACTS MARKED")
            )
    write_png(path, np.concatenate(rows))
