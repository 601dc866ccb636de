"""``evaluate``: measure a checkpoint, or clips that exist, beside ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import SoraError
from ..types import SAMPLE_RATE, Clip
from ..world.reading import read_prompt
from ..world.spec import LEVELS, Level
from .detector import Detector
from .figures import Quality, figures
from .measures import CAP_S, DEFAULT_MATERIAL, Judged, psnr_db, snr_db
from .onsets import find_onsets, is_silent
from .physics import true_heights
from .pictures import Showcase
from .prompts import FLYING, GROUPS, Case, draw_cases, expected, group_of, judged_names

if TYPE_CHECKING:
    from ..pipeline import Pipeline
    from .make import Maker

BATCH = 16
"""Clips made at a time."""

ProgressCallback = Callable[[float, float, str], None]
"""Clips done, clips in all, and what is being done."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is measured where the checkpoint's own is not wanted; None takes that.

    level: of the world. size: width and height in pixels. seconds: length. steps: of the sampler. quick: True for the
    quick model, False for the full one.
    """

    level: int | None = None
    size: tuple[int, int] | None = None
    seconds: float | None = None
    steps: int | None = None
    quick: bool | None = None


@dataclass
class Columns:
    """What is gathered: the judged clips of each column, and the closeness of the VAEs' copies."""

    model: list[Judged] = field(default_factory=list)
    truth: list[Judged] = field(default_factory=list)
    round_trip: list[Judged] = field(default_factory=list)
    video_db: list[float] = field(default_factory=list)
    audio_db: list[float] = field(default_factory=list)
    onset_s: list[float] = field(default_factory=list)


def evaluate(
    *,
    clips: int = 256,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    source: Path | str | None = None,
    progress: ProgressCallback | None = None,
    pictures: Path | None = None,
    asked: Asked | None = None,
) -> dict[str, Any]:
    """Measure what a model makes, or clips that are there.

    Args:
        clips: N in all: half plain, a quarter held-out pairs, a quarter held-out words; N / 8 more start from an image
            and as many follow a reference picture. Not used with ``source``.
        seed: of prompts and clips.
        checkpoint: the file, or None for the shipped one. Not used with ``source``.
        device: where the models run; measuring is done on the CPU.
        source: a folder of clips (MP4 with tags, or with a JSON sidecar: prompt, seed, level) to measure instead.
        progress: told after every batch.
        pictures: a folder for a contact sheet and spectrograms of what was measured. Not used with ``source``.
        asked: level, format and sampler where the checkpoint's own are not wanted. Not used with ``source``.

    Returns:
        The figures of `figures.figures`, with ``clips``, ``clips_seen`` in training, ``seconds``, ``level``,
        ``format`` and ``sampler`` (steps, guidance, quick), and the objects
        ``ground_truth``, ``vae_round_trip`` and ``shuffled``, which hold the same keys. A figure that nothing was
        measured for is None.

    Raises:
        SoraError: no clip in the folder, one without a prompt, or an unusable checkpoint.
    """
    started = time.monotonic()
    tell = progress or (lambda _done, _total, _note: None)
    if source is not None:
        result = _measure_folder(Path(source), seed, tell)
    else:
        from ..pipeline import Pipeline

        result = measure_pipeline(Pipeline.load(checkpoint, device), clips, seed, tell, pictures=pictures, asked=asked)
    return {**result, "seconds": time.monotonic() - started}


def measure_pipeline(
    pipeline: Pipeline,
    clips: int,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    *,
    pictures: Path | None = None,
    asked: Asked | None = None,
) -> dict[str, Any]:
    """Measure a loaded pipeline; arguments and result as `evaluate`, without ``seconds``."""
    from ..request import Request, resolve
    from .make import Maker

    asked = asked or Asked()
    world = pipeline.metadata.world if pipeline.metadata else None
    level = LEVELS[asked.level or (world.level if world else 1)]
    width, height = asked.size or (None, None)
    wish = Request(
        prompt="evaluation", width=width, height=height, seconds=asked.seconds, steps=asked.steps, quick=asked.quick
    )
    plan = resolve(wish, pipeline.defaults)
    maker = Maker(pipeline=pipeline, plan=plan)
    detector = Detector(level)
    cases = draw_cases(level, clips, seed)
    columns = Columns()
    showcase = Showcase(cases, seed)
    done = 0
    for group in GROUPS:
        members = [case for case in cases if case.group == group]
        for start in range(0, len(members), BATCH):
            batch = members[start : start + BATCH]
            made = _measure_batch(maker, detector, batch, columns)
            for case, clip, judged in zip(batch, made, columns.model[-len(batch) :], strict=True):
                showcase.see(case, clip, judged.detection)
            done += len(batch)
            if progress:
                progress(done, len(cases), group.replace("_", " "))
    if pictures is not None:
        showcase.draw(pictures)
    quality = Quality(video_db=columns.video_db, audio_db=columns.audio_db, onset_s=columns.onset_s)
    names = judged_names(level)
    return {
        **figures(columns.model, names, quality),
        "clips": clips,
        "clips_seen": pipeline.metadata.training.get("clips") if pipeline.metadata else None,
        "level": level.number,
        "format": _format(
            Clip(torch.zeros(plan.frames, plan.format.height, plan.format.width, 3), None, plan.format.fps)
        ),
        "sampler": {"steps": plan.steps, "guidance": plan.guidance, "quick": plan.quick},
        "ground_truth": figures(columns.truth, names, Quality.perfect()),
        "vae_round_trip": figures(columns.round_trip, names, quality),
        "shuffled": figures(shuffled(columns.model, seed), names, quality),
    }


