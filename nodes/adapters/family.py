"""Which family a MODEL is of: what can be probed is probed, and a small table holds the rest."""

# C channels, T latent frames

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import comfy.model_base
import comfy.model_sampling
import torch

from ...sora_core.editing.profile import Profile, SoundProfile, Strategy, our_profile
from ...sora_core.errors import SoraError
from ...sora_core.request import Defaults
from ...sora_core.types import AUDIO_CHANNELS
from .latents import streams_of
from .model import SoraModel

STILLS = frozenset({"anima", "joyimage", "krea2", "qwen_image", "seedvr2"})
"""Families that make (or mend) pictures in a latent space of video, by the host's name."""

LONG = 1000.0
"""Seconds over which a family's sound latents are counted, so that rounding does not matter."""


@dataclass(frozen=True, kw_only=True)
class SoundLayout:
    """A family's sound latents. channels: of axis 1. time: the axis along which they follow each other."""

    channels: int
    time: int = 2


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What no probe can tell of a family.

    Args:
        name: for people. fps: that it was trained on. longest: frames of the longest clip that it was trained on.
        sound: None where it makes none. max_batch: clips that one run may hold.
        text_mask: whether it fails on a conditioning without an attention mask.
    """

    name: str
    fps: float = 24.0
    longest: int = 81
    sound: SoundLayout | None = None
    max_batch: int = 64
    text_mask: bool = False


OURS = Facts(
    name="Sora Nodes", fps=Defaults().fps, longest=Defaults().frames, sound=SoundLayout(channels=AUDIO_CHANNELS)
)

FACTS = {
    # wan/configs of the Wan 2.1 and 2.2 repositories
    ("wan2.1", 16): Facts(name="Wan 2.1/2.2", fps=16, longest=81),
    ("wan2.1", 48): Facts(name="Wan 2.2 5B", fps=24, longest=121),
    # LTX-Video's model card: "below 257 frames"; LTX-2 goes on to 20 s, for which few machines have the memory
    ("ltxv", 128): Facts(name="LTX-Video", fps=25, longest=257, text_mask=True),
    ("ltxav", 128): Facts(name="LTX-2", fps=25, longest=257, sound=SoundLayout(channels=8)),
    # the host's own node: "trained range is ~124-362"
    ("minimax_h3", 24): Facts(
        name="MiniMax H3", fps=24, longest=362, sound=SoundLayout(channels=32, time=3), max_batch=1
    ),
    ("hunyuan_video", 16): Facts(name="HunyuanVideo", fps=24, longest=129),
    ("hunyuan_video", 32): Facts(name="HunyuanVideo 1.5", fps=24, longest=121),
    ("mochi_preview", 12): Facts(name="Mochi 1", fps=30, longest=163),
    ("kandinsky5", 16): Facts(name="Kandinsky 5", fps=24, longest=121),
}
"""By the host's name of the family, and the channels of its picture latents."""


def profile_of(model: Any, vae: Any, audio_vae: Any = None, model_low: Any = None) -> Profile:
    """Return the family of a MODEL with its VAE, and with its audio VAE where sound is wanted.

    Args:
        model: of the high noise levels, where there are two. vae: of pictures. audio_vae: None leaves the sound away.
        model_low: of the low noise levels, as Wan 2.2 A14B has one.

    Raises:
        SoraError: a model of pictures, one that is not trained for flow matching, or parts that do not fit together.
    """
    _require_video(model)
    _require_vae(model, vae)
    if model_low is not None:
        _require_pair(model, model_low)
    facts, strategy = facts_of(model), strategy_of(model)
    sound = None if audio_vae is None else _sound_of(facts, audio_vae)
    if isinstance(model.model, SoraModel):
        ours = our_profile(fps=facts.fps, longest=facts.longest)
        return replace(ours, strategy=strategy, sound=sound and ours.sound)
    return Profile(
        family=facts.name,
        strategy=strategy,
        frames_of=vae.upscale_ratio[0],
        latents_of=vae.downscale_ratio[0],
        multiple=int(vae.spacial_compression_encode()) * _spatial_patch(model),
        fps=facts.fps,
        longest=facts.longest,
        sound=sound,
        max_batch=facts.max_batch,
        two_models=model_low is not None,
    )


def strategy_of(model: Any) -> Strategy:
    """Return how kept frames reach a MODEL, by what it does differently from the host's base class."""
    clean = _changes(model, "scale_latent_inpaint")
    # H3 turns masks into noise levels inside its transformer, and prepares them here.
    by_token = _changes(model, "process_timestep") or hasattr(model.model, "_denoise_mask_conds")
    if clean and by_token:
        return Strategy.TOKEN
    if model.model.concat_keys or extra_channels(model) > 0:
        return Strategy.CONCAT
    return Strategy.HOLD if clean else Strategy.REPAINT


