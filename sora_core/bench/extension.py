"""A film made longer: the memory of a minute against that of a few seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import find_checkpoint
from .fresh import in_fresh_process, peak_memory

SHORT_S, LONG_S = 4.0, 60.0
"""Lengths of the two films in seconds; both begin with the same rendered clip of about two."""

STEPS = 4
"""Few, since they take time and no memory."""

PROMPT = "a large red ball bounces on a wooden floor"


def bench_extension(
    checkpoint: Path | str | None = None, device: str = "cpu", *, tell: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Extend a clip to 4 and to 60 seconds and write both, each in a process of its own.

    Args:
        checkpoint: the model, or the shipped one. device: where. tell: told what comes next.

    Returns:
        ``short_s`` and ``long_s`` with their ``peak_mib`` (None where the system does not say) and ``seconds`` of work,
        and ``peak_ratio``, the long film's peak over the short one's.

    Raises:
        SoraError: there is no model, or it is refused.
    """
    say = tell or (lambda _: None)
    path = Path(checkpoint) if checkpoint is not None else find_checkpoint()
    with tempfile.TemporaryDirectory(prefix="sora-bench-") as folder:
        made: dict[str, dict[str, Any]] = {}
        for name, length in (("short_s", SHORT_S), ("long_s", LONG_S)):
            say(f"{length:g} s")
            target = Path(folder) / f"{name}.mp4"
            peak, seconds = in_fresh_process(_extend, path, device, torch.get_num_threads(), length, target)
            made[name] = {
                "length_s": length,
                "peak_mib": peak / 2**20 if peak is not None else None,
                "seconds": seconds,
            }
    peaks = [made[name]["peak_mib"] for name in ("short_s", "long_s")]
    return {**made, "peak_ratio": None if None in peaks else peaks[1] / peaks[0]}


def _extend(path: Path, device: str, threads: int, length: float, target: Path) -> tuple[int | None, float]:
    """Extend and write in this process; return its peak memory and the seconds that it took."""
    from ..editing.extend import extend
    from ..editing.film import MemoryFilm
    from ..editing.pipeline_maker import PipelineMaker
    from ..media.film_writer import write_film
    from ..pipeline import Pipeline
    from ..request import Request, resolve
    from ..world.render import render
    from ..world.spec import Attributes

    torch.set_num_threads(threads)
    pipeline = Pipeline.load(path, device)
    plan = resolve(Request(prompt=PROMPT, steps=STEPS), pipeline.defaults)
    shown = Attributes(colour="red", object="ball", size="large", motion="bounce", scene="wooden floor")
    batch = render([shown], [0], plan.format)
    source = MemoryFilm(picture=batch.frames[0], audio=batch.audio, fps=plan.format.fps)
    began = time.perf_counter()
    maker = PipelineMaker(pipeline=pipeline, plan=plan, prompt=PROMPT)
    write_film(target, extend(maker, source, seconds=length - source.num_frames / source.fps))
    return peak_memory(), time.perf_counter() - began
