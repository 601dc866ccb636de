"""``sora generate``: one sentence to a clip with sound."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint.metadata import Metadata, file_hash, find_checkpoint, read_metadata
from ..errors import SoraError
from ..media.source import require_sound
from ..request import ASPECTS, Plan, Request, resolve
from .arguments import add_files, add_model, add_negative, add_sampler, add_seed, number, size, whole
from .editing import Edit, run_edit
from .hints import hint_at_words
from .judging import Judged, judge
from .lent import Borrowed
from .marks import add_marks, add_policy, check_marks, ending_of_args
from .outputs import Outputs, is_still, plan_outputs, slug, wanted_by
from .progress import Progress
from .record import Sources, model_name, settings_of, tags_of
from .saving import Making, ingredients_of, layers_of, marks_record, order_of, say_marks
from .writing import described, write_clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..editing.engine import Settings
    from ..editing.film import Film, FilmStream
    from ..editing.maker import Maker
    from ..pipeline import ClipStream, Pipeline

EXAMPLES = """\
examples:
  sora generate "a large red ball bounces on a wooden floor"
      writes a-large-red-ball-bounces-on-a-wooden-001.mp4 here, with sound
  sora generate "a small blue box falls" -o box.mp4 --seconds 3 --seed 7
      the same seed makes the same clip again; another seed another one
  sora generate "a green star slides left" --variations 4
      four clips, seeds 0 to 3, names -1 to -4
  sora generate "a yellow ring rises" -o ring.png
      one picture (as --still does)
  sora generate "a red ball bounces" --full
      by the full model in many guided steps, where the quick one is the default; --quick the other way round
  sora generate "the ball rolls to the right" --image first.png --last-image last.png
      starts and ends with your pictures
  sora generate "a large red ball bounces" --sound steps.wav
      the picture to a sound, as long as that is
  sora info clip.mp4
      prints the command that makes a clip again

Sizes are multiples of 16, lengths are cut from 1, 5, 9, ... frames. What is not said follows the model: its own size,
length, frame rate, steps and guidance (sora info). A clip longer than the model's own is made in parts, each of which
sees the end of the one before. A model with a quick one beside it may name that as its default;
--negative, a --cfg other than 1, another --solver or more steps than it was made for take the full one.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "generate",
        help="make a clip with sound from one sentence",
        description="Make a clip with sound, or a picture, from one sentence.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("prompt", metavar="PROMPT", help="what to show, in one sentence")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=".mp4 or .png (default: a fresh name here)")

    clip = parser.add_argument_group("the clip")
    clip.add_argument("--seconds", type=number, metavar="S", help="length")
    clip.add_argument("--size", type=size, metavar="WxH", help="pixels, multiples of 16, for example 64x64")
    clip.add_argument("--aspect", metavar="W:H", help=f"shape instead of size: {', '.join(ASPECTS)}")
    clip.add_argument("--fps", type=number, metavar="N", help="frames per second")
    clip.add_argument("--still", action="store_true", help="one PNG instead of a clip")
    clip.add_argument("--no-audio", action="store_true", help="leave the sound away")
    add_seed(clip)
    clip.add_argument("--variations", type=whole, default=1, metavar="N", help="how many, from the seed on (default 1)")

    wish = parser.add_argument_group("the wish")
    add_negative(wish)
    wish.add_argument("--image", type=Path, metavar="FILE", help="first frame")
    wish.add_argument("--last-image", type=Path, metavar="FILE", help="last frame")
    wish.add_argument(
        "--reference", type=Path, action="append", default=[], metavar="FILE", help="who or what to show; up to two"
    )
    wish.add_argument(
        "--cameo", action="append", default=[], metavar="NAME", help="a likeness that was lent to you; up to two"
    )
    wish.add_argument("--sound", type=Path, metavar="FILE", help="a sound, or a clip's, to make the picture to")

    add_sampler(parser.add_argument_group("the sampler"))
    add_model(parser.add_argument_group("the model"))
    add_files(parser.add_argument_group("the files"))
    add_marks(parser.add_argument_group("the marks"))
    add_policy(parser.add_argument_group("the policy"))


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that is settled before torch is loaded. judged: by the policy, the prompt."""

    request: Request
    plan: Plan
    model: Metadata
    outputs: list[Outputs]
    sources: Sources
    judged: Judged | None


def run(args: argparse.Namespace) -> int:
    """Check, load, sample, write, say what was made."""
    if args.sound is not None:
        return run_edit(args, to_sound(args))
    started = time.monotonic()
    job = prepare(args)
    borrowed = None
    if args.cameo:
        borrowed = Borrowed(args.cameo, job.request.prompt, job.request.variations, job.judged)
    try:
        made, about, words = _make(args, job, borrowed)
    except BaseException:
        if borrowed is not None:
            borrowed.end("failed")
        raise
    taken = time.monotonic() - started
    if args.json:
        print(json.dumps({"clips": made, "prompt": job.request.prompt, **about, "seconds_taken": round(taken, 2)}))
    else:
        print(_sentence(job, made, words, taken))
    return 0


def _make(
    args: argparse.Namespace, job: Job, borrowed: Borrowed | None
) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Load, sample and write; return each clip's record, what they have in common, and a few words on their marks."""
    from .device import choose_device, set_threads, share_cores

    share_cores()
    device = choose_device(args.device)
    set_threads(args.threads)
    from ..pipeline import Pipeline

    request = job.request
    if borrowed is not None:
        request = replace(request, references=(*request.references, *borrowed.pictures()))
    pipeline = Pipeline.load(job.model.path, device, None if args.dtype == "auto" else args.dtype)
    hint_at_words(pipeline, [request.prompt, *(text for _, text in request.cues)])
    dtype = str(pipeline.dtype).removeprefix("torch.")
    settings = settings_of(request, job.plan, job.sources, dtype)
    model_hash = file_hash(job.model.path)
    layers = layers_of(args, cameo=borrowed is not None)
    made: list[dict[str, Any]] = []
    words = ""
    for clip, outputs in zip(_sample(pipeline, request), job.outputs, strict=True):
        tags = tags_of(request, clip.seed, settings, job.model, model_hash)
        cameos, allowed = ((), None) if borrowed is None else borrowed.next()
        making = Making(
            title=outputs.main.stem,
            ingredients=ingredients_of((), job.sources.pictures),
            prompt=request.prompt,
            seed=clip.seed,
            model=(model_name(job.model, job.plan), model_hash),
            cameos=cameos,
        )
        order = replace(order_of(args, layers, making, job.judged), allowed=allowed)
        delivered = write_clip(clip, outputs, tags, order, tagged=not args.no_metadata)
        say_marks(delivered)
        words = delivered.words
        files = [str(path) for path in outputs.files]
        made.append({"file": str(outputs.main), "files": files, "seed": clip.seed, **marks_record(delivered)})
    return made, {"settings": settings, "model_sha256": model_hash, "device": device}, words


