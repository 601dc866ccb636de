"""What all commands share that make a film from films: check, load, make, write as it is made, say what was made."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..checkpoint.metadata import Metadata, file_hash, find_checkpoint, read_metadata
from ..editing.checks import check_context_s
from ..editing.profile import Profile, our_profile
from ..editing.strength import read_strength
from ..errors import SoraError
from ..request import Plan, Request, resolve
from .hints import hint, hint_at_words
from .judging import Judged, judge
from .marks import check_marks, ending_of_args
from .outputs import CLIP, Outputs, plan_outputs, wanted_by
from .progress import Progress
from .record import edit_settings, model_name, tags_of
from .saving import Making, acts_of, ingredients_of, layers_of, marks_record, order_of, say_marks
from .writing import described, write_stream

if TYPE_CHECKING:
    from ..editing.engine import Settings
    from ..editing.film import Film, FilmStream
    from ..editing.maker import Maker
    from ..provenance.delivery import Delivered

Make = Callable[["Maker", "Sequence[Film]", "Settings"], "FilmStream"]
"""The work itself: the model, the clips and the settings to a film. Called twice: first to see what it would be."""


UNNAMED = "-"
"""Stands for a prompt that is not known yet where the other settings are checked."""

STEM_LENGTH = 80


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What one command makes.

    Args:
        command: its name. stem: what a fresh name begins with.
        clips: files named before the prompt. others: further files that it is made from, named by options.
        options: the command's own by name, as they are to be given again; None and False are left out.
        context_s: see `Settings`. silent: whether the clips' sound is left away.
        prompted: whether anything is made anew, so that a prompt is needed.
        make: the work.
    """

    command: str
    stem: str
    clips: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    context_s: float | None = None
    silent: bool = False
    prompted: bool = True
    make: Make

    @property
    def sources(self) -> tuple[Path, ...]:
        """All files that it is made from."""
        return (*self.clips, *self.others)


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that is settled before torch is loaded.

    told: where the prompt comes from, if not from the command line. judged: by the policy, the prompt.
    """

    request: Request
    model: Metadata
    outputs: Outputs
    told: Path | None
    judged: Judged | None

    @property
    def prompt(self) -> str:
        """What to show; empty where nothing is made."""
        return "" if self.request.prompt == UNNAMED else self.request.prompt

    @property
    def profile(self) -> Profile:
        """The model as the editor sees it."""
        return our_profile(self.model.defaults.fps, self.model.defaults.frames)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """Stands for a model that is not loaded yet: enough to see what a film would be, and to refuse it."""

    profile: Profile
    sound: bool = True


class Parts:
    """A bar over the parts of a film and the steps of each; over its frames where no part is to be made."""

    def __init__(self) -> None:
        self.bar = Progress("making  ")
        self.done = self.parts = 0

    def part(self, done: int, parts: int) -> None:
        """Be told of parts done."""
        self.done, self.parts = done, parts

    def step(self, done: int, steps: int, _: object) -> None:
        """Be told of a part's steps."""
        note = f"part {self.done + 1} of {self.parts}, step {done} of {steps}"
        self.bar(self.done + done / steps, self.parts, note)

    def frame(self, done: int, frames: int) -> None:
        """Be told of frames written."""
        if not self.parts:
            self.bar(done, frames)


def run_edit(args: argparse.Namespace, edit: Edit) -> int:
    """Do what a command asks for; ``args`` are those of `arguments`, with an output, and a prompt or None."""
    started = time.monotonic()
    job = prepare(args, edit)
    from .device import choose_device, set_threads, share_cores

    share_cores()
    device = choose_device(args.device)
    set_threads(args.threads)
    from ..editing.engine import Settings
    from ..editing.pipeline_maker import PipelineMaker
    from ..pipeline import Pipeline

    films, parts = _films(edit), Parts()
    settings = Settings(context_s=edit.context_s, seed=args.seed, report=parts.part)
    outline = edit.make(cast("Maker", Outline(profile=job.profile)), films, settings)
    plan = _plan(job, outline)
    pipeline = Pipeline.load(job.model.path, device, None if args.dtype == "auto" else args.dtype)
    _say(job, edit, films, outline)
    if edit.prompted:
        hint_at_words(pipeline, [job.request.prompt])
    dtype = str(pipeline.dtype).removeprefix("torch.")
    checkpoint = None if args.checkpoint is None else str(args.checkpoint)
    recorded = edit_settings(edit, job.request, plan, outline, dtype=dtype, checkpoint=checkpoint)
    model_hash = file_hash(job.model.path)
    tags = tags_of(job.request, args.seed, recorded, job.model, model_hash)
    tags["prompt"] = job.prompt
    maker = PipelineMaker(
        pipeline=pipeline,
        plan=plan,
        prompt=job.request.prompt,
        negative=job.request.negative,
        callback=parts.step,
    )
    making = Making(
        title=job.outputs.main.stem,
        opened=bool(edit.clips),
        ingredients=ingredients_of(edit.clips, edit.others),
        acts=acts_of(edit.command, by_model=edit.prompted),
        prompt=job.prompt,
        seed=args.seed,
        model=(model_name(job.model, plan), model_hash),
    )
    order = order_of(args, layers_of(args), making, job.judged)
    write = partial(write_stream, tags=tags, order=order, tagged=not args.no_metadata, report=parts.frame)
    delivered = _write(lambda: write(edit.make(maker, films, settings), job.outputs), parts)
    say_marks(delivered)
    taken = time.monotonic() - started
    if args.json:
        files = [str(path) for path in job.outputs.files]
        made = {"file": str(job.outputs.main), "files": files, "seed": args.seed, **marks_record(delivered)}
        about = {"prompt": job.prompt, "settings": recorded, "model_sha256": model_hash, "device": device}
        print(json.dumps({"clips": [made], **about, "seconds_taken": round(taken, 2)}))
    else:
        what = described(
            width=outline.width,
            height=outline.height,
            seconds=outline.num_frames / outline.fps,
            fps=outline.fps,
            sound=outline.channels > 0,
        )
        print(f"{job.outputs.main}: {what}, seed {args.seed}, {delivered.words}, made in {taken:.1f} s")
    return 0


