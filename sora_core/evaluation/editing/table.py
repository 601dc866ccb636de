"""The table of the editor's figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..report import reaches


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure. key: in the figures. name: as printed. lower: a low figure is good. unit: behind every number."""

    key: str
    name: str
    lower: bool = False
    unit: str = ""


ROWS = (
    Row(key="extend_velocity_sd", name="extend, jump of velocity at the seam", lower=True, unit=" sd"),
    Row(key="loop_frame_ratio", name="loop, step of picture at a join / mean step", lower=True),
    Row(key="loop_sound_ratio", name="loop, step of sound at a join / mean step", lower=True),
    Row(key="connect_db", name="connect, ends below the VAE's copy", lower=True, unit=" dB"),
    Row(key="blend_db", name="blend, ends below the VAE's copy", lower=True, unit=" dB"),
    Row(key="remix_kept", name="remix, attributes kept / text to video"),
    Row(key="remix_changed", name="remix, attribute changed / text to video"),
    Row(key="foley_onset_f1", name="sound made to a picture, onset F1"),
    Row(key="sound_to_video_onset_f1", name="picture made to a sound, onset F1"),
    Row(key="count_stable_60s", name="60 s more, one thing all along"),
)

HEADER = ("measure", "model", "should reach", "reached", "truth", "baseline")
NOTES = (
    "Sources are true clips. Baselines: a clip that stands still (extend, 60 s), a cut (loop, connect, blend), the "
    "source itself (remix), another clip's sound, and a clip made from text alone against the given sound."
)


def editing_table(figures: Mapping[str, Any]) -> str:
    """Return the figures of `run.measure_editing` as text."""
    measured = figures["editing"]
    lines = [HEADER, *(_cells(row, measured[row.key]) for row in ROWS)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = [_line(lines[0], widths), "  ".join("-" * width for width in widths)]
    text += [_line(line, widths) for line in lines[1:]]
    missed = sum(line[HEADER.index("reached")] == "no" for line in lines)
    from_text = figures["text_to_video"]
    places = [_number(where["remix_place_error"], "") for where in (figures, from_text)]
    text += [
        "",
        f"{figures['clips']} clips of level {figures['level']} for each edit, measured in {figures['seconds']:.0f} s; "
        f"onset F1 of clips made from text: {_number(from_text['onset_f1'], '')}.",
        f"A remixed actor is {places[0]} frame heights from where it was; one made from text alone, {places[1]}.",
        NOTES,
        f"Bars missed: {missed}.",
    ]
    return "\n".join(text)


def _cells(row: Row, cell: Mapping[str, float | None]) -> tuple[str, ...]:
    reached = {True: "yes", False: "no", None: "-"}[reaches(cell["value"], cell["bar"], row.lower)]
    bar = "-" if cell["bar"] is None else f"{'<=' if row.lower else '>='} {_number(cell['bar'], row.unit)}"
    shown = [_number(cell[name], row.unit) for name in ("value", "ground_truth", "baseline")]
    return row.name, shown[0], bar, reached, *shown[1:]


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f}{unit}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = (
        cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *rest)).rstrip()
