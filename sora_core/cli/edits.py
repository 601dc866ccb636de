"""The commands that make a clip from clips: ``sora extend``, ``loop``, ``connect`` and their like."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arguments import Container, add_files, add_model, add_negative, add_sampler, add_seed, number
from .edit_options import (
    Read,
    add_blend,
    add_connect,
    add_extend,
    add_recut,
    add_remix,
    add_seconds,
    read_blend,
    read_connect,
    read_extend,
    read_foley,
    read_loop,
    read_recut,
    read_remix,
)
from .editing import STEM_LENGTH, Edit, run_edit
from .marks import add_marks, add_policy

COMMON = """
The new clip has the size, frame rate and sound of the first one, its sides cut to multiples of 16. The prompt may be
left out where a clip was made by sora: its own is taken then. sora info OUT.mp4 prints the command that makes it again.
"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Args:
        made: ends a fresh name. clips: names of its clips, as help shows them. help: what it does, in a line.
        examples: lines of commands, and of what they do.
        add: adds its options. read: checks them, and returns those to record and the work itself.
    """

    made: str
    clips: tuple[str, ...] = ("CLIP",)
    help: str
    examples: str
    add: Callable[[Container], None]
    read: Callable[[argparse.Namespace], Read]
    sounds: bool = True


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the commands."""
    for name, command in COMMANDS.items():
        parser: argparse.ArgumentParser = commands.add_parser(
            name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=f"examples:\n{command.examples}{COMMON}",
        )
        parser.set_defaults(run=run, command=name)
        for clip in command.clips:
            parser.add_argument(clip.lower(), type=Path, metavar=clip, help="a video file")
        parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="what to show, in one sentence")
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=".mp4 (default: a fresh name here)")
        film = parser.add_argument_group("the clip")
        command.add(film)
        if command.sounds:
            film.add_argument("--no-audio", action="store_true", help="leave the sound away")
        film.add_argument("--context", type=number, metavar="S", help="seconds seen of what is there (default 1.1)")
        add_seed(film)
        add_negative(film)
        add_sampler(parser.add_argument_group("the sampler"))
        add_model(parser.add_argument_group("the model"))
        add_files(parser.add_argument_group("the files"))
        add_marks(parser.add_argument_group("the marks"))
        add_policy(parser.add_argument_group("the policy"))


def run(args: argparse.Namespace) -> int:
    """Run the command that was named."""
    return run_edit(args, edit_of(args))


def edit_of(args: argparse.Namespace) -> Edit:
    """Return what a command line asks for.

    Raises:
        SoraError: an option that cannot be.
    """
    command = COMMANDS[args.command]
    options, make = command.read(args)
    clips = tuple(getattr(args, clip.lower()) for clip in command.clips)
    silent = command.sounds and args.no_audio
    return Edit(
        command=args.command,
        stem=f"{clips[0].stem[:STEM_LENGTH]}-{command.made}",
        clips=clips,
        options={**options, "context": args.context, "no-audio": silent},
        context_s=args.context,
        silent=silent,
        prompted=args.command != "recut" or bool(args.redo),
        make=make,
    )


COMMANDS = {
    "extend": Command(
        made="extended",
        help="make more of a clip, after its end or before its beginning",
        examples="""\
  sora extend ball.mp4 "a red ball bounces" --seconds 4
      writes ball-extended-001.mp4 here, four seconds longer
  sora extend ball.mp4 --seconds 2 --backward --context 1 -o before.mp4
      what came before, seen from the clip's first second
""",
        add=add_extend,
        read=read_extend,
    ),
    "loop": Command(
        made="looped",
        help="make a clip that can be shown again and again without a seam",
        examples="""\
  sora loop ball.mp4 --seconds 1
      a second more, which leads from the clip's end back to its start
""",
        add=add_seconds("of the way from the end back to the start"),
        read=read_loop,
    ),
    "connect": Command(
        made="connected",
        clips=("CLIP", "OTHER"),
        help="make the way from the end of one clip to the start of another",
        examples="""\
  sora connect ball.mp4 box.mp4 "a red ball becomes a blue box" --seconds 2
      ball, two new seconds, box
""",
        add=add_connect,
        read=read_connect,
    ),
    "blend": Command(
        made="blended",
        clips=("CLIP", "OTHER"),
        help="turn one clip into another",
        examples="""\
  sora blend day.mp4 night.mp4 "evening falls"
      from the first to the second
  sora blend day.mp4 night.mp4 --curve "0:0, 0.5:0.3, 1:0" --section-b 0.5:1
      the first with something of the second's latter half in the middle
""",
        add=add_blend,
        read=read_blend,
    ),
    "remix": Command(
        made="remixed",
        help="make a clip anew with something changed",
        examples="""\
  sora remix ball.mp4 "a blue ball bounces" --strength subtle --keep-sound
      another ball, the same bounces
""",
        add=add_remix,
        read=read_remix,
    ),
    "recut": Command(
        made="recut",
        help="trim a clip, and make sections of it anew",
        examples="""\
  sora recut ball.mp4 --from 0.5 --to 3
      two and a half seconds of it
  sora recut ball.mp4 "the ball stops" --redo 0.5:1.2 --redo 2:2.5=1
      two sections made anew, the second of them a second long
""",
        add=add_recut,
        read=read_recut,
    ),
    "foley": Command(
        made="sounded",
        help="make the sound to a clip's picture",
        examples="""\
  sora foley silent.mp4 "a ball bounces on wood"
      the same picture with a sound; one that it has is replaced
""",
        add=lambda _: None,
        read=read_foley,
        sounds=False,
    ),
}
