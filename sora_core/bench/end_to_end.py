"""One sentence to one file, as the command does it: from a cold start, and step by step once all is loaded."""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import find_checkpoint
from ..errors import SoraError
from ..media.mp4 import write_mp4
from ..pipeline import Pipeline
from ..request import Plan, Request, resolve
from .fresh import in_fresh_process, peak_memory
from .report import QUALITY
from .timing import REPEATS

PROMPT = "a large red ball bounces on a wooden floor"
STEPS = 30
QUICK_STEPS = (8, 4)
"""Of the quick model, where the checkpoint has one that was made for them."""

LONG_S = 4.0
LONG_REPEATS = 3
"""A clip longer than the shipped model's own, made part by part, and how often: it takes several times as long."""

PARTS = ("sampling_s", "decoding_s", "writing_s", "total_s")


def bench_end_to_end(
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    *,
    repeats: int = REPEATS,
    clips: int = 0,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Make the default clip with guidance, and by the quick model without.

    Args:
        checkpoint: the model, or the shipped one. device: where. repeats: clips behind each median.
        clips: judged at each number of steps as ``sora evaluate`` judges them, none unless asked for.
        tell: told what comes next.

    Returns:
        ``cold_start_s`` (a new process, the command, the file written) with ``cold_start_peak_mib`` (None where the
        system does not say); medians ``sampling_s``, ``decoding_s``, ``sampling_and_decoding_s``, ``writing_s``,
        ``total_s``, and ``times_real_time`` (seconds of clip for one of work); ``clip_seconds``, ``steps``,
        ``guidance``. Under ``quick`` the medians by number of steps (``"8"``, ``"4"``), none without a quick model.
        ``long`` by number of steps: seconds that a clip of ``long_seconds`` takes to be sampled and decoded.
        ``quality`` of ``clips`` clips by number of steps, with the keys of `report.QUALITY`; empty without clips.

    Raises:
        SoraError: there is no model, or it is refused.
    """
    say = tell or (lambda _: None)
    path = Path(checkpoint) if checkpoint is not None else find_checkpoint()
    with tempfile.TemporaryDirectory(prefix="sora-bench-") as folder:
        say("cold start")
        began = time.perf_counter()
        code, peak = in_fresh_process(_command, path, device, torch.get_num_threads(), Path(folder) / "cold.mp4")
        cold = time.perf_counter() - began
        if code:
            raise SoraError(f"sora generate ended with code {code} in a process of its own; run it by hand to see why")
        pipeline = Pipeline.load(path, device)
        plans = {str(request.steps): resolve(request, pipeline.defaults) for request in _requests(pipeline)}
        samples: dict[str, list[tuple[float, ...]]] = {steps: [] for steps in plans}
        for index in range(repeats + 1):
            say(f"clip {index} of {repeats}" if index else "warming up")
            # in turns, so that a busy moment of the machine falls on all alike
            for steps, plan in plans.items():
                samples[steps].append(_make(pipeline, plan, Path(folder) / "warm.mp4"))
    say(f"clips of {LONG_S:g} s")
    long = {str(request.steps): _long(pipeline, request) for request in _requests(pipeline)}
    (full, plan), *_ = plans.items()
    return {
        "cold_start_s": cold,
        "cold_start_peak_mib": peak / 2**20 if peak is not None else None,
        **_medians(samples.pop(full)[1:], plan.seconds),
        "clip_seconds": plan.seconds,
        "steps": plan.steps,
        "guidance": plan.guidance,
        "quick": {steps: _medians(times[1:], plan.seconds) for steps, times in samples.items()},
        "long": long,
        "long_seconds": LONG_S,
        "quality": _quality(pipeline, plans, clips, say) if clips else {},
        "quality_clips": clips,
    }


def _quality(
    pipeline: Pipeline, plans: Mapping[str, Plan], clips: int, say: Callable[[str], None]
) -> dict[str, dict[str, float | None]]:
    """Judge the same prompts and seeds at each number of steps."""
    from ..evaluation.report import lookup
    from ..evaluation.run import Asked, measure_pipeline

    found: dict[str, dict[str, float | None]] = {}
    for steps, plan in plans.items():
        say(f"judging {clips} clips at {steps} steps")
        figures = measure_pipeline(pipeline, clips, asked=Asked(steps=plan.steps, quick=plan.quick))
        found[steps] = {key: lookup(figures, key) for key in QUALITY}
    return found


def _requests(pipeline: Pipeline) -> list[Request]:
    """Return the full model's request first, then those that the quick one was made for."""
    said = pipeline.defaults.quick
    quick = [steps for steps in QUICK_STEPS if said is not None and steps in said.steps]
    return [
        Request(prompt=PROMPT, steps=STEPS, quick=False),
        *(Request(prompt=PROMPT, steps=steps, quick=True) for steps in quick),
    ]


def _medians(samples: list[tuple[float, ...]], seconds: float) -> dict[str, float]:
    """Return the medians of what `_make` returned, for a clip of so many seconds."""
    medians = {name: statistics.median(column) for name, column in zip(PARTS, zip(*samples, strict=True), strict=True)}
    return medians | {
        "sampling_and_decoding_s": statistics.median(sample[0] + sample[1] for sample in samples),
        "times_real_time": seconds / medians["total_s"],
    }


def _make(pipeline: Pipeline, plan: Plan, path: Path) -> tuple[float, float, float, float]:
    """Make one clip; return the seconds of sampling (text encoder included), decoding, writing, and all together."""
    times = [time.perf_counter()]
    # the results are brought to the CPU at each of these ends, so that a GPU's time falls where it belongs
    latent = pipeline.sample(pipeline.encode_prompt([PROMPT]), plan)
    _ = latent.video is not None and latent.video.cpu()
    times.append(time.perf_counter())
    clip = pipeline.decode(latent, plan)[0]
    times.append(time.perf_counter())
    audio = clip.audio.numpy() if clip.audio is not None else None
    write_mp4(path, [clip.frames.numpy()], fps=clip.fps, audio=audio)
    times.append(time.perf_counter())
    parts = [after - before for before, after in pairwise(times)]
    return parts[0], parts[1], parts[2], times[-1] - times[0]


def _long(pipeline: Pipeline, request: Request) -> float:
    """Return the median of the seconds that a long clip takes, decoded and not written."""
    wish, taken = replace(request, seconds=LONG_S), []
    for _ in range(LONG_REPEATS):
        began = time.perf_counter()
        pipeline.generate(wish)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _command(path: Path, device: str, threads: int, output: Path) -> tuple[int, int | None]:
    """Run ``sora generate`` in this process without a word; return its code and the peak memory."""
    from ..cli import main

    torch.set_num_threads(threads)
    words = ["generate", PROMPT, "-o", str(output), "--checkpoint", str(path), "--device", device]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main([*words, "--full", "--steps", str(STEPS)])
    return code, peak_memory()