def prepare(args: argparse.Namespace, edit: Edit) -> Job:
    """Check everything that can be checked without torch, cheapest first.

    Raises:
        SoraError: the first thing that is wrong.
    """
    check_context_s(edit.context_s)
    check_marks(args)
    request = Request(
        prompt=UNNAMED if args.prompt is None else args.prompt,
        negative=args.negative,
        seed=args.seed,
        steps=args.steps,
        guidance=args.cfg,
        solver=args.solver,
        quick=args.quick,
        strength=read_strength(edit.options.get("strength", 1.0)),
    )
    if args.output is not None and args.output.suffix.lower() != CLIP:
        raise SoraError(f"output {args.output} must end in {CLIP}")
    outputs = plan_outputs(
        args.output,
        stem=edit.stem,
        still=False,
        variations=1,
        wanted=wanted_by(args),
        force=args.force,
        ending=ending_of_args(args),
    )[0]
    tags = [_tags(path) for path in edit.clips]
    _keep_sources(outputs, edit)
    told = None
    if args.prompt is None:
        told = _prompted(edit, tags)
        prompt = UNNAMED if told is None else tags[edit.clips.index(told)]["prompt"]
        request = replace(request, prompt=prompt)
    judged = judge(args, [text for text in (request.prompt, args.negative) if text != UNNAMED])
    model = read_metadata(args.checkpoint or find_checkpoint())
    return Job(request=request, model=model, outputs=outputs, told=told, judged=judged)


def _tags(path: Path) -> dict[str, str]:
    from ..media.mp4 import read_tags

    return read_tags(path)


def _prompted(edit: Edit, tags: Sequence[Mapping[str, str]]) -> Path | None:
    """Return the first clip that carries a prompt of ours; None if there is none and none is needed.

    Other programs write a tag of that name too, so ours is told by the version beside it.
    """
    for path, found in zip(edit.clips, tags, strict=True):
        if "sora_version" in found and found.get("prompt", "").strip(f"{UNNAMED} "):
            return path
    if not edit.prompted:
        return None
    raise SoraError(
        f"no prompt is given and {' and '.join(map(str, edit.clips))} carries none of ours; say what to show, for "
        f'example "a red ball bounces"'
    )


def _keep_sources(outputs: Outputs, edit: Edit) -> None:
    for path in outputs.files:
        for source in edit.sources:
            if path.exists() and source.exists() and path.samefile(source):
                raise SoraError(f"output {path} is what it is made from; choose another name")


def _films(edit: Edit) -> list[Film]:
    from ..editing.conform import conform
    from ..media.film_file import FileFilm

    films = [FileFilm(path) for path in edit.clips]
    return [conform(film, channels=0) for film in films] if edit.silent else [*films]


def _plan(job: Job, outline: FilmStream) -> Plan:
    """Return the sampler's plan for one part of a film.

    Raises:
        SoraError: a size or rate that the model does not take, or more memory than there is.
    """
    frames = min(job.profile.at_least(outline.num_frames), job.profile.longest)
    part = replace(
        job.request,
        width=outline.width,
        height=outline.height,
        fps=outline.fps,
        seconds=frames / outline.fps,
        audio=outline.channels > 0,
    )
    return resolve(part, job.model.defaults)


def _say(job: Job, edit: Edit, films: Sequence[Film], outline: FilmStream) -> None:
    """Say on stderr what was taken from the clips, and what becomes of them."""
    if job.told is not None and edit.prompted:
        hint(f'the prompt is that of {job.told}: "{job.request.prompt}"')
    for path, film in zip(edit.clips, films, strict=True):
        size, rate = f"{film.width}x{film.height}", f"{film.fps:g} fps"
        wanted = f"{outline.width}x{outline.height}"
        if size != wanted or film.fps != outline.fps:
            hint(f"{path}, {size} at {rate}, is brought to {wanted} at {outline.fps:g} fps")


def _write(write: Callable[[], Delivered], parts: Parts) -> Delivered:
    import torch

    try:
        return write()
    except torch.OutOfMemoryError as error:
        raise SoraError("the device ran out of memory; give a smaller clip, or use --device cpu") from error
    finally:
        parts.bar.close()