def prepare(args: argparse.Namespace) -> Job:
    """Check everything that can be checked without torch, cheapest first, and read the pictures.

    Raises:
        SoraError: the first thing that is wrong.
    """
    still = is_still(args.output, args.still)
    width, height = args.size or (None, None)
    request = Request(
        prompt=args.prompt,
        negative=args.negative,
        seconds=args.seconds,
        width=width,
        height=height,
        aspect=args.aspect,
        fps=args.fps,
        seed=args.seed,
        steps=args.steps,
        guidance=args.cfg,
        solver=args.solver,
        quick=args.quick,
        variations=args.variations,
        image=args.image,
        last_image=args.last_image,
        references=args.reference,
        still=still,
        audio=not args.no_audio,
    )
    judged = judge(args, [args.prompt, args.negative])
    check_marks(args, cameo=bool(args.cameo))
    ending = ending_of_args(args, cameo=bool(args.cameo))
    outputs = plan_outputs(
        args.output,
        stem=slug(args.prompt),
        ending=ending,
        still=still,
        variations=args.variations,
        wanted=wanted_by(args),
        force=args.force,
    )
    model = read_metadata(args.checkpoint or find_checkpoint())
    plan = resolve(request, model.defaults)
    sources = Sources(
        image=args.image,
        last_image=args.last_image,
        references=tuple(args.reference),
        checkpoint=args.checkpoint,
    )
    return Job(request=_with_pictures(request), plan=plan, model=model, outputs=outputs, sources=sources, judged=judged)


def to_sound(args: argparse.Namespace) -> Edit:
    """Return what makes the picture to a sound.

    Raises:
        SoraError: what a sound does not go with, or a size, length or rate that cannot be.
    """
    others = ("still", "no_audio", "image", "last_image", "reference", "cameo")
    given = [name for name in others if getattr(args, name)] + ["variations"] * (args.variations != 1)
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise SoraError(f"--sound makes one clip from a prompt and a sound; leave away {named}")
    width, height = args.size or (None, None)
    request = Request(
        prompt=args.prompt, width=width, height=height, aspect=args.aspect, fps=args.fps, seconds=args.seconds
    )
    require_sound(args.sound)
    fmt = resolve(replace(request, seconds=None), read_metadata(args.checkpoint or find_checkpoint()).defaults).format

    def make(maker: Maker, _: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.sound import sound_to_video
        from ..media.sound_file import read_track

        return sound_to_video(
            maker,
            read_track(args.sound),
            width=fmt.width,
            height=fmt.height,
            fps=fmt.fps,
            seconds=args.seconds,
            settings=settings,
        )

    return Edit(
        command="generate",
        stem=slug(args.prompt),
        others=(args.sound,),
        options={
            "sound": str(args.sound),
            "size": f"{fmt.width}x{fmt.height}",
            "fps": fmt.fps,
            "seconds": args.seconds,
        },
        make=make,
    )


def _with_pictures(request: Request) -> Request:
    """Return the request with its files read."""

    def read(source: object | None) -> NDArray[np.uint8] | None:
        if source is None:
            return None
        from ..media.image import read_image

        return read_image(Path(str(source)))

    references = tuple(read(source) for source in request.references)
    return replace(request, image=read(request.image), last_image=read(request.last_image), references=references)


def _sample(pipeline: Pipeline, request: Request) -> list[ClipStream]:
    """Run the sampler under a progress bar."""
    import torch

    progress = Progress("sampling")
    try:
        return pipeline.generate_stream(request, lambda done, total, _: progress(done, total))
    except torch.OutOfMemoryError as error:
        raise SoraError(
            f"{pipeline.device} ran out of memory; ask for a smaller size, a shorter clip or fewer variations"
        ) from error
    finally:
        progress.close()


def _sentence(job: Job, made: list[dict[str, Any]], words: str, taken: float) -> str:
    """Return the one line that says what was made."""
    fmt = job.plan.format
    names = made[0]["file"] if len(made) == 1 else f"{made[0]['file']} ... {made[-1]['file']}"
    seeds = f"seed {made[0]['seed']}" if len(made) == 1 else f"seeds {made[0]['seed']} to {made[-1]['seed']}"
    if job.request.still:
        what = f"{fmt.width}x{fmt.height}"
    else:
        what = described(
            width=fmt.width,
            height=fmt.height,
            seconds=job.plan.seconds,
            fps=fmt.fps,
            sound=job.plan.samples > 0,
        )
    return f"{names}: {what}, {seeds}, {words}, made in {taken:.1f} s"
