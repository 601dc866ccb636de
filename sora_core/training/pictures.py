"""Pictures of a training run: curves from its log, contact sheets of what the models make."""

# F frames, H W height and width, C channels

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..media.chart import line_chart
from ..media.png import write_png
from ..media.sheet import filmstrips

LOG, CURVES = "log.jsonl", "curves.png"

SMALL = 96
"""Clips up to this many pixels across are shown at twice their size."""


class Panel(NamedTuple):
    """One chart: its title, the log's keys that it shows, and whether its axis is logarithmic."""

    title: str
    keys: tuple[str, ...]
    log_y: bool = False


PANELS = (
    Panel("LOSS", ("loss", "video", "audio", "unseen_video", "unseen_audio"), log_y=True),
    Panel("PARTS OF THE LOSS", ("absolute", "gradient", "motion", "square", "complex", "magnitude", "kl"), log_y=True),
    Panel("ROUND TRIP OF UNSEEN CLIPS, DB", ("psnr", "psnr_actor", "snr_db", "snr_db_worst")),
    Panel("ONSETS, MS OFF", ("onset_ms", "onset_true_ms")),
    Panel("CLIPS PER SECOND", ("clips_per_s", "windows_per_s")),
)
"""Over all stages; a panel that a log has no values for is left away."""


def draw_curves(folder: Path) -> Path | None:
    """Draw a stage's log as ``curves.png`` beside it.

    Args:
        folder: of one stage, with its ``log.jsonl``.

    Returns:
        The picture, or None where the log holds too little to draw (fewer than two measurements).
    """
    if not (folder / LOG).exists():
        return None
    lines = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines() if line.strip()]
    events = [line for line in lines if "step" in line]
    if len(events) < 2:
        return None
    across = "clips" if all("clips" in event for event in events) else "step"
    charts = [chart for panel in PANELS if (chart := _chart(panel, events, across)) is not None]
    if not charts:
        return None
    write_png(folder / CURVES, np.concatenate(charts))
    return folder / CURVES


def draw_samples(path: Path, clips: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> None:
    """Write a contact sheet, one row of eight frames per clip under its prompt.

    Args:
        path: PNG file.
        clips: uint8 ``[F, H, W, 3]`` each, all of one size.
        prompts: one per clip.
    """
    scale = 2 if max(clips[0].shape[1:3]) <= SMALL else 1
    write_png(path, filmstrips(clips, prompts, scale=scale))


def _chart(panel: Panel, events: Sequence[dict[str, Any]], across: str) -> NDArray[np.uint8] | None:
    series = {}
    for key in panel.keys:
        points = [(event[across], event[key]) for event in events if key in event]
        if len(points) > 1:
            series[key.upper().replace("_", " ")] = tuple(np.array(points, np.float64).T)
    if not series:
        return None
    return line_chart(series, title=panel.title, x_label=across.upper(), log_y=panel.log_y, height=300)
