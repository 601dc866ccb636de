"""``sora storyboard``: a script of shots to one film, each shot kept until it is wanted again."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint.metadata import Metadata, file_hash, find_checkpoint, read_metadata
from ..editing.card import Card
from ..editing.one_clip import MODES, SHOTS, OneClip, one_clip
from ..editing.profile import our_profile
from ..editing.script import format_script, parse_script
from ..editing.store import ShotStore
from ..editing.storyboard_plan import ShotSettings, frames_of, plan_storyboard
from ..errors import SoraError
from ..request import ASPECTS, Plan, Request, resolve
from .arguments import add_files, add_model, add_negative, add_sampler, add_seed, number, size
from .editing import Edit
from .hints import hint_at_words
from .judging import Judged, judge
from .kept import add_shots, clear_shots, open_shots
from .marks import add_marks, add_policy, check_marks, ending_of_args
from .outputs import CLIP, Outputs, plan_outputs, slug, wanted_by
from .progress import Progress
from .record import edit_settings, model_name, tags_of
from .saving import Making, ingredients_of, layers_of, marks_record, order_of, say_marks
from .writing import described, write_stream

if TYPE_CHECKING:
    from ..editing.film import FilmStream
    from ..editing.storyboard import Makers
    from ..pipeline import Pipeline

STDIN = "-"
EXAMPLES = """\
examples:
  sora storyboard --script "[2s]a large red ball bounces [1.5s, fade]a small blue box falls"
      two shots, the second fades in
  sora storyboard film.txt -o film.mp4 --seed 3
      a script from a file; run again, only what was changed in it is made anew
  sora storyboard --clear-shots
      removes all kept shots

a script:
  Shot 1:
  duration: 2.0sec
  Scene: a large red ball rolls to the left

  Shot 2:
  duration: 3.0sec
  transition: continue        how it begins: cut, fade, or continue from the last frames of the shot before
  seed: 7                     of this shot alone
  Scene: it bounces

  Shot 3:
  duration: 2.0sec
  image: box.png              its first frame; "video: clip.mp4" is what it begins with
  Scene: a blue box falls

Finished shots are kept in a folder sora/shots of the user's caches, so that a run which was stopped goes on where it
was. Short storyboards of cuts alone are made as one clip whose prompt changes (--mode).
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "storyboard",
        help="make a film of several shots from a script",
        description="Make a film of several shots from a script.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", nargs="?", metavar="SCRIPT", help="a text file, or - for standard input")
    parser.add_argument("--script", metavar="TEXT", help="the script itself")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=".mp4 (default: a fresh name here)")

    film = parser.add_argument_group("the film")
    film.add_argument("--size", type=size, metavar="WxH", help="pixels, multiples of 16, for example 64x64")
    film.add_argument("--aspect", metavar="W:H", help=f"shape instead of size: {', '.join(ASPECTS)}")
    film.add_argument("--fps", type=number, metavar="N", help="frames per second")
    film.add_argument("--no-audio", action="store_true", help="leave the sound away")
    film.add_argument("--fade", type=number, metavar="S", help="seconds of a fade (default 0.5)")
    film.add_argument("--context", type=number, metavar="S", help="seconds seen of the shot before (default 1.1)")
    film.add_argument(
        "--mode",
        default=SHOTS,
        metavar="NAME",
        help=f"{', '.join(MODES)}: one clip, or one for each shot (default shots)",
    )
    add_seed(film)
    add_negative(film)

    add_shots(parser.add_argument_group("the kept shots"))
    add_sampler(parser.add_argument_group("the sampler"))
    add_model(parser.add_argument_group("the model"))
    add_files(parser.add_argument_group("the files"))
    add_marks(parser.add_argument_group("the marks"))
    add_policy(parser.add_argument_group("the policy"))


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that is settled before torch is loaded.

    plan: of the longest run. single: where it is one clip. judged: by the policy, all cards together.
    """

    cards: Sequence[Card]
    request: Request
    plan: Plan
    model: Metadata
    single: OneClip | None
    outputs: Outputs
    judged: Judged | None


class Shots:
    """Tells of each shot, and of the steps of the one that is made."""

    def __init__(self) -> None:
        self.bar = Progress("sampling")
        self.found: list[int] = []
        self.made: list[int] = []
        self.now = ""

    def shot(self, number: int, total: int, state: str) -> None:
        """Be told of a shot."""
        self.now = f"shot {number} of {total}"
        if state in ("made", "found"):
            (self.made if state == "made" else self.found).append(number)
            self.bar.say(f"{self.now} {state}")

    def step(self, done: int, steps: int, _: object) -> None:
        """Be told of a run's steps."""
        self.bar(done, steps, self.now)


