"""The table that ``sora evaluate`` prints: every figure beside what it should be and what it could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure.

    name: as printed. key: its place in the figures, dots between. small, target: the two bars, None where there is
    none. digits: after the point. unit: printed behind every number. lower: a low figure is good.
    """

    name: str
    key: str
    small: float | None = None
    target: float | None = None
    digits: int = 2
    unit: str = ""
    lower: bool = False


ROWS = (
    Row(name="colour", key="attribute_accuracy.colour", small=0.95, target=0.97),
    Row(name="scene", key="attribute_accuracy.scene", small=0.95, target=0.97),
    Row(name="direction", key="attribute_accuracy.direction", small=0.95, target=0.97),
    Row(name="motion", key="attribute_accuracy.motion", small=0.85, target=0.97),
    Row(name="object", key="attribute_accuracy.object", small=0.80, target=0.97),
    Row(name="size", key="attribute_accuracy.size", small=0.75, target=0.97),
    Row(name="camera", key="attribute_accuracy.camera", target=0.97),
    Row(name="weather", key="attribute_accuracy.weather", target=0.97),
    Row(name="second actor", key="attribute_accuracy.other", target=0.97),
    Row(name="all attributes correct", key="all_correct", small=0.45, target=0.90),
    Row(name="held-out pairs, all correct", key="held_out_pairs.all_correct", small=0.30, target=0.80),
    Row(name="held-out words, attributes", key="held_out_words.attribute_accuracy", small=0.65, target=0.90),
    Row(name="onset F1", key="onset_f1", small=0.65, target=0.95),
    Row(
        name="onset offset, median", key="onset_offset_ms_median", small=60, target=15, digits=0, unit=" ms", lower=True
    ),
    Row(name="onset offset, 95 %", key="onset_offset_ms_p95", digits=0, unit=" ms", lower=True),
    Row(name="material by its sound", key="material_heard"),
    Row(name="gravity residual", key="gravity_residual_px", small=1.5, target=0.4, unit=" px", lower=True),
    Row(name="error of g, median", key="gravity_error", target=0.05, lower=True),
    Row(name="error of restitution", key="restitution_error", target=0.05, lower=True),
    Row(name="change of momentum, median", key="momentum_change", target=0.15, lower=True),
    Row(name="actors kept in number", key="actors_kept", target=0.97),
    Row(name="camera, pan off", key="camera_pan_error_px_s", unit=" px/s", lower=True),
    Row(name="camera, zoom off", key="camera_zoom_error", digits=3, unit=" /s", lower=True),
    Row(name="reference identity", key="reference_identity"),
    Row(name="image to video, first frame", key="i2v_first_frame_psnr_db", digits=1, unit=" dB"),
    Row(name="image to video, velocity error", key="i2v_velocity_error", target=0.06, lower=True),
    Row(name="video VAE round trip", key="video_vae_psnr_db", small=30, target=36, digits=1, unit=" dB"),
    Row(name="audio VAE round trip", key="audio_vae_snr_db", digits=1, unit=" dB"),
    Row(
        name="audio VAE, onsets off, median",
        key="audio_vae_onset_ms_median",
        target=4,
        digits=1,
        unit=" ms",
        lower=True,
    ),
    Row(name="audio VAE, onsets off, 95 %", key="audio_vae_onset_ms_p95", digits=1, unit=" ms", lower=True),
)
"""Both bars are this project's own: what two cores must reach, and the target of a GPU run."""

BASELINES = {"truth": "ground_truth", "VAE": "vae_round_trip", "shuffled": "shuffled"}
READING = (
    "Attributes, sound, physics and camera are over the plain half; direction over the prompts that name one; momentum "
    "over all prompts of a collision; the velocity error over images of a fall or bounce, which leave the moment of "
    "release open alone."
)
HEADER = ("measure", "model", "two cores", "target", "reached", *BASELINES)


def table(figures: Mapping[str, Any]) -> str:
    """Return the figures of `run.evaluate` as text: a line for each measure, then how to read it."""
    lines: list[tuple[str, ...]] = [HEADER]
    missed = {"two cores": 0, "target": 0}
    for row in ROWS:
        value = lookup(figures, row.key)
        baselines = [lookup(figures[key], row.key) for key in BASELINES.values()]
        if value is None and all(baseline is None for baseline in baselines):
            continue
        missed["two cores"] += reaches(value, row.small, row.lower) is False
        missed["target"] += reaches(value, row.target, row.lower) is False
        lines.append(
            (
                row.name,
                number(value, row),
                bar(row.small, row),
                bar(row.target, row),
                _reached(value, row),
                *(number(baseline, row) for baseline in baselines),
            )
        )
    text = [
        *laid_out(lines),
        "",
        f"{described(figures)} (bars: 64x64, 12 fps, 2 s and 96 to 128 px, 4 s), measured in "
        f"{figures['seconds']:.0f} s.",
        READING,
        f"Bars missed: {missed['two cores']} of those for two cores, {missed['target']} of the targets.",
    ]
    return "\n".join(text)


def described(figures: Mapping[str, Any]) -> str:
    """Return what was measured: clips, level and format, and the sampler where it is known."""
    shape, sampler = figures["format"], figures.get("sampler")
    text = (
        f"{figures['clips']} clips of level {figures['level']}, {shape['width']:g}x{shape['height']:g} at "
        f"{shape['fps']:g} fps for {shape['seconds']:.1f} s"
    )
    if not sampler:
        return text
    return f"{text}, {sampler['steps']} steps{' of the quick model' if sampler['quick'] else ''}"


def laid_out(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, the first of which is its header."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [_line(lines[0], widths), "  ".join("-" * width for width in widths)]
    return text + [_line(line, widths) for line in lines[1:]]


def lookup(figures: Mapping[str, Any], key: str) -> float | None:
    """Return the figure at a dotted key, or None."""
    value: Any = figures
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def reaches(value: float | None, bar: float | None, lower: bool) -> bool | None:
    """Say whether a figure reaches a bar; None where either is missing."""
    if value is None or bar is None:
        return None
    return value <= bar if lower else value >= bar


def _reached(value: float | None, row: Row) -> str:
    small, target = (reaches(value, limit, row.lower) for limit in (row.small, row.target))
    if target:
        return "both" if row.small is not None else "target"
    return {True: "two cores", False: "no", None: "-" if target is None else "no"}[small]


def bar(limit: float | None, row: Row) -> str:
    """Return a bar as it is printed in its row."""
    return "-" if limit is None else ("<= " if row.lower else ">= ") + number(limit, row)


def number(value: float | None, row: Row) -> str:
    """Return a figure as it is printed in its row."""
    return "-" if value is None else f"{value:.{row.digits}f}{row.unit}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *rest)).rstrip()
