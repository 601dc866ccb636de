"""``bench``: all measurements in one call, and the table that shows them beside their aims."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..errors import SoraError
from .report import table
from .timing import REPEATS

__all__ = ["AIMS", "SUBJECTS", "bench", "table"]

SPEEDS = ("dit", "vae", "end-to-end", "extension")
"""What ``all`` measures: how fast the machine runs the model."""

SUBJECTS = (*SPEEDS, "training", "peers", "marks", "tamper")

ProgressCallback = Callable[[float, float, str], None]
"""Measurements begun, measurements in all, and what is being measured."""


class Aim(NamedTuple):
    """What a figure should reach, on two CPU cores; ``at_least`` or else at most. key: its place, ``a.b.c``."""

    key: str
    value: float
    at_least: bool = False

    def words(self) -> str:
        """Return ``">= 0.27"``."""
        return f"{'>=' if self.at_least else '<='} {self.value:g}"


AIMS = (
    Aim("dit.micro.bfloat16.share_of_peak", 0.27, at_least=True),
    Aim("dit.nano.bfloat16.share_of_peak", 0.27, at_least=True),
    Aim("vae.memory.stream.growth_ratio", 1.2),
    Aim("vae.memory.whole.growth_ratio", 1.2),
    Aim("end_to_end.total_s", 6.0),
    Aim("end_to_end.quick.8.sampling_and_decoding_s", 1.0),
    Aim("end_to_end.quick.8.times_real_time", 1.0, at_least=True),
    Aim("end_to_end.quick.4.times_real_time", 1.0, at_least=True),
    Aim("end_to_end.cold_start_s", 15.0),
    Aim("end_to_end.cold_start_peak_mib", 1430.0),
    Aim("extension.peak_ratio", 1.1),
    *(Aim(f"peers.transformer.{size}.bfloat16.speedup", 1.3, at_least=True) for size in ("200", "600", "1800")),
    Aim("peers.decoder.bfloat16.time_ratio", 0.333),
    Aim("peers.decoder.float32.time_ratio", 0.333),
    Aim("marks.picture.quality.natural.psnr_db", 42.0, at_least=True),
    Aim("marks.picture.attacks.h_264_crf_23.natural.bits", 0.99, at_least=True),
    Aim("marks.picture.attacks.h_264_crf_30.natural.bits", 0.99, at_least=True),
    Aim("marks.picture.attacks.h_264_crf_36.natural.bits", 0.95, at_least=True),
    Aim("marks.picture.attacks.crop_55.natural.bits", 0.95, at_least=True),
    Aim("marks.picture.attacks.resize_5.natural.bits", 0.98, at_least=True),
    Aim("marks.picture.attacks.rotate_10.natural.bits", 0.94, at_least=True),
    Aim("marks.picture.attacks.flip_left_to_right.natural.bits", 0.98, at_least=True),
    Aim("marks.picture.speed.embed_fps", 30.0, at_least=True),
)
"""Our own: a transformer that uses a CPU as well as the best eager one we know, a clip in the time of a sip, and marks
that hold on 480p where published ones do not."""


def bench(
    subject: str = "all",
    *,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    repeats: int = REPEATS,
    full: bool = False,
    clips: int = 0,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Measure the speed of one part or of all, or what the marks withstand.

    Args:
        subject: one of `SUBJECTS` or ``all``, which is `SPEEDS`: ``training`` takes minutes, ``peers`` needs an extra,
            and the last two say nothing of speed.
        checkpoint: whose weights, or None for the shipped one; ``dit`` needs none.
        device: where. repeats: samples behind each median.
        full: all attacks on all clips, which takes hours, or 10,000 damages; of ``marks`` and ``tamper`` alone.
        clips: judged at each number of steps, of ``end-to-end``.
        progress: told before each measurement.

    Returns:
        ``machine`` and, for each subject (``end_to_end`` with an underscore), its figures; ``aims`` holds key, aim and
        whether it is met. See `dit.bench_dit`, `vae.bench_vae`, `end_to_end.bench_end_to_end`,
        `extension.bench_extension`, `training.bench_training`, `peers.bench_peers`, `marks.suite.bench_marks`,
        `tamper.bench_tamper`.

    Raises:
        SoraError: unknown subject, no usable model, or an extra that is missing.
    """
    if subject not in (*SUBJECTS, "all"):
        raise SoraError(f"subject {subject!r} is not known; choose one of {', '.join(SUBJECTS)} or all")
    chosen = SPEEDS if subject == "all" else (subject,)
    figures: dict[str, Any] = {"machine": machine(device, repeats)}
    for place, name in enumerate(chosen):
        tell = _teller(progress, place, len(chosen), name)
        tell("starting")
        if name == "dit":
            from .dit import bench_dit

            figures["dit"] = bench_dit(device, repeats=repeats, tell=tell)
        elif name == "vae":
            from .vae import bench_vae

            figures["vae"] = bench_vae(checkpoint, device, repeats=repeats, tell=tell)
        elif name == "extension":
            from .extension import bench_extension

            figures["extension"] = bench_extension(checkpoint, device, tell=tell)
        elif name == "training":
            from .training import bench_training

            figures["training"] = bench_training(checkpoint, device, tell=tell)
        elif name == "peers":
            from .peers import bench_peers

            figures["peers"] = bench_peers(checkpoint, device, repeats=repeats, tell=tell)
        elif name == "marks":
            from .marks import suite

            figures["marks"] = suite.bench_marks(suite.full() if full else suite.quick(), tell=tell)
        elif name == "tamper":
            from .tamper import bench_tamper

            figures["tamper"] = bench_tamper(full=full, tell=tell)
        else:
            from .end_to_end import bench_end_to_end

            figures["end_to_end"] = bench_end_to_end(checkpoint, device, repeats=repeats, clips=clips, tell=tell)
    if progress is not None:
        progress(1, 1, "")
    figures["aims"] = judged(figures)
    return figures


def machine(device: str, repeats: int = REPEATS) -> dict[str, Any]:
    """Return what the figures were taken on, and its largest matrix products."""
    from .dit import DTYPES
    from .peak import LARGE, matmul_speed

    cuda = torch.device(device).type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "large_matmul_gflops": {
            kind: matmul_speed(LARGE, dtype=dtype, device=device, repeats=repeats) / 1e9
            for kind, dtype in DTYPES.items()
        },
    }


def judged(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the aims of the figures that are there: ``aim``, ``measured``, ``met``."""
    found: dict[str, dict[str, Any]] = {}
    for aim in AIMS:
        value = figure(figures, aim.key)
        if value is not None:
            met = value >= aim.value if aim.at_least else value <= aim.value
            found[aim.key] = {"aim": aim.words(), "measured": value, "met": met}
    return found


def figure(figures: dict[str, Any], key: str) -> float | None:
    """Return the figure at ``a.b.c``, or None where a part of the way is missing."""
    found: Any = figures
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _teller(progress: ProgressCallback | None, place: int, count: int, name: str) -> Callable[[str], None]:
    return lambda words: progress(place, count, f"{name}: {words}") if progress is not None else None
