"""A maker of every family, tiny, and clips for it."""

# F frames, C channels, S samples, T latent frames, A audio latents

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import families
import torch
from prompts import Clip


@dataclass(frozen=True, kw_only=True)
class Row:
    """How a family's parts are made. text: channels of its conditioning."""

    model: Callable[[], Any]
    vae: Callable[[], Any]
    audio_vae: Callable[[], Any] | None = None
    text: int = 16


ROWS = {
    "wan22": Row(model=families.wan22, vae=families.wan22_vae),
    "wan21": Row(model=families.wan21, vae=families.wan21_vae),
    "wan21 image": Row(model=families.wan21_image, vae=families.wan21_vae),
    "wan21 control": Row(model=lambda: families.wan21_image(channels=48), vae=families.wan21_vae),
    "ltxv": Row(model=families.ltxv, vae=families.ltx_vae),
    "ltxav": Row(model=families.ltxav, vae=families.ltx_vae, audio_vae=families.ltx_audio_vae, text=32),
    "h3": Row(model=families.h3, vae=families.h3_vae, audio_vae=families.h3_audio_vae),
    "held": Row(model=families.held, vae=families.wan21_vae),
    "unheard of": Row(model=families.unheard_of, vae=families.wan21_vae),
}

FAMILIES = ("ours", *ROWS)
WITH_SOUND = ("ours", "ltxav", "h3")


def maker_of(host: Any, name: str, *, sound: bool = True, cfg: float = 1.5, steps: int = 3, **parts: Any) -> Any:
    """Return the `HostMaker` of a family: three steps of Euler. ``parts`` replace its arguments."""
    if name == "ours":
        clip = Clip(host)
        model, vae, audio_vae, text = clip.values(clip.model, clip.vae, clip.audio_vae, clip.positive)
        # The host keeps what it loaded for the next prompt.
        given = {"model": model.clone(), "vae": vae, "audio_vae": audio_vae if sound else None}
    else:
        row = ROWS[name]
        # No attention mask: where a family needs one, it must be added.
        text = families.text(row.text, masked=False)
        given = {
            "model": _model(name).clone(),
            "vae": row.vae(),
            "audio_vae": row.audio_vae() if sound and row.audio_vae else None,
        }
    run = host.pack("nodes.adapters.sampler").Run(seed=0, steps=steps, solver="euler", cfg=cfg)
    settings = {"positive": text, "negative": text, "run": run, **given, **parts}
    return host.pack("nodes.adapters.maker").HostMaker.of(**settings)


@functools.cache
def _model(name: str) -> Any:
    return ROWS[name].model()


def film(maker: Any, seed: int = 0, *, latents: int = 4, cells: int = 2) -> torch.Tensor:
    """Return a clip of noise of at least so many latent frames, uint8 ``[F, H, W, 3]``."""
    profile = maker.profile
    frames = profile.at_least(1)
    while profile.latents_of(frames) < latents:
        frames = profile.at_least(frames + 1)
    # Two tokens by two.
    side = profile.multiple * cells
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (frames, side, side, 3), dtype=torch.uint8, generator=generator)


def wave(maker: Any, seconds: float, seed: int = 0) -> torch.Tensor:
    """Return noise at the family's rate, ``[C, S]``."""
    sound = maker.profile.sound
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(sound.channels, round(sound.rate * seconds), generator=generator) * 2 - 1


def task_of(
    host: Any, maker: Any, seed: int = 0, *, keep: list[int], sound: list[int] | None = None, **task: Any
) -> Any:
    """Return a `Task` over a clip of noise that keeps latents by their index. sound: kept sound latents."""
    given = host.pack("sora_core.editing.maker")
    frames, fps = film(maker, seed), maker.profile.fps
    video, audio, heard = maker.encode_video(frames), None, None
    if maker.sound:
        audio = maker.encode_sound(wave(maker, len(frames) / fps, seed), maker.profile.sound.latents(len(frames) / fps))
        heard = torch.ones(maker.profile.sound.latents(len(frames) / fps))
        heard[sound or []] = 0
    shown = torch.ones(video.shape[2])
    shown[keep] = 0
    settings = {
        "frames": len(frames),
        "fps": fps,
        "given": given.Latents(video, audio),
        "video_mask": shown,
        "audio_mask": heard,
    }
    return given.Task(**{**settings, **task})


class Seen:
    """Watches a MODEL's transformer: what it is given at each call.

    x: streams as it reads them. level: of the noise, in [0, 1]; of frames, where they differ, the largest.
    """

    def __init__(self, model: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self.sampling = model.model.model_sampling

        def watch(execute: Any, x: Any, timestep: Any, *rest: Any, **named: Any) -> Any:
            streams = [x.clone()] if isinstance(x, torch.Tensor) else [stream.clone() for stream in x]
            self.calls.append({"x": streams, "timestep": timestep, "rest": rest, **named})
            return execute(x, timestep, *rest, **named)

        model.add_wrapper_with_key("diffusion_model", "watch", watch)

    @property
    def levels(self) -> list[float]:
        """The noise level of each call, of models that count it in thousandths."""
        return [round(float(torch.as_tensor(call["timestep"]).max()) / 1000, 4) for call in self.calls]
