"""One sampling run of the editor: a stretch of the canvas, encoded, masked, made and given its colours back."""

# F frames of the window, T latent frames, A audio latents, H W pixels, C sound channels, S samples

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import SoraError
from .joining import Correction, correct, fit_colours
from .maker import Latents, Maker, Task
from .profile import Profile, Strategy
from .resample import resample

GREY = 127
"""Models that are given kept frames as extra channels were trained with a mid grey between them."""

LANDING = 0.1
"""Share of the noise that the last latent frames before a kept stretch get. Measured on our model: from 1 to 0.1 the
step into a loop's first frame falls from 3.1 to 1.4 mean steps, and a connection's end comes from 5.3 to 1.0 dB below
what the VAE gives back of it. Most of a sudden change moves before these frames; it becomes only a little smaller."""

LEAST_LEVEL = 0.05
"""A level below this is none: a run under so little noise would give back what went in."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one run is to make.

    Args:
        frames: uint8 ``[F, H, W, 3]``, F a valid length. known: bool ``[F]``, where they show anything.
        picture, sound: levels ``[F]``: 0 keeps, 1 makes anew.
        wave: float32 ``[C, S]`` at ``sample_rate``, as long as the frames, or None for a silent film.
        fps, start, seed, strength: as in `Task`.
    """

    frames: Tensor
    known: Tensor
    picture: Tensor
    sound: Tensor
    wave: Tensor | None
    sample_rate: int
    fps: float
    start: float = 0.0
    seed: int = 0
    strength: float = 1.0


class Made(NamedTuple):
    """A finished window. frames: float32 ``[F, H, W, 3]`` of 0 to 255, colours matched. wave: like the window's."""

    frames: Tensor
    wave: Tensor | None


def run(maker: Maker, window: Window) -> Made:
    """Make one window."""
    profile = maker.profile
    video = maker.encode_video(filled(window, profile))
    picture_T = by_latent(window.picture, profile)
    if profile.strategy is Strategy.TOKEN:
        picture_T = landing(picture_T, window, profile)
    audio, sound_A = None, None
    if window.wave is not None and maker.sound:
        audio, sound_A = _encode_sound(maker, window)
    if profile.strategy is not Strategy.TOKEN:
        picture_T, sound_A = _whole(picture_T), None if sound_A is None else _whole(sound_A)
    task = Task(
        frames=len(window.frames),
        fps=window.fps,
        start=window.start,
        given=Latents(video, audio),
        video_mask=picture_T,
        audio_mask=sound_A,
        strength=window.strength,
        seed=window.seed,
    )
    made = maker.sample(task)
    frames = torch.cat(list(maker.decode_video(made.video)))[: len(window.frames)]
    wave = window.wave
    if made.audio is not None and window.wave is not None and maker.sound:
        wave = _decode_sound(maker, made.audio, window)
    return Made(_matched(frames, window, picture_T, profile), wave)


def filled(window: Window, profile: Profile) -> Tensor:
    """Return the window's frames with something to encode where nothing is known.

    The next known frame is held back over what is missing before it, so that a causal VAE meets it as it would in a
    still; the last one is held on. Families of strategy CONCAT get the grey that they were trained with, also in place
    of known frames that are wholly made anew.
    """
    seen = window.known
    if profile.strategy is Strategy.CONCAT and window.strength == 1:
        seen = seen & (window.picture < 0.5)
    if bool(seen.all()):
        return window.frames
    frames = window.frames.clone()
    if profile.strategy is Strategy.CONCAT or not bool(seen.any()):
        frames[~seen] = GREY
        return frames
    known = seen.nonzero()[:, 0]
    after = torch.searchsorted(known, torch.arange(len(frames))).clamp(max=len(known) - 1)
    return frames[known[after]]


def spans(frames: int, profile: Profile) -> list[tuple[int, int, int, int]]:
    """Return the groups of latent frames that stand for whole frames: first and end latent, first and end frame."""
    groups: list[tuple[int, int, int, int]] = []
    latent = frame = 0
    for end in range(1, profile.latents_of(frames) + 1):
        if (reached := profile.frames_of(end)) > frame and profile.latents_of(reached) == end:
            groups.append((latent, end, frame, reached))
            latent, frame = end, reached
    return groups


