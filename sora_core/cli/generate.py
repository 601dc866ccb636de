"""``sora generate``: one sentence to a clip with sound."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint.metadata import Metadata, file_hash, find_checkpoint, read_metadata
from ..errors import SoraError
from ..request import ASPECTS, SOLVERS, Plan, Request, resolve
from .arguments import DTYPES, add_checkpoint, add_device, number, size, whole
from .outputs import Outputs, Wanted, is_still, plan_outputs
from .progress import Progress
from .record import Sources, settings_of, tags_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..pipeline import ClipStream, Pipeline

SPRITES, SPRITE_COLUMNS = 20, 5

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
  sora generate "the ball rolls to the right" --image first.png --last-image last.png
      starts and ends with your pictures
  sora info clip.mp4
      prints the command that makes a clip again

Sizes are multiples of 16, lengths are cut from 1, 5, 9, ... frames. What is not said follows the model: its own size,
length, frame rate, steps and guidance (sora info).
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
    clip.add_argument("--seed", type=whole, default=0, metavar="N", help="which of all the clips (default 0)")
    clip.add_argument("--variations", type=whole, default=1, metavar="N", help="how many, from the seed on (default 1)")

    wish = parser.add_argument_group("the wish")
    wish.add_argument("--negative", default="", metavar="TEXT", help="what it should not be")
    wish.add_argument("--image", type=Path, metavar="FILE", help="first frame")
    wish.add_argument("--last-image", type=Path, metavar="FILE", help="last frame")
    wish.add_argument(
        "--reference", type=Path, action="append", default=[], metavar="FILE", help="who or what to show; up to two"
    )

    sampler = parser.add_argument_group("the sampler")
    sampler.add_argument("--steps", type=whole, metavar="N", help="more are slower and finer")
    sampler.add_argument("--cfg", type=number, metavar="X", help="how closely to follow the prompt; 1 is plain")
    sampler.add_argument("--solver", metavar="NAME", help=", ".join(SOLVERS))

    model = parser.add_argument_group("the model")
    add_checkpoint(model)  # type: ignore[arg-type]
    add_device(model)  # type: ignore[arg-type]
    model.add_argument("--dtype", choices=DTYPES, default="auto", help="numbers to compute in")

    files = parser.add_argument_group("the files")
    files.add_argument("--force", action="store_true", help="overwrite what is there")
    files.add_argument("--no-metadata", action="store_true", help="write no prompt, seed or settings into the file")
    files.add_argument("--sidecar", action="store_true", help="write them into a .json beside it")
    files.add_argument("--thumbnail", action="store_true", help="write the middle frame as a picture")
    files.add_argument("--spritesheet", action="store_true", help=f"write {SPRITES} frames as one picture")
    files.add_argument("--json", action="store_true", help="say what was made as JSON")


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that is settled before torch is loaded."""

    request: Request
    plan: Plan
    model: Metadata
    outputs: list[Outputs]
    sources: Sources


def run(args: argparse.Namespace) -> int:
    """Check, load, sample, write, say what was made."""
    started = time.monotonic()
    job = prepare(args)
    from .device import choose_device, share_cores

    share_cores()
    device = choose_device(args.device)
    from ..pipeline import Pipeline

    pipeline = Pipeline.load(job.model.path, device, None if args.dtype == "auto" else args.dtype)
    _hint(pipeline, job.request)
    dtype = str(pipeline.dtype).removeprefix("torch.")
    settings = settings_of(job.request, job.plan, job.sources, dtype)
    model_hash = file_hash(job.model.path)
    made: list[dict[str, Any]] = []
    for clip, outputs in zip(_sample(pipeline, job.request), job.outputs, strict=True):
        tags = tags_of(job.request, clip.seed, settings, job.model, model_hash)
        _write(clip, outputs, tags, still=job.request.still, tagged=not args.no_metadata)
        made.append({"file": str(outputs.main), "files": [str(path) for path in outputs.files], "seed": clip.seed})
    taken = time.monotonic() - started
    if args.json:
        about = {"prompt": job.request.prompt, "settings": settings, "model_sha256": model_hash, "device": device}
        print(json.dumps({"clips": made, **about, "seconds_taken": round(taken, 2)}))
    else:
        print(_sentence(job, made, taken))
    return 0


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
        variations=args.variations,
        image=args.image,
        last_image=args.last_image,
        references=args.reference,
        still=still,
        audio=not args.no_audio,
    )
    wanted = Wanted(
        sidecar=args.sidecar,
        thumbnail=args.thumbnail,
        spritesheet=args.spritesheet,
        webp=args.thumbnail and _has_webp(),
    )
    outputs = plan_outputs(
        args.output, prompt=args.prompt, still=still, variations=args.variations, wanted=wanted, force=args.force
    )
    model = read_metadata(args.checkpoint or find_checkpoint())
    plan = resolve(request, model.defaults)
    sources = Sources(
        image=args.image,
        last_image=args.last_image,
        references=tuple(args.reference),
        checkpoint=args.checkpoint,
    )
    return Job(request=_with_pictures(request), plan=plan, model=model, outputs=outputs, sources=sources)


