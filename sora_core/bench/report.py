"""The figures of a benchmark as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import peers, tamper
from .marks import table as marks_table

PROFILED = 4
"""Operators named in the table; the JSON holds more."""


def table(figures: dict[str, Any]) -> str:
    """Return the figures of `run.bench`, line by line, with the aim beside each that has one."""
    rows = [*_machine(figures["machine"])]
    for name, lines in TABLES.items():
        if name in figures:
            rows += [("", "", ""), *lines(figures[name], figures["aims"])]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{what:<{widths[0]}}  {value:>{widths[1]}}  {aim}".rstrip() for what, value, aim in rows)


Row = tuple[str, str, str]


def _machine(machine: dict[str, Any]) -> Iterator[Row]:
    yield "machine", "", f"{machine['device']}, {machine['threads']} threads, torch {machine['torch']}"
    for kind, speed in machine["large_matmul_gflops"].items():
        yield f"  large matrix product, {kind}", f"{speed:,.0f} GFLOP/s", ""


def _dit(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    yield "transformer, one guided call (batch of two)", "", ""
    for name, size in figures.items():
        counts = f"{size['parameters'] / 1e6:,.1f} M parameters, {size['tokens']} tokens"
        yield f"  {name}", f"{size['gflop']:,.1f} GFLOP", counts
        for kind in (key for key, value in size.items() if isinstance(value, dict)):
            timed = size[kind]
            yield f"    {kind}", f"{timed['median_ms']:.1f} ms", f"{timed['gflops']:,.0f} GFLOP/s"
            peak = f"of {timed['matmul_peak_gflops']:,.0f} GFLOP/s, its own layer's matrix product"
            aim = _aim(aims, f"dit.{name}.{kind}.share_of_peak")
            yield "      share of peak", f"{timed['share_of_peak']:.2f}", f"{peak}{f'; {aim}' if aim else ''}"
            shares = list(timed["operators"].items())[:PROFILED]
            yield "      time goes to", "", ", ".join(f"{operator} {share:.0%}" for operator, share in shares)


def _vae(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    memory = figures["memory"]
    yield "video decoder", "", ""
    yield "  default clip", f"{figures['ms_per_frame']:.1f} ms/frame", ""
    yield f"  {memory['side']} px", f"{figures['large_ms_per_frame']:.1f} ms/frame", ""
    for way in ("stream", "whole"):
        ratio, peaks = memory[way]["growth_ratio"], memory[way]["peaks_mib"]
        what = f"  memory growth, {way}"
        if ratio is None or peaks is None:
            yield what, "not known", "this system does not tell a process its peak"
            continue
        short, long = memory["seconds"]
        words = f"of the output's float32 bytes ({peaks[0]:,.0f} MiB at {short:g} s, {peaks[1]:,.0f} at {long:g} s)"
        yield what, f"{ratio:.2f} x", f"{words}; {_aim(aims, f'vae.memory.{way}.growth_ratio')}"


QUALITY = {
    "all_correct": "all correct",
    "held_out_pairs.all_correct": "held-out pairs",
    "onset_f1": "onset F1",
    "gravity_residual_px": "gravity residual",
}
"""What is judged at each number of steps: its key in `evaluation.figures`, and its name in the table."""


def _end_to_end(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    yield (
        f"default clip ({figures['clip_seconds']:.1f} s), {figures['steps']} steps, guidance {figures['guidance']:g}",
        "",
        "",
    )
    yield from _parts(figures, "end_to_end", aims)
    yield "  from a cold start", f"{figures['cold_start_s']:.1f} s", _aim(aims, "end_to_end.cold_start_s")
    if (peak := figures["cold_start_peak_mib"]) is not None:
        yield "  peak memory", f"{peak:,.0f} MiB", _aim(aims, "end_to_end.cold_start_peak_mib")
    for steps, quick in figures["quick"].items():
        yield f"the same by the quick model, {steps} steps, no guidance", "", ""
        yield from _parts(quick, f"end_to_end.quick.{steps}", aims)
    if figures["long"]:
        yield f"a clip of {figures['long_seconds']:g} s, made in parts, sampling and decoding", "", ""
    for steps, taken in figures["long"].items():
        yield f"  {steps} steps", f"{taken:.2f} s", f"{figures['long_seconds'] / taken:.2f} x real time"
    for steps, judged in figures["quality"].items():
        told = [f"{QUALITY[key]} {value:.2f}" for key, value in judged.items() if value is not None]
        yield f"  judged at {steps} steps", f"{figures['quality_clips']} clips", ", ".join(told)


def _parts(figures: dict[str, Any], place: str, aims: dict[str, Any]) -> Iterator[Row]:
    """Yield the medians of making one clip; ``place`` is where the aims know them."""
    names = {
        "sampling_s": "sampling",
        "decoding_s": "decoding",
        "sampling_and_decoding_s": "the two together",
        "writing_s": "writing",
        "total_s": "total",
    }
    for key, name in names.items():
        yield f"  {name}", f"{figures[key]:.2f} s", _aim(aims, f"{place}.{key}")
    yield "  times real time", f"{figures['times_real_time']:.2f} x", _aim(aims, f"{place}.times_real_time")


def _extension(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    yield "a clip extended, and written as it is made", "", ""
    for key in ("short_s", "long_s"):
        film = figures[key]
        if film["peak_mib"] is not None:
            yield f"  peak memory of {film['length_s']:g} s", f"{film['peak_mib']:,.0f} MiB", ""
    if (ratio := figures["peak_ratio"]) is not None:
        yield "  the long one's over the short one's", f"{ratio:.2f} x", _aim(aims, "extension.peak_ratio")


def _training(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    yield f"a training run of {figures['preset']}, clips a second", "", ""
    for name, timed in figures["formats"].items():
        stages = ("render", "encode", "tell", "forward", "backward", "update")
        alone = ", ".join(f"{stage} {timed[f'{stage}_per_s']:,.1f}" for stage in stages)
        yield f"  {name}, {timed['batch']} at a time", f"{timed['run_per_s']:,.1f}", alone
    yield "  the whole mix", f"{figures['run_per_s']:,.1f}", _aim(aims, "training.run_per_s")
    yield "  what stands in the way", "", figures["in_the_way"]


def _aim(aims: dict[str, Any], key: str) -> str:
    """Return ``"aim >= 0.27: met"``, or nothing where there is no aim."""
    if key not in aims:
        return ""
    return f"aim {aims[key]['aim']}: {'met' if aims[key]['met'] else 'missed'}"


TABLES = {
    "dit": _dit,
    "vae": _vae,
    "end_to_end": _end_to_end,
    "extension": _extension,
    "training": _training,
    "peers": peers.rows,
    "marks": marks_table.rows,
    "tamper": tamper.rows,
}
"""The part of the table for each subject."""