def _measure_batch(maker: Maker, detector: Detector, batch: Sequence[Case], columns: Columns) -> list[Clip]:
    """Make a batch three ways, judge each and compare the VAEs' copies with the truth; return the model's clips."""
    from .make import reference_pictures, true_clips

    plan = maker.plan
    truth = true_clips(batch, maker.plan)
    images = [clip.frames[0] for clip in truth] if batch[0].group == "image" else []
    pictures = reference_pictures(batch, maker.plan) if batch[0].group == "reference" else []
    looks = [detector(Clip(picture[None], None, maker.plan.format.fps)).look for picture in pictures]
    heights = [
        true_heights(case.attributes, case.seed, plan.format) if images and case.attributes.motion in FLYING else None
        for case in batch
    ]
    made = maker.generate(batch, images, pictures)
    copies = maker.round_trip(truth)
    for column, shown in ((columns.model, made), (columns.truth, truth), (columns.round_trip, copies)):
        for index, (case, clip) in enumerate(zip(batch, shown, strict=True)):
            column.append(
                Judged(
                    group=case.group,
                    expected=expected(case.attributes, detector.level),
                    detection=detector(clip),
                    first=clip.frames[0],
                    image=images[index] if images else None,
                    reference=looks[index] if looks else None,
                    material=case.attributes.material,
                    seconds=plan.format.seconds,
                    aspect=plan.format.width / plan.format.height,
                    fps=plan.format.fps,
                    heights=heights[index],
                )
            )
    for clip, copy in zip(truth, copies, strict=True):
        columns.video_db.append(psnr_db(clip.frames, copy.frames))
        if clip.audio is not None and copy.audio is not None and not is_silent(clip.audio.numpy()):
            columns.audio_db.append(snr_db(clip.audio, copy.audio))
            columns.onset_s += onset_distances(clip.audio.numpy(), copy.audio.numpy())
    return made


def onset_distances(sound_S: np.ndarray, copy_S: np.ndarray) -> list[float]:
    """Return how far each onset of a sound is from the nearest one of its copy, seconds, at most `CAP_S`."""
    onsets, copied = (find_onsets(sound, SAMPLE_RATE) for sound in (sound_S, copy_S))
    return [min(CAP_S, float(np.abs(copied - onset).min())) if len(copied) else CAP_S for onset in onsets]


def shuffled(clips: Sequence[Judged], seed: int = 0) -> list[Judged]:
    """Return the figure of pure chance: each clip judged by what another of its group was to show, with its sound.

    A clip's own sound would meet its own picture whatever was asked for.
    """
    generator = np.random.default_rng(seed)
    result: list[Judged] = []
    for group in GROUPS:
        members = [clip for clip in clips if clip.group == group]
        order = generator.permutation(len(members))
        # Each takes the wish of the next in a random circle, so that none keeps its own.
        for one, other in zip(order, np.roll(order, 1), strict=True):
            wish, shown = members[other], members[one].detection
            result.append(
                replace(
                    members[one],
                    detection=replace(shown, onsets=wish.detection.onsets),
                    expected=wish.expected,
                    image=wish.image,
                    reference=wish.reference,
                    material=wish.material,
                    heights=wish.heights,
                )
            )
    return result


def _measure_folder(folder: Path, seed: int, progress: ProgressCallback) -> dict[str, Any]:
    """Measure the clips of a folder by their own prompts."""
    from ..media.mp4 import read_clip

    paths = sorted(folder.glob("*.mp4"))
    if not paths:
        raise SoraError(f"{folder} holds no .mp4 file; name a folder of clips made by sora generate")
    judged: list[Judged] = []
    level: Level = LEVELS[1]
    shape: dict[str, float] = {}
    for index, path in enumerate(paths):
        file = read_clip(path)
        if not (prompt := file.tags.get("prompt", "").strip()):
            raise SoraError(f"{path} has no prompt, neither as a tag nor in {path.stem}.json beside it; add one")
        level = _level(file.tags.get("level", "1"), path)
        audio = None if file.audio is None else torch.from_numpy(file.audio)
        clip = Clip(torch.from_numpy(file.frames), audio, file.fps)
        named = read_prompt(prompt)
        judged.append(
            Judged(
                group=group_of(prompt, named),
                expected={name: word for name, word in named.items() if name in judged_names(level)},
                detection=Detector(level)(clip),
                first=clip.frames[0],
                material=named.get("material", DEFAULT_MATERIAL),
                seconds=len(clip.frames) / clip.fps,
                aspect=clip.frames.shape[2] / clip.frames.shape[1],
                fps=clip.fps,
            )
        )
        shape = _format(clip)
        progress(index + 1, len(paths), path.name)
    nothing = Quality(video_db=[], audio_db=[])
    empty = figures([], judged_names(level), nothing)
    return {
        **figures(judged, judged_names(level), nothing),
        "clips": len(judged),
        "level": level.number,
        "format": shape,
        "ground_truth": empty,
        "vae_round_trip": empty,
        "shuffled": figures(shuffled(judged, seed), judged_names(level), nothing),
    }


def _level(text: str, path: Path) -> Level:
    if text not in {str(number) for number in LEVELS}:
        raise SoraError(f"{path} names level {text}, and there are {', '.join(map(str, LEVELS))}; mend its tag")
    return LEVELS[int(text)]


def _format(clip: Clip) -> dict[str, float]:
    frames, height, width = clip.frames.shape[:3]
    return {"width": width, "height": height, "fps": clip.fps, "seconds": frames / clip.fps}
