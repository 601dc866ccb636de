"""Empty latents of a size and length, and what they will cost."""

# B batch, C channels, T latent frames, h w latent cells, A audio latents

from __future__ import annotations

import math
from typing import Any

from ...sora_core.budget import available_memory, estimate_memory, gibibytes
from ...sora_core.errors import SoraError
from ...sora_core.request import ASPECTS, MAX_FPS, MAX_SECONDS, Defaults, size_for_aspect
from ...sora_core.types import AUDIO_CHANNELS, VIDEO_CHANNELS, ClipFormat, frames_on_grid, nearest_grid
from ..host import empty_latent
from .latents import FPS, FRAMES, join
from .model import SoraModel

CUSTOM = "custom"

SAMPLING_BYTES = 16
"""What a value of another family's latent takes at the least: the latent, its noise, the state and the result."""

TRAINED = Defaults()
"""Size and length of the clips that the shipped model was trained on."""

OURS = ("1:1", "9:16", "16:9", "4:3", "3:4", "3:2", "2:3", "21:9")

SORA_SIZES = (
    (720, 1280),
    (1280, 720),
    (1024, 1792),
    (1792, 1024),
    (1080, 1920),
    (1920, 1080),
    (480, 480),
    (480, 854),
    (854, 480),
    (720, 720),
    (1080, 1080),
)
"""Sizes of the Sora and Sora 2 apps and interfaces, for large models; put on the grid of 16 pixels."""


def size_presets() -> dict[str, tuple[int, int] | None]:
    """Return width and height by the name that the node shows; None for the custom one."""
    named: dict[str, tuple[int, int] | None] = {}
    for aspect in OURS:
        assert aspect in ASPECTS
        width, height = size_for_aspect(aspect, TRAINED.width * TRAINED.height)
        named[f"{width}x{height} ({aspect})"] = (width, height)
    for width, height in SORA_SIZES:
        named[f"{width}x{height} (Sora)"] = (nearest_grid(width), nearest_grid(height))
    named[CUSTOM] = None
    return named


def make_empty(
    *,
    width: int,
    height: int,
    seconds: float,
    fps: float,
    batch: int,
    sound: bool,
    model: Any = None,
) -> dict[str, Any]:
    """Return an all-zero LATENT: of our family nested with its sound, of another MODEL's its video alone.

    Raises:
        SoraError: a size off the grid, a length or rate out of range, or more memory than there is.
    """
    for name, value, limit in (("seconds", seconds, MAX_SECONDS), ("fps", fps, MAX_FPS)):
        if not 0 < value <= limit:
            raise SoraError(f"{name} {value:g} must be more than 0 and at most {limit:g}")
    if batch < 1:
        raise SoraError(f"batch {batch} must be at least 1")
    frames = max(1, round(seconds * fps))
    fmt = ClipFormat(width=width, height=height, frames=frames_on_grid(frames), fps=fps)
    tag = {FPS: fps, FRAMES: frames}
    if model is not None and not isinstance(model.model, SoraModel):
        return {"samples": _other_family(model, fmt, batch), **tag}
    _require_memory(estimate_memory(fmt, batch), fmt, batch)
    shape = fmt.latent
    video = empty_latent((batch, VIDEO_CHANNELS, shape.frames, shape.height, shape.width))
    audio = empty_latent((batch, AUDIO_CHANNELS, shape.audio, 1)) if sound and frames > 1 else None
    return {"samples": join(video, audio), **tag}


def describe(
    *,
    width: int,
    height: int,
    seconds: float,
    fps: float,
    batch: int,
    model: Any = None,
) -> str:
    """Return the clip in words, with a warning where it is unlike those that the shipped model was trained on."""
    asked = max(1, round(seconds * fps))
    frames = frames_on_grid(asked)
    shown = f"{width}x{height}, {asked} frame{'s' * (asked > 1)}, {asked / fps:.2f} s at {fps:g} fps"
    if model is not None and not isinstance(model.model, SoraModel):
        space = model.get_model_object("latent_format").spacial_downscale_ratio
        return shown.replace(f"{width}x{height}", f"{width // space * space}x{height // space * space}")
    area = width * height / (TRAINED.width * TRAINED.height)
    longer = frames / fps / (TRAINED.frames / TRAINED.fps)
    said = []
    if not 0.8 < area < 1.3 or width != height:
        said.append(f"{width}x{height}")
    if frames > 1 and not 0.5 <= longer <= 1.1:
        said.append(f"{frames / fps:.1f} s")
    if fps != TRAINED.fps:
        said.append(f"{fps:g} fps")
    if not said:
        return shown
    fmt = ClipFormat(width=width, height=height, frames=frames, fps=fps)
    tokens = _tokens(fmt)
    usual = _tokens(TRAINED.format)
    parts = " Sora Shot makes a longer clip in parts of a trained length." if frames > TRAINED.frames else ""
    return (
        f"{shown}. The shipped model was trained on {TRAINED.width}x{TRAINED.height}, {TRAINED.frames / TRAINED.fps:.1f} s at "
        f"{TRAINED.fps:g} fps, and will draw {', '.join(said)} worse. It takes about {batch * tokens / usual:.1f} times "
        f"the work of a trained clip and {gibibytes(estimate_memory(fmt, batch))} of memory. "
        f"Nearest trained preset: {TRAINED.width}x{TRAINED.height} (1:1), 2 s, {TRAINED.fps:g} fps.{parts}"
    )


def _tokens(fmt: ClipFormat) -> int:
    """Return how many picture and sound tokens a clip has."""
    return fmt.latent.video_tokens + fmt.latent.audio


def _other_family(model: Any, fmt: ClipFormat, batch: int) -> Any:
    latent = model.get_model_object("latent_format")
    if latent.latent_dimensions != 3:
        raise SoraError("the connected model makes pictures, not video; connect a video model, or none for Sora's own")
    space, time = latent.spacial_downscale_ratio, max(1, latent.temporal_downscale_ratio)
    frames = 1 + -(-(fmt.frames - 1) // time)
    shape = (batch, latent.latent_channels, frames, fmt.height // space, fmt.width // space)
    _require_memory(math.prod(shape) * SAMPLING_BYTES, fmt, batch)
    return empty_latent(shape)


def _require_memory(needed: int, fmt: ClipFormat, batch: int) -> None:
    there = available_memory()
    if needed > there:
        raise SoraError(
            f"{batch} x {fmt.width}x{fmt.height}, {fmt.frames / fmt.fps:g} s at {fmt.fps:g} fps would need about "
            f"{gibibytes(needed)} of memory and {gibibytes(there)} are free; "
            "ask for a smaller size, a shorter clip or a smaller batch"
        )
