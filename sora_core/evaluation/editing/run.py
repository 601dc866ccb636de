"""Measure the editor: draw true clips, edit them, and see what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...pipeline import Pipeline
from ...request import Request, resolve
from ...world.spec import LEVELS
from .cases import draw_changes
from .counting import measure_count, runs_of_long
from .ends import measure_blend, measure_connect
from .loops import measure_loop
from .measured import Measured
from .remix import measure_remix, place_error, remixed
from .seams import measure_extend
from .sounds import measure_sounds, onset_f1
from .studio import Studio

EDITS = 8
"""Sampling runs for each clip: one of each short edit, and one from text."""

LEAST_LONG = 4
"""Clips that are made a minute longer at least."""

ProgressCallback = Callable[[float, float, str], None]
"""Sampling runs done, runs in all, and what is being made."""


def evaluate_editing(
    *,
    clips: int = 24,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Measure the editor with a checkpoint, None for the shipped one; the rest as `measure_editing`.

    Returns:
        Its figures, and the ``seconds`` that it took.
    """
    started = time.monotonic()
    result = measure_editing(Pipeline.load(checkpoint, device), clips, seed, progress, pictures)
    return {**result, "seconds": time.monotonic() - started}


def measure_editing(
    pipeline: Pipeline,
    clips: int,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Measure the editor with a loaded pipeline at its checkpoint's settings.

    Args:
        pipeline: the models.
        clips: N of each edit; max(4, N / 8) clips are made a minute longer.
        seed: of clips, prompts and noise.
        progress: told after every sampling run.
        pictures: a folder for ``editing.png``, strips of the first clips of each edit.

    Returns:
        ``editing``: each measure as an object ``value, bar, ground_truth, baseline``. ``remix_place_error``: see
        `remix.place_error`. ``text_to_video``: the same of clips from text, and the ``onset_f1`` from which the bars of
        the sounds come. Also ``clips``, ``clips_seen``, ``level`` and ``format`` as `evaluation.run.evaluate`.
    """
    world = pipeline.metadata.world if pipeline.metadata else None
    level = LEVELS[world.level if world else 1]
    plan = resolve(Request(prompt="evaluation"), pipeline.defaults)
    long = max(LEAST_LONG, clips // 8)
    done = 0

    def tick(note: str) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, total), total, note)

    studio = Studio(pipeline=pipeline, plan=plan, level=level, tick=tick)
    total = clips * EDITS + long * runs_of_long(studio)
    rows: dict[str, Measured] = {"extend_velocity_sd": measure_extend(studio, clips, seed)}
    rows |= measure_loop(studio, clips, seed)
    rows["connect_db"] = measure_connect(studio, clips, seed)
    rows["blend_db"] = measure_blend(studio, clips, seed)
    changes = draw_changes(level, clips, seed)
    targets = [change.target for change in changes]
    true = [studio.detect(film) for film in studio.sources(targets)]
    plain = studio.from_text(targets)
    from_text = [studio.detect(film) for film in plain]
    films = remixed(studio, changes)
    rows |= measure_remix(studio, changes, films, true, from_text)
    rows |= measure_sounds(studio, targets, true, from_text)
    rows["count_stable_60s"] = measure_count(studio, long, seed)
    if pictures is not None:
        studio.album.draw(pictures)
    fmt = plan.format
    return {
        "editing": {name: row.as_json() for name, row in rows.items()},
        "remix_place_error": place_error(studio, changes, films),
        "text_to_video": {
            "onset_f1": onset_f1(studio, targets, from_text, from_text),
            "remix_place_error": place_error(studio, changes, plain),
        },
        "clips": clips,
        "clips_seen": pipeline.metadata.training.get("clips") if pipeline.metadata else None,
        "level": level.number,
        "format": {"width": fmt.width, "height": fmt.height, "fps": fmt.fps, "seconds": plan.seconds},
    }