def run(args: argparse.Namespace) -> int:
    """Check, load, make what is not there yet, join, say what was made."""
    if args.clear_shots and args.source is None and args.script is None:
        with open_shots(args) as store:
            print(clear_shots(store))
        return 0
    started = time.monotonic()
    job = prepare(args)
    shots = Shots()
    with open_shots(args) as store:
        if args.clear_shots:
            shots.bar.say(clear_shots(store))
        try:
            return _make(args, job, store, shots, started)
        except KeyboardInterrupt:
            kept = len(shots.made) + len(shots.found)
            shots.bar.say(
                f"sora: {kept} finished shots are kept in {store.folder}; the same command goes on from there"
            )
            raise
        finally:
            shots.bar.close()


def prepare(args: argparse.Namespace) -> Job:
    """Check everything that can be checked without torch, cheapest first.

    Raises:
        SoraError: the first thing that is wrong.
    """
    text, folder = _script(args)
    cards = parse_script(text, folder=folder)
    width, height = args.size or (None, None)
    request = Request(
        prompt="\n".join(card.text for card in cards) or STDIN,
        negative=args.negative,
        width=width,
        height=height,
        aspect=args.aspect,
        fps=args.fps,
        seed=args.seed,
        steps=args.steps,
        guidance=args.cfg,
        solver=args.solver,
        quick=args.quick,
        audio=not args.no_audio,
    )
    if args.output is not None and args.output.suffix.lower() != CLIP:
        raise SoraError(f"output {args.output} must end in {CLIP}")
    stem = slug(cards[0].text) + "-storyboard"
    check_marks(args)
    judged = judge(args, [*(card.text for card in cards), args.negative])
    outputs = plan_outputs(
        args.output,
        stem=stem,
        ending=ending_of_args(args),
        still=False,
        variations=1,
        wanted=wanted_by(args),
        force=args.force,
    )[0]
    _check_files(cards, outputs)
    model = read_metadata(args.checkpoint or find_checkpoint())
    profile = our_profile(model.defaults.fps, model.defaults.frames)
    fps = args.fps or profile.fps
    fade, context = frames_of(args.fade, args.context, fps)
    single = one_clip(cards, profile, fps, args.mode)
    plans = plan_storyboard(cards, profile, fps, seed=args.seed, fade_frames=fade, context_frames=context)
    longest = single.frames if single else max(plan.count for plan in plans)
    frames = min(profile.at_least(longest), profile.longest)
    plan = resolve(replace(request, seconds=frames / fps), model.defaults)
    return Job(cards=cards, request=request, plan=plan, model=model, single=single, outputs=outputs, judged=judged)


def _script(args: argparse.Namespace) -> tuple[str, Path]:
    """Return the script and the folder that its files are named from."""
    if (args.source is None) == (args.script is None):
        given = "both a file and --script are given" if args.script is not None else "no script is given"
        raise SoraError(f"{given}; name a text file, - for standard input, or --script with the text")
    if args.script is not None:
        return args.script, Path()
    try:
        if args.source == STDIN:
            return sys.stdin.buffer.read().decode(), Path()
        path = Path(args.source)
        return path.read_text(encoding="utf-8"), path.parent
    except UnicodeDecodeError as error:
        raise SoraError(f"the script {args.source} is no text in UTF-8; save it as such") from error
    except OSError as error:
        raise SoraError(
            f"the script {args.source} cannot be read ({error.strerror or error}); name a text file"
        ) from error


def _check_files(cards: Sequence[Card], outputs: Outputs) -> None:
    from ..media.image import read_image

    for number_, card in enumerate(cards, 1):
        if isinstance(card.image, Path):
            read_image(card.image)
        if isinstance(card.video, Path) and not card.video.is_file():
            raise SoraError(f"shot {number_}: the video {card.video} does not exist; name a video file")
    for path in outputs.files:
        for source in _files(cards):
            if path.exists() and path.samefile(source):
                raise SoraError(f"output {path} is what it is made from; choose another name")


def _files(cards: Sequence[Card]) -> list[Path]:
    return [value for card in cards for value in (card.image, card.video) if isinstance(value, Path)]