def facts_of(model: Any) -> Facts:
    """Return the table's entry of a MODEL; a family that is not in it is named after its class."""
    if isinstance(model.model, SoraModel):
        return OURS
    name = model.model.model_config.unet_config.get("image_model")
    return FACTS.get((name, video_channels(model))) or Facts(name=type(model.model).__name__)


def video_channels(model: Any) -> int:
    """Return the channels of a family's picture latents; formats of two streams name the larger stream's."""
    layout = model.get_model_object("latent_format")
    video = streams_of(layout.fix_empty_latent(torch.zeros(1, layout.latent_channels, 1, 1, 1))).video
    assert video is not None
    return video.shape[1]


def extra_channels(model: Any) -> int:
    """Return how many channels the transformer reads beside the latent."""
    transformer = model.get_model_object("diffusion_model")
    for name in ("patch_embedding", "img_in"):
        layer = getattr(transformer, name, None)
        weight = getattr(getattr(layer, "proj", layer), "weight", None)
        if weight is not None and len(weight.shape) == 5:
            return weight.shape[1] - video_channels(model)
    read = getattr(transformer, "in_channels", None)
    return read - video_channels(model) if isinstance(read, int) else 0


def _changes(model: Any, name: str) -> bool:
    now = model.get_model_object(name)
    return getattr(now, "__func__", now) is not getattr(comfy.model_base.BaseModel, name)


def _spatial_patch(model: Any) -> int:
    """Return the cells of a latent along one side of a token."""
    transformer = model.get_model_object("diffusion_model")
    size = getattr(transformer, "patch_size", getattr(transformer, "patch_spatial", 1))
    return int(size if isinstance(size, int) else size[-1])


def _sound_of(facts: Facts, audio_vae: Any) -> SoundProfile:
    if facts.sound is None:
        raise SoraError(f"{facts.name} makes no sound and an audio VAE is connected; disconnect it")
    if audio_vae.output_channels >= 3 or audio_vae.latent_dim == 3:
        raise SoraError("the VAE connected as audio_vae is one of pictures; connect the model's VAE of sound")
    if audio_vae.latent_channels != facts.sound.channels:
        raise SoraError(
            f"the audio VAE makes {audio_vae.latent_channels} channels and {facts.name} reads {facts.sound.channels}; "
            "connect the audio VAE that belongs to the model"
        )
    rate = int(getattr(audio_vae, "audio_sample_rate_output", audio_vae.audio_sample_rate))
    return SoundProfile(rate=rate, channels=min(2, audio_vae.output_channels), latents=_counter(audio_vae))


def _counter(audio_vae: Any) -> Callable[[float], int]:
    """Return the function that says how many latents stand for so many seconds."""
    count = getattr(audio_vae.first_stage_model, "num_of_latents_from_frames", None)
    if count is not None:
        return lambda seconds: max(1, int(count(seconds, 1.0)))
    per_second = audio_vae.audio_sample_rate / audio_vae.downscale_ratio
    return lambda seconds: max(1, round(seconds * per_second))


def _require_video(model: Any) -> None:
    name = model.model.model_config.unet_config.get("image_model")
    if model.get_model_object("latent_format").latent_dimensions != 3 or name in STILLS:
        raise SoraError(f"{type(model.model).__name__} makes pictures, not video; connect a video model")
    sampling = model.get_model_object("model_sampling")
    # LTX's largest level is the float below 1.
    if not isinstance(sampling, comfy.model_sampling.CONST) or abs(float(sampling.sigma_max) - 1) > 1e-3:
        raise SoraError(
            f"{type(model.model).__name__} is not trained for flow matching, which the editor needs; "
            "connect a model that is, such as Wan, LTX or Sora's own"
        )


def _require_vae(model: Any, vae: Any) -> None:
    if vae.output_channels < 3:
        raise SoraError("the VAE connected as vae is one of sound; connect the model's VAE of pictures")
    if vae.latent_dim != 3 or vae.not_video or not isinstance(vae.upscale_ratio, tuple):
        raise SoraError("the VAE connected as vae makes pictures, not video; connect the VAE of the video model")
    wanted = video_channels(model)
    if vae.latent_channels != wanted:
        raise SoraError(
            f"the VAE makes {vae.latent_channels} channels and {facts_of(model).name} reads {wanted}; "
            "connect the VAE that belongs to the model"
        )


def _require_pair(model: Any, low: Any) -> None:
    _require_video(low)
    if facts_of(model).sound is not None:
        raise SoraError(f"{facts_of(model).name} is one model for all noise levels; disconnect model_low")
    parts = [(type(m.get_model_object("latent_format")), strategy_of(m), extra_channels(m)) for m in (model, low)]
    if parts[0] != parts[1]:
        raise SoraError(
            "the models of high and low noise levels are of different kinds; connect two halves of one model, both for "
            "text or both for images"
        )