def by_latent(levels_F: Tensor, profile: Profile) -> Tensor:
    """Return the level of each latent frame ``[T]``: the greatest of its frames', so that 0 means all are kept."""
    levels = torch.ones(profile.latents_of(len(levels_F)))
    for latent, end, frame, last in spans(len(levels_F), profile):
        levels[latent:end] = levels_F[frame:last].max()
    return torch.where(levels < LEAST_LEVEL, 0.0, levels)


def landing(levels_T: Tensor, window: Window, profile: Profile) -> Tensor:
    """Return levels that let a run come to what follows it: the last latent frames before it begin near its still.

    What stands there to encode is the next known frame, held (see `filled`), under less than the whole noise.
    """
    eased = levels_T.clone()
    groups = spans(len(window.frames), profile)
    for (before, _, _, _), (first, end, low, high), (follows, _, _, _) in zip(
        groups, groups[1:], groups[2:], strict=False
    ):
        # One group before stays free, to come from where the film is.
        free = levels_T[before] == levels_T[first] == 1 and not bool(window.known[low:high].any())
        if free and levels_T[follows] == 0:
            eased[first:end] = LANDING
    return eased


def by_sound_latent(levels_F: Tensor, fps: float, latents: int) -> Tensor:
    """Return the level of each sound latent ``[A]``: the greatest of the frames that it sounds with."""
    seconds = len(levels_F) / fps
    edges = (torch.arange(latents + 1) * (seconds / latents) * fps).tolist()
    levels = torch.ones(latents)
    for index in range(latents):
        low, high = int(edges[index] + 1e-4), math.ceil(edges[index + 1] - 1e-4)
        levels[index] = levels_F[min(low, len(levels_F) - 1) : max(high, low + 1)].max()
    return torch.where(levels < LEAST_LEVEL, 0.0, levels)


def _whole(levels: Tensor) -> Tensor:
    """Return levels of 0 and 1 alone, for families that know no others."""
    return (levels >= 0.5).float()


def _encode_sound(maker: Maker, window: Window) -> tuple[Tensor, Tensor]:
    assert window.wave is not None
    sound = maker.profile.sound
    if sound is None:
        raise SoraError(f"{maker.profile.family} makes no sound; connect a model that does, or leave the sound away")
    latents = sound.latents(len(window.frames) / window.fps)
    wave = resample(window.wave, window.sample_rate, sound.rate, channels=sound.channels)
    return maker.encode_sound(wave, latents), by_sound_latent(window.sound, window.fps, latents)


def _decode_sound(maker: Maker, audio: Tensor, window: Window) -> Tensor:
    assert window.wave is not None
    assert maker.profile.sound is not None
    made = maker.decode_sound(audio)
    wave = resample(made, maker.profile.sound.rate, window.sample_rate, channels=window.wave.shape[0])
    missing = window.wave.shape[1] - wave.shape[1]
    return torch.nn.functional.pad(wave, (0, max(0, missing)))[:, : window.wave.shape[1]].clamp(-1, 1)


def _matched(frames: Tensor, window: Window, picture_T: Tensor, profile: Profile) -> Tensor:
    """Return the frames in the colours of those that were kept before and after."""
    kept = torch.zeros(len(frames), dtype=torch.bool)
    for latent, end, frame, last in spans(len(frames), profile):
        kept[frame:last] = bool((picture_T[latent:end] == 0).all())
    new = (~kept).nonzero()[:, 0]
    if len(new) == 0 or not bool(kept.any()):
        return frames.float()
    ends: list[Correction | None] = []
    for side in (slice(0, int(new[0])), slice(int(new[-1]) + 1, None)):
        given = window.frames[side]
        ends.append(fit_colours(frames[side], given) if len(given) else None)
    return correct(frames, *ends)


def longer_seed(seed: int, index: int) -> int:
    """Return the seed of run ``index`` of a film; variations count up by one, so runs lie far apart."""
    return (seed + index * 1_000_003) % (2**63 - 1)


__all__ = ["Made", "Window", "by_latent", "by_sound_latent", "filled", "longer_seed", "run", "spans"]