def _has_webp() -> bool:
    from ..media.mp4 import has_webp

    return has_webp()


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


def _hint(pipeline: Pipeline, request: Request) -> None:
    """Say on stderr which words the model does not know, and what becomes of them."""
    notes: list[str] = []
    told = dict.fromkeys(
        pair for text in (request.prompt, *(text for _, text in request.cues)) for pair in pipeline.unknown_words(text)
    )
    for word, nearest in told:
        taken = f'takes it for its nearest word, "{nearest}"' if nearest else "knows none like it, so it changes little"
        notes.append(f'"{word}" ({taken})')
    if notes:
        print(f"hint: the model was not trained on {', '.join(notes)}", file=sys.stderr)
    longest = pipeline.text.config.max_tokens
    if (length := pipeline.tokenizer.encode([request.prompt], sys.maxsize)[0].shape[1]) > longest:
        print(f"hint: the prompt is {length} tokens long and the model reads the first {longest}", file=sys.stderr)


def _write(clip: ClipStream, outputs: Outputs, tags: dict[str, str], *, still: bool, tagged: bool) -> None:
    """Write one variation's files; the clip itself first, as its frames come out of the decoder."""
    from ..media.mp4 import write_mp4, write_webp
    from ..media.png import write_png
    from ..media.sheet import evenly_spaced, sprites

    shown = tags if tagged else {}
    picked = {int(index) for index in evenly_spaced(clip.num_frames, SPRITES)} if outputs.spritesheet else set()
    middle = clip.num_frames // 2
    kept: dict[int, NDArray[np.uint8]] = {}
    frames = _keeping(clip, picked | {middle}, kept)
    if still:
        for _ in frames:
            pass
        write_png(outputs.main, kept[0], shown)
    else:
        audio = None if clip.audio is None else clip.audio.numpy()
        write_mp4(outputs.main, frames, fps=clip.fps, audio=audio, tags=shown)
    if outputs.thumbnail:
        write: Callable[[Path, NDArray[np.uint8]], None] = write_webp
        if outputs.thumbnail.suffix == ".png":
            write = write_png
        write(outputs.thumbnail, kept[middle])
    if outputs.spritesheet:
        write_png(outputs.spritesheet, sprites([kept[index] for index in sorted(picked)], SPRITE_COLUMNS))
    if outputs.sidecar:
        _write_sidecar(outputs.sidecar, tags)


def _keeping(clip: ClipStream, wanted: set[int], kept: dict[int, NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's chunks under a progress bar, and put copies of the wanted frames into ``kept``."""
    progress = Progress("writing ")
    first = 0
    try:
        for chunk in clip.frames:
            chunk_FHWC = chunk.numpy()
            for index in wanted & set(range(first, first + len(chunk_FHWC))):
                kept[index] = chunk_FHWC[index - first].copy()
            first += len(chunk_FHWC)
            yield chunk_FHWC
            progress(first, clip.num_frames)
    finally:
        progress.close()


def _write_sidecar(path: Path, tags: dict[str, str]) -> None:
    from ..atomic import replacing

    plain = ("settings", "seed", "level")
    readable = {key: json.loads(value) if key in plain else value for key, value in tags.items()}
    with replacing(path) as hidden:
        hidden.write_text(json.dumps(readable, indent=2) + "\n", encoding="utf-8")


def _sentence(job: Job, made: list[dict[str, Any]], taken: float) -> str:
    """Return the one line that says what was made."""
    fmt = job.plan.format
    names = made[0]["file"] if len(made) == 1 else f"{made[0]['file']} ... {made[-1]['file']}"
    seeds = f"seed {made[0]['seed']}" if len(made) == 1 else f"seeds {made[0]['seed']} to {made[-1]['seed']}"
    if job.request.still:
        what = f"{fmt.width}x{fmt.height}"
    else:
        sound = "with sound" if job.plan.samples else "without sound"
        what = f"{fmt.width}x{fmt.height}, {job.plan.seconds:.2f} s at {fmt.fps:g} fps {sound}"
    return f"{names}: {what}, {seeds}, made in {taken:.1f} s"
