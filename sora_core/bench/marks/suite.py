"""``bench marks``: all clips, all attacks, picture, sound and badge, in a quick and a full variant."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from .attacks import FULL, NONE, QUICK, Attack
from .false_positives import false_positives
from .footage import Clip, cartoon, natural
from .peers import PEERS
from .scheme import PIECE, Scheme, mark_id, secret
from .trials import OWNER, Tell, try_all

MOST_WORKERS = 4
"""Attacks at once: each holds up to a gigabyte."""

EMBED_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured. natural, cartoon: seeds of the marked clips.

    unmarked: clips of the false positives; keys: for each with the whole search; upright_keys: with the upright one.
    sounds, unmarked_sounds, sound_keys: the same of the sound. badges: natural clips that get a badge, beside one
    cartoon. frames: of a natural clip.
    """

    name: str
    attacks: tuple[Attack, ...]
    natural: tuple[int, ...]
    cartoon: tuple[int, ...]
    unmarked: int
    keys: int
    upright_keys: int
    sounds: int
    unmarked_sounds: int
    sound_keys: int
    badges: int
    frames: int = 96


def quick() -> Extent:
    """Return what takes at most ten minutes on two cores: hills, a face, a night, and a cartoon."""
    return Extent(
        name="quick",
        attacks=(NONE, *QUICK),
        natural=(0, 4, 6),
        cartoon=(0,),
        unmarked=24,
        keys=2,
        upright_keys=34,
        sounds=5,
        unmarked_sounds=20,
        sound_keys=25,
        badges=1,
    )


def full() -> Extent:
    """Return what a release is measured with, in hours: every scene, four cartoons, 10,200 wrong keys.

    The whole search takes four seconds for a wrong key, so it gets four keys for each clip; the upright one gets 34.
    """
    return Extent(
        name="full",
        attacks=(NONE, *FULL),
        natural=tuple(range(8)),
        cartoon=tuple(range(4)),
        unmarked=300,
        keys=4,
        upright_keys=34,
        sounds=20,
        unmarked_sounds=300,
        sound_keys=34,
        badges=8,
    )


def bench_marks(
    extent: Extent | None = None,
    *,
    scheme: Scheme | None = None,
    parts: tuple[str, ...] = ("picture", "sound", "visible"),
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Attack the marks and say what is left of them.

    Args:
        extent: how much, or None for `quick`. scheme: the picture's mark, or None for the project's own.
        parts: which marks. tell: told what comes next.

    Returns:
        ``variant``, ``seconds`` by the clock, ``cpu_seconds`` of all cores, ``peers`` and, for each part: ``picture``
        (``attacks``, ``quality``, ``forgery``, ``removed_in_the_middle``, ``false_positives``,
        ``false_positives_upright``, ``speed``, ``clips``), ``sound``, ``visible``.
    """
    extent, say = extent or quick(), tell or (lambda _: None)
    began, worked = time.perf_counter(), time.process_time()
    workers = max(1, min(torch.get_num_threads(), MOST_WORKERS))
    figures: dict[str, Any] = {"variant": extent.name, "workers": workers}
    if "picture" in parts:
        figures["picture"] = _picture(extent, scheme or own_scheme(), workers, say)
    if "sound" in parts:
        from .sound_trials import sound_trials

        figures["sound"] = sound_trials(
            clips=extent.sounds, unmarked=extent.unmarked_sounds, keys=extent.sound_keys, workers=workers, tell=say
        )
    if "visible" in parts:
        from .visible import measure_visible

        say("the badge")
        clips = [*map(natural, extent.natural[: extent.badges]), *map(cartoon, extent.cartoon[:1])]
        figures["visible"] = asdict(measure_visible([(clip.name, clip.frames_FHWC, clip.fps) for clip in clips]))
    spent = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}
    return {**figures, "peers": PEERS, **spent}


def _picture(extent: Extent, scheme: Scheme, workers: int, tell: Tell) -> dict[str, Any]:
    makers: list[Callable[[], Clip]] = [
        *(partial(natural, seed, frames=extent.frames) for seed in extent.natural),
        *(partial(cartoon, seed) for seed in extent.cartoon),
    ]
    tell("speed")
    speed = measure_speed(scheme, natural(0, frames=extent.frames))
    found = try_all(scheme, makers, extent.attacks, workers=workers, tell=tell).figures()
    nulls = partial(false_positives, scheme, clips=extent.unmarked, workers=workers, tell=tell)
    return {
        "clips": {"natural": len(extent.natural), "cartoon": len(extent.cartoon), "frames": extent.frames},
        **found,
        "false_positives": nulls(keys=extent.keys, thorough=True),
        "false_positives_upright": nulls(keys=extent.upright_keys, thorough=False),
        "speed": speed,
    }


def measure_speed(scheme: Scheme, clip: Clip) -> dict[str, float]:
    """Return ``embed_fps`` and ``detect_s`` for a clip on two threads, and the clip's ``length_s``."""
    frames = clip.frames_FHWC
    before = torch.get_num_threads()
    torch.set_num_threads(EMBED_THREADS)
    try:
        scheme.mark(frames[:2], clip.fps, secret(OWNER), mark_id("warm"))
        began = time.perf_counter()
        marked = scheme.mark(frames, clip.fps, secret(OWNER), mark_id(clip.name))
        embedded = time.perf_counter()
        scheme.read(scheme.prepare(marked, clip.fps), secret(OWNER), True)
        ended = time.perf_counter()
    finally:
        torch.set_num_threads(before)
    return {
        "embed_fps": len(frames) / (embedded - began),
        "detect_s": ended - embedded,
        "length_s": len(frames) / clip.fps,
    }


def own_scheme() -> Scheme:
    """Return the project's own mark of the picture, fed in pieces as a film is."""
    from torch import Tensor

    from ...provenance.marking.video import VideoMarker, VideoReading, prepare, read_prepared

    def mark(frames_FHWC: Tensor, fps: float, key: bytes, number: int) -> Tensor:
        height, width = frames_FHWC.shape[1:3]
        marker = VideoMarker(secret=key, mark_id=number, width=width, height=height, fps=fps)
        return torch.cat([marker.mark(piece) for piece in frames_FHWC.split(PIECE)])

    def make_ready(frames_FHWC: Tensor, fps: float) -> object:
        return prepare(frames_FHWC.split(PIECE), fps=fps)

    def read(prepared: Any, key: bytes, thorough: bool) -> VideoReading:  # noqa: ANN401
        return read_prepared(prepared, key, thorough=thorough)

    return Scheme(mark=mark, prepare=make_ready, read=read)
