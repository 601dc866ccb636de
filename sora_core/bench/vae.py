"""The video VAE's decoder: time per frame, and whether memory grows with the length of a clip."""

# C channels, T latent frames, H W latent cells

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..checkpoint import find_checkpoint, load_part
from ..errors import SoraError
from ..pixels import first_frames
from ..types import VIDEO_CHANNELS, ClipFormat, frames_on_grid
from ..video_vae import VideoVAE, VideoVAEConfig
from .fresh import in_fresh_process, peak_memory
from .timing import REPEATS, median_seconds

SIDE = 256
LENGTHS_S = (2.0, 30.0)
FPS = 12.0
RGB_FLOAT32_BYTES = 12
TIMED_FRAMES = 9
STREAMED_FRAMES = 2
"""Latent frames decoded at a time, as the pipeline does at this size."""


def bench_vae(
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
    *,
    side: int = SIDE,
    lengths_s: tuple[float, float] = LENGTHS_S,
    repeats: int = REPEATS,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Time decoding, and measure the memory of decoding a short and a long clip, each in a process of its own.

    Args:
        checkpoint: its video VAE, or the shipped one's; an untrained one of the default size where there is none.
        device: for the times; memory is measured on the CPU.
        side: pixels of the square clips whose memory is measured. lengths_s: their seconds. repeats: of the times.
        tell: told what comes next.

    Returns:
        ``ms_per_frame`` for the default clip and ``large_ms_per_frame`` at ``side``; under ``memory`` the peaks in MiB
        and ``growth_ratio``: growth of the peak from the short to the long clip over the growth of the output's own
        float32 bytes, decoded as a stream (the way of the command) and whole (None where the system does not say).
    """
    say = tell or (lambda _: None)
    path = _checkpoint(checkpoint)
    vae = _load(path, device)
    say("decoding the default clip")
    default, large = ClipFormat(), ClipFormat(width=side, height=side, frames=TIMED_FRAMES, fps=FPS)
    times = {
        name: 1e3 * _decode_seconds(vae, fmt, repeats) / fmt.frames
        for name, fmt in (("ms_per_frame", default), ("large_ms_per_frame", large))
    }
    memory: dict[str, Any] = {"side": side, "seconds": list(lengths_s)}
    frames = [frames_on_grid(round(seconds * FPS)) for seconds in lengths_s]
    output = (frames[1] - frames[0]) * side * side * RGB_FLOAT32_BYTES
    for way in ("stream", "whole"):
        peaks = []
        for count in frames:
            say(f"memory, {way}, {count} frames at {side} px")
            peaks.append(in_fresh_process(_decode_peak, path, side, count, way, torch.get_num_threads()))
        known = None not in peaks
        memory[way] = {
            "peaks_mib": [peak / 2**20 for peak in peaks] if known else None,
            "growth_ratio": (peaks[1] - peaks[0]) / output if known else None,
        }
    return {**times, "memory": memory}


@torch.inference_mode()
def _decode_seconds(vae: VideoVAE, fmt: ClipFormat, repeats: int) -> float:
    device = vae.latent_mean.device
    latent = torch.randn(1, VIDEO_CHANNELS, *fmt.latent[:3], device=device)
    return median_seconds(lambda: vae.decode(latent), device=device, repeats=repeats)[0]


@torch.inference_mode()
def _decode_peak(path: Path | None, side: int, frames: int, way: str, threads: int) -> int | None:
    """Decode one clip in this process and return its peak memory: as bytes that are dropped, or as one tensor."""
    torch.set_num_threads(threads)
    vae = _load(path, "cpu")
    shape = ClipFormat(width=side, height=side, frames=frames, fps=FPS).latent
    if way == "whole":
        vae.decode(torch.randn(1, VIDEO_CHANNELS, shape.frames, shape.height, shape.width))
        return peak_memory()
    seen = sum(len(chunk) for chunk in first_frames(vae.decode_stream(_latents(shape.frames, shape.height)), frames))
    assert seen == frames, (seen, frames)
    return peak_memory()


def _latents(count: int, cells: int) -> Iterator[Tensor]:
    for start in range(0, count, STREAMED_FRAMES):
        yield torch.randn(1, VIDEO_CHANNELS, min(STREAMED_FRAMES, count - start), cells, cells)


def load_decoder(checkpoint: Path | str | None = None, device: torch.device | str = "cpu") -> VideoVAE:
    """Return a checkpoint's video VAE, or the shipped one's; an untrained one of the default size where none is."""
    return _load(_checkpoint(checkpoint), device)


def _checkpoint(path: Path | str | None) -> Path | None:
    """Return the checkpoint to take the VAE from, or None where none is shipped."""
    if path is not None:
        return Path(path)
    try:
        return find_checkpoint()
    except SoraError:
        return None


def _load(path: Path | None, device: torch.device | str) -> VideoVAE:
    if path is None:
        return VideoVAE(VideoVAEConfig()).to(device).eval()
    return cast("VideoVAE", load_part(path, "video_vae", device))
