"""Pictures, sound and latents between ComfyUI's types: encode, keep, decode."""

# B batch, C channels, T latent frames, F frames, H W pixels, h w latent cells, S samples, A audio latents

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import comfy.utils
import torch
from torch import Tensor

from ...sora_core.errors import SoraError
from ...sora_core.pixels import size_within
from ...sora_core.types import GRID, SAMPLE_RATE, ClipFormat
from ..host import InputImpl, Types, check_interrupt, resample, resize
from .latents import FPS, FRAMES, join, streams_of

RGB = 3
"""Channels of a picture: the host's VAEs of sound have one or two."""


def encode_clip(
    vae: Any,
    images: Tensor,
    *,
    audio_vae: Any = None,
    audio: Mapping[str, Any] | None = None,
    fps: float,
) -> dict[str, Any]:
    """Return the LATENT of frames ``[F, H, W, 3]`` in [0, 1] and their sound.

    The last frame is held until the VAE's grid of frames is full; decoding cuts the clip to its length again.
    """
    _require_pictures(vae)
    frames = len(images)
    video = vae.encode(_held(images, _frames_on_grid(vae, frames)))
    sound = None
    if audio is not None and audio_vae is not None:
        sound = encode_sound(audio_vae, audio, seconds=frames / fps)
    return {"samples": join(video, sound), FPS: fps, FRAMES: frames}


def encode_sound(audio_vae: Any, audio: Mapping[str, Any], *, seconds: float) -> Tensor:
    """Return the latents of ``seconds`` of a sound, cut or filled up with silence to that."""
    _require_sound(audio_vae)
    rate = int(getattr(audio_vae, "audio_sample_rate", SAMPLE_RATE))
    wave_BCS = resample(audio["waveform"], int(audio["sample_rate"]), rate)
    samples = max(1, round(seconds * rate))
    wave_BCS = torch.nn.functional.pad(wave_BCS[..., :samples], (0, max(0, samples - wave_BCS.shape[-1])))
    return audio_vae.encode(wave_BCS.movedim(1, -1))


def keep_images(
    vae: Any,
    latent: Mapping[str, Any],
    first: Tensor | None,
    last: Tensor | None,
) -> dict[str, Any]:
    """Return the LATENT with a first and a last frame put in place, and the mask that keeps them.

    A latent frame after the first stands for several frames, so the last picture is encoded as a still stretch of film.

    Raises:
        SoraError: no picture, no video in the latent, or a clip of one latent frame with a last picture.
    """
    if first is None and last is None:
        raise SoraError("neither a first nor a last image is connected; connect at least one of them")
    _require_pictures(vae)
    video, audio = streams_of(latent["samples"])
    if video is None:
        raise SoraError("the latent holds no picture; take one from Sora Empty Latent")
    if last is not None and video.shape[2] < 2:
        raise SoraError("the clip is a single latent frame, with no place for a last image; make it longer")
    video = video.clone()
    mask, sound_mask = _masks(latent.get("noise_mask"), video, audio)
    width, height = (side * vae.spacial_compression_encode() for side in (video.shape[-1], video.shape[-2]))
    for image, place in ((first, 0), (last, -1)):
        if image is None:
            continue
        film = resize(image[:1], width, height)
        if place:
            film = _held(film, _frames_on_grid(vae, 2))
        encoded = vae.encode(film)[:, :, -1].to(video)
        if encoded.shape[1] != video.shape[1]:
            raise SoraError(
                f"the VAE makes {encoded.shape[1]} channels and the latent has {video.shape[1]}; "
                "use the VAE and the latent of the same model"
            )
        video[:, :, place] = encoded
        mask[:, :, place] = 0
    return {**latent, "samples": join(video, audio), "noise_mask": join(mask, sound_mask)}


def decode_clips(
    vae: Any,
    latent: Mapping[str, Any],
    *,
    audio_vae: Any = None,
    fps: float = 0.0,
) -> tuple[list[Any], list[Tensor], list[Any]]:
    """Return each variation of a LATENT as VIDEO, IMAGE ``[F, H, W, 3]`` and AUDIO (None where there is none).

    Raises:
        SoraError: a latent without a picture, sound without the VAE for it, or sound that is not finite.
    """
    video, audio = streams_of(latent["samples"])
    if video is None:
        raise SoraError("the latent holds no picture; decode sound alone with core's VAE Decode Audio")
    if audio is not None and audio_vae is None:
        raise SoraError("the latent holds sound and no audio VAE is connected; connect SoraLoader's audio_vae")
    _require_pictures(vae)
    rate = float(fps or latent.get(FPS, 0) or 12.0)
    videos, pictures, sounds = [], [], []
    for index in range(len(video)):
        check_interrupt()
        frames = vae.decode(video[index : index + 1])
        frames = frames.reshape(-1, *frames.shape[-3:])[: int(latent.get(FRAMES, 0)) or None]
        sound = None
        if audio is not None:
            sound = _decode_sound(audio_vae, audio[index : index + 1], seconds=len(frames) / rate)
        parts = Types.VideoComponents(images=frames, audio=sound, frame_rate=Fraction(rate).limit_denominator(1001))
        videos.append(InputImpl.VideoFromComponents(parts))
        pictures.append(frames)
        sounds.append(sound)
    return videos, pictures, sounds


