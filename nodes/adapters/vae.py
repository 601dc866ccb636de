"""Our video VAE and audio VAE as ComfyUI's VAE."""

# B batch, C channels, F frames, T latent frames, H W pixels, h w latent cells, S samples, A audio latents

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.sd
import comfy.utils
import torch
from torch import Tensor, nn

from ...sora_core.audio_vae import AudioVAE, AudioVAEConfig
from ...sora_core.budget import DECODE_PIXEL_BYTES
from ...sora_core.checkpoint import read_part
from ...sora_core.errors import SoraError
from ...sora_core.types import (
    AUDIO_CHANNELS,
    SAMPLE_RATE,
    SAMPLES_PER_LATENT,
    SPATIAL_RATIO,
    TEMPORAL_RATIO,
    VIDEO_CHANNELS,
    audio_latents,
)
from ...sora_core.video_vae import VideoVAE, VideoVAEConfig

CHUNK = 4
"""Latent frames decoded at a time; memory, not the result."""

AUDIO_LATENT_BYTES = 1 << 20
"""Activations of the audio VAE per latent, rounded up from what a minute of sound took."""


class HostVideoVAE(VideoVAE):
    """`VideoVAE` with the host's chunked calls: frames go to its buffer as they are decoded."""

    comfy_has_chunked_io = True

    def decode_output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the frames' shape ``[B, 3, F, H, W]`` for latents of ``shape``."""
        batch, channels, frames, height, width = shape
        if channels != VIDEO_CHANNELS:
            raise SoraError(
                f"the latent has {channels} channels and Sora's VAE decodes {VIDEO_CHANNELS}; "
                "use the VAE that belongs to the model that made it"
            )
        return batch, 3, 1 + TEMPORAL_RATIO * (frames - 1), height * SPATIAL_RATIO, width * SPATIAL_RATIO

    def decode(self, latent_BCThw: Tensor, output_buffer: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Decode a normalised latent, into ``output_buffer`` where one is given."""
        if output_buffer is None:
            output_buffer = latent_BCThw.new_empty(self.decode_output_shape(latent_BCThw.shape))
        done = 0
        for chunk in self.decode_stream(latent_BCThw.split(CHUNK, dim=2)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            output_buffer[:, :, done : done + chunk.shape[2]].copy_(chunk)
            done += chunk.shape[2]
        return output_buffer

    def encode(self, frames_B3FHW: Tensor, device: torch.device | None = None) -> Tensor:  # type: ignore[override]
        """Encode any number of frames in [-1, 1]; those past the last whole group of four are left out."""
        frames = frames_B3FHW.shape[2]
        kept = frames_B3FHW[:, :, : 1 + (frames - 1) // TEMPORAL_RATIO * TEMPORAL_RATIO]
        first = 1 + (CHUNK - 1) * TEMPORAL_RATIO
        pieces = [kept[:, :, :first], *kept[:, :, first:].split(CHUNK * TEMPORAL_RATIO, dim=2)]
        moved = (piece if device is None else piece.to(device) for piece in pieces if piece.shape[2])
        return torch.cat(list(self.encode_stream(moved)), 2)

    def decode_tiled(
        self, latent_BCThw: Tensor, tile_x: int = 32, tile_y: int = 32, overlap: int = 8, **_: object
    ) -> Tensor:
        """Decode in tiles over height and width; time is streamed, since a tile of it would start a clip anew."""
        return comfy.utils.tiled_scale_multidim(
            latent_BCThw,
            lambda tile: self.decode(tile).float(),
            tile=(latent_BCThw.shape[2], tile_y, tile_x),
            overlap=(0, overlap, overlap),
            upscale_amount=(_frames, SPATIAL_RATIO, SPATIAL_RATIO),
            out_channels=3,
            index_formulas=(TEMPORAL_RATIO, SPATIAL_RATIO, SPATIAL_RATIO),
            output_device=latent_BCThw.device,
        )

    def encode_tiled(
        self, frames_B3FHW: Tensor, tile_x: int = 256, tile_y: int = 256, overlap: int = 64, **_: object
    ) -> Tensor:
        """Encode in tiles over height and width."""
        grid = [max(SPATIAL_RATIO, size // SPATIAL_RATIO * SPATIAL_RATIO) for size in (tile_y, tile_x, overlap)]
        frames = _frames(_latent_frames(frames_B3FHW.shape[2]))
        return comfy.utils.tiled_scale_multidim(
            frames_B3FHW[:, :, :frames],
            lambda tile: self.encode(tile).float(),
            tile=(frames, grid[0], grid[1]),
            overlap=(0, grid[2], grid[2]),
            upscale_amount=(_latent_frames, SPATIAL_RATIO, SPATIAL_RATIO),
            out_channels=VIDEO_CHANNELS,
            downscale=True,
            index_formulas=(TEMPORAL_RATIO, SPATIAL_RATIO, SPATIAL_RATIO),
            output_device=frames_B3FHW.device,
        )


class HostAudioVAE(AudioVAE):
    """`AudioVAE` with the host's shapes: sound is ``[B, channels, S]``; any channels are mixed to one.

    The three names that core's LTX audio nodes ask for are answered too.
    """

    output_sample_rate = SAMPLE_RATE
    latent_frequency_bins = 1

    def encode(self, audio_BCS: Tensor) -> Tensor:  # type: ignore[override]
        """Encode sound in [-1, 1] at 16 kHz to ``[B, 32, A, 1]``."""
        return super().encode(audio_BCS.mean(1))

    def decode(self, latent_BCA1: Tensor, **_: object) -> Tensor:  # type: ignore[override]
        """Decode to ``[B, 1, S]`` in [-1, 1]."""
        if latent_BCA1.ndim != 4 or latent_BCA1.shape[1] != AUDIO_CHANNELS:
            raise SoraError(
                f"the latent {list(latent_BCA1.shape)} holds no sound of this family, which is "
                f"[clips, {AUDIO_CHANNELS}, latents, 1]; use the audio VAE of the model that made it"
            )
        return super().decode(latent_BCA1).clamp(-1, 1).unsqueeze(1)

    def num_of_latents_from_frames(self, frames: int, fps: float) -> int:
        """Return how many latents cover so many frames."""
        return audio_latents(frames / fps)


class SoraVideoVAE(comfy.sd.VAE):
    """The VAE of pictures: x8 in space, x4 in time, frames streamed to the CPU as they are decoded."""

    def __init__(self, path: Path) -> None:
        """Read a file's video VAE; raises SoraError where it is refused."""
        with _quiet():
            super().__init__(sd={})
        config, state = read_part(path, "video_vae")
        self.latent_channels, self.latent_dim, self.output_channels = VIDEO_CHANNELS, 3, 3
        self.upscale_ratio = (_frames, SPATIAL_RATIO, SPATIAL_RATIO)
        self.downscale_ratio = (_latent_frames, SPATIAL_RATIO, SPATIAL_RATIO)
        self.upscale_index_formula = self.downscale_index_formula = (TEMPORAL_RATIO, SPATIAL_RATIO, SPATIAL_RATIO)
        self.handles_tiling = True
        self.working_dtypes = [torch.bfloat16, torch.float32]
        self.memory_used_decode = _decode_bytes
        self.memory_used_encode = _encode_bytes
        _install(self, HostVideoVAE, config, state, (_video_patcher, (path,)))


class SoraAudioVAE(comfy.sd.VAE):
    """The VAE of sound: 16 kHz mono, 25 latents a second."""

    def __init__(self, path: Path) -> None:
        """Read a file's audio VAE; raises SoraError where it is refused."""
        with _quiet():
            super().__init__(sd={})
        config, state = read_part(path, "audio_vae")
        self.latent_channels, self.latent_dim, self.output_channels = AUDIO_CHANNELS, 2, 2
        # Mono goes in twice and is mixed again, so that stereo loses neither side.
        self.pad_channel_value = "replicate"
        self.crop_input = False
        self.upscale_ratio = self.downscale_ratio = SAMPLES_PER_LATENT
        self.audio_sample_rate = self.audio_sample_rate_output = SAMPLE_RATE
        self.working_dtypes = [torch.float32]
        self.process_input = self.process_output = _unchanged
        self.memory_used_decode = _audio_bytes
        self.memory_used_encode = _sound_bytes
        _install(self, HostAudioVAE, config, state, (_audio_patcher, (path,)))


def _install(
    vae: Any,
    model_class: type[nn.Module],
    config: VideoVAEConfig | AudioVAEConfig,
    state: dict[str, Tensor],
    again: tuple[Any, tuple[Path]],
) -> None:
    """Give a host VAE its model, weights and patcher."""
    management = comfy.model_management
    vae.device = management.vae_device()
    vae.vae_dtype = management.vae_dtype(vae.device, vae.working_dtypes)
    vae.output_device = management.intermediate_device()
    model: Any = model_class(config, operations=comfy.ops.manual_cast)  # type: ignore[call-arg]
    vae.first_stage_model = model.eval().requires_grad_(False).to(vae.vae_dtype)
    # Our latent statistics stay float32 whatever the weights are.
    state = {name: t.float() if name.startswith("latent_") else t.to(vae.vae_dtype) for name, t in state.items()}
    management.archive_model_dtypes(model)
    vae.patcher = comfy.model_patcher.CoreModelPatcher(
        model, load_device=vae.device, offload_device=management.vae_offload_device()
    )
    model.load_state_dict(state, assign=True)
    vae.patcher.cached_patcher_init = again
    vae.model_size()


def _video_patcher(path: Path, **_: object) -> Any:
    return SoraVideoVAE(path).patcher


def _audio_patcher(path: Path, **_: object) -> Any:
    return SoraAudioVAE(path).patcher


def _frames(latent_frames: int) -> int:
    return max(0, 1 + TEMPORAL_RATIO * (latent_frames - 1))


def _latent_frames(frames: int) -> int:
    return max(0, math.floor((frames + TEMPORAL_RATIO - 1) / TEMPORAL_RATIO))


def _unchanged(audio: Tensor) -> Tensor:
    return audio


def _decode_bytes(shape: Sequence[int], dtype: torch.dtype) -> float:
    pixels = shape[0] * shape[-2] * shape[-1] * SPATIAL_RATIO**2
    return pixels * DECODE_PIXEL_BYTES * comfy.model_management.dtype_size(dtype) / 4


def _encode_bytes(shape: Sequence[int], dtype: torch.dtype) -> float:
    return shape[0] * shape[-2] * shape[-1] * DECODE_PIXEL_BYTES * comfy.model_management.dtype_size(dtype) / 4


def _audio_bytes(shape: Sequence[int], dtype: torch.dtype) -> float:  # noqa: ARG001
    return shape[0] * shape[2] * AUDIO_LATENT_BYTES


def _sound_bytes(shape: Sequence[int], dtype: torch.dtype) -> float:  # noqa: ARG001
    return shape[0] * max(1, shape[-1] // SAMPLES_PER_LATENT) * AUDIO_LATENT_BYTES


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep one warning of the host's back: its VAE says that no weights were found, before ours come."""

    def other(record: logging.LogRecord) -> bool:
        return "No VAE weights detected" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(other)
    try:
        yield
    finally:
        root.removeFilter(other)