def _make(args: argparse.Namespace, job: Job, store: ShotStore, shots: Shots, started: float) -> int:
    from .device import choose_device, set_threads, share_cores

    share_cores()
    device = choose_device(args.device)
    set_threads(args.threads)
    import torch

    from ..editing.storyboard import storyboard
    from ..pipeline import Pipeline

    pipeline = Pipeline.load(job.model.path, device, None if args.dtype == "auto" else args.dtype)
    hint_at_words(pipeline, list(dict.fromkeys(card.text for card in job.cards if card.text)))
    model_hash = file_hash(job.model.path)
    model = f"{model_hash} {pipeline.dtype} {torch.device(device).type}"
    makers = _makers(args, job.plan, pipeline, shots)
    film = storyboard(
        makers,
        job.cards,
        _settings(args, job.plan, model),
        seed=args.seed,
        mode=args.mode,
        fade_s=args.fade,
        context_s=args.context,
        store=store,
        report=shots.shot,
    )
    edit = Edit(
        command="storyboard",
        stem="",
        others=tuple(_files(job.cards)),
        options=_options(args, job, film),
        make=lambda *_: film,
    )
    checkpoint = None if args.checkpoint is None else str(args.checkpoint)
    dtype = str(pipeline.dtype).removeprefix("torch.")
    recorded = edit_settings(edit, job.request, job.plan, film, dtype=dtype, checkpoint=checkpoint)
    # the script stands among the options, so that the command which makes it again has it there
    tags = {**tags_of(job.request, args.seed, recorded, job.model, model_hash), "prompt": ""}
    try:
        making = Making(
            title=job.outputs.main.stem,
            ingredients=ingredients_of((), edit.others),
            prompt=_script_text(job.cards),
            seed=args.seed,
            model=(model_name(job.model, job.plan), model_hash),
        )
        order = order_of(args, layers_of(args), making, job.judged)
        tagged = not args.no_metadata
        delivered = write_stream(film, job.outputs, tags, order, tagged=tagged, report=lambda *_: None)
        say_marks(delivered)
    except torch.OutOfMemoryError as error:
        raise SoraError(f"{device} ran out of memory; ask for a smaller size, or use --device cpu") from error
    taken = time.monotonic() - started
    if args.json:
        files = [str(path) for path in job.outputs.files]
        made = {"file": str(job.outputs.main), "files": files, "seed": args.seed, **marks_record(delivered)}
        about = {"settings": recorded, "model_sha256": model_hash, "device": device}
        told = {"made": shots.made, "found": shots.found}
        print(json.dumps({"clips": [made], "shots": told, **about, "seconds_taken": round(taken, 2)}))
        return 0
    what = described(
        width=film.width,
        height=film.height,
        seconds=film.num_frames / film.fps,
        fps=film.fps,
        sound=film.channels > 0,
    )
    count = f"{len(job.cards)} shots" + (" in one clip" if job.single else "")
    print(f"{job.outputs.main}: {what}, {count}, {len(shots.found)} found, {delivered.words}, made in {taken:.1f} s")
    return 0


def _makers(args: argparse.Namespace, plan: Plan, pipeline: Pipeline, shots: Shots) -> Makers:
    from ..editing.pipeline_maker import PipelineMaker

    def maker(text: str, cues: Sequence[tuple[float, str]]) -> PipelineMaker:
        return PipelineMaker(
            pipeline=pipeline,
            plan=plan,
            prompt=text,
            negative=args.negative,
            cues=cues,
            sound=not args.no_audio,
            callback=shots.step,
        )

    return maker


def _settings(args: argparse.Namespace, plan: Plan, model: str) -> ShotSettings:
    return ShotSettings(
        model=model,
        negative=args.negative,
        steps=plan.steps,
        guidance=plan.guidance,
        solver=plan.solver,
        width=plan.format.width,
        height=plan.format.height,
        fps=plan.format.fps,
        # shots that were kept before there was a quick model stay found
        more={"shift": plan.shift, "sound": not args.no_audio} | ({"quick": True} if plan.quick else {}),
    )


def _options(args: argparse.Namespace, job: Job, film: FilmStream) -> dict[str, Any]:
    return {
        "script": _script_text(job.cards),
        "size": f"{film.width}x{film.height}",
        "fps": film.fps,
        "no-audio": args.no_audio,
        "fade": args.fade,
        "context": args.context,
        "mode": args.mode,
    }


def _script_text(cards: Sequence[Card]) -> str:
    """Return the cards in the form that can say them."""
    try:
        return format_script(cards, "shorthand").strip()
    except SoraError:
        return format_script(cards)