def frames_of(video: Any, fps: float) -> tuple[Tensor, Mapping[str, Any] | None, float]:
    """Return a VIDEO's frames at ``fps`` (0: its own), its sound or None, and the frame rate."""
    parts = video.get_components()
    own = float(parts.frame_rate)
    if not fps or fps == own:
        return parts.images, parts.audio, own
    count = max(1, round(len(parts.images) * fps / own))
    at = (torch.arange(count) * own / fps).floor().long().clamp(max=len(parts.images) - 1)
    return parts.images[at], parts.audio, fps


def fitted(images: Tensor, width: int, height: int) -> Tensor:
    """Return frames at a size, or (0) at their own, cut to the model's grid of 16 pixels.

    Raises:
        SoraError: a size off the grid, or a picture smaller than one cell of it.
    """
    own = (images.shape[2] // GRID * GRID, images.shape[1] // GRID * GRID)
    if min(own) < GRID:
        raise SoraError(
            f"the picture is {images.shape[2]} x {images.shape[1]} pixels and the least is {GRID} x {GRID}; "
            "use a larger one"
        )
    wanted = ClipFormat(width=width or own[0], height=height or own[1])
    return resize(images, wanted.width, wanted.height)


def encode_references(vae: Any, images: Sequence[Tensor], width: int, height: int) -> list[Tensor]:
    """Return reference latents ``[1, C, 1, h, w]``: each picture whole, scaled to lie within the size."""
    _require_pictures(vae)
    latents = []
    for image in images:
        columns, rows = size_within(image.shape[2], image.shape[1], width, height)
        latents.append(vae.encode(resize(image[:1], columns, rows))[:, :, :1])
    return latents


def _masks(given: Any, video: Tensor, audio: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return a LATENT's masks for both halves, ``[B, 1, T, h or 1, w or 1]`` and ``[B, 1, A, 1]``; without any, ones.

    A plain mask, as core's Set Latent Noise Mask makes, is the picture's alone.
    """
    mask = torch.ones(video.shape[0], 1, video.shape[2], 1, 1)
    sound = None if audio is None else torch.ones(audio.shape[0], 1, audio.shape[2], 1)
    if given is None:
        return mask, sound
    nested = list(given.unbind()) if getattr(given, "is_nested", False) else [given]
    shown = nested[0] if nested[0].ndim == 5 else comfy.utils.reshape_mask(nested[0], video.shape)[:, :1]
    heard = nested[1] if len(nested) > 1 else sound
    return shown.expand(video.shape[0], -1, video.shape[2], -1, -1).clone(), heard


def _decode_sound(audio_vae: Any, latent: Tensor, *, seconds: float) -> dict[str, Any]:
    """Return the AUDIO as the VAE made it: core's own node would scale every clip to one loudness."""
    _require_sound(audio_vae)
    rate = int(getattr(audio_vae, "audio_sample_rate_output", getattr(audio_vae, "audio_sample_rate", SAMPLE_RATE)))
    wave = audio_vae.decode(latent).movedim(-1, 1).float()
    if not bool(torch.isfinite(wave).all()):
        raise SoraError("the sound came out not finite; lower the audio cfg, or load the model in float32")
    return {"waveform": wave[..., : max(1, round(seconds * rate))].cpu(), "sample_rate": rate}


def _require_pictures(vae: Any) -> None:
    if vae.output_channels < RGB:
        raise SoraError("the VAE connected as vae is one of sound; connect the VAE of pictures, SoraLoader's vae")


def _require_sound(audio_vae: Any) -> None:
    if getattr(audio_vae, "output_channels", 0) >= RGB:
        raise SoraError(
            "the VAE connected as audio_vae is one of pictures; connect the VAE of sound, SoraLoader's audio_vae"
        )


def _frames_on_grid(vae: Any, frames: int) -> int:
    """Return the least number of frames that fills whole latent frames of this VAE."""
    up, down = vae.upscale_ratio, vae.downscale_ratio
    if not (isinstance(up, tuple) and isinstance(down, tuple)):
        return frames
    latents = down[0](frames)
    while up[0](latents) < frames:
        latents += 1
    return up[0](latents)


def _held(images: Tensor, frames: int) -> Tensor:
    """Return ``frames`` frames: the last one stays."""
    missing = frames - len(images)
    return images if missing <= 0 else torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])
