"""Parts of the command line that every command shares: a parser that speaks in sentences, and its value types."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from ..editing.redo import Redo
from ..errors import SoraError
from ..request import SOLVERS

DTYPES = ("auto", "float32", "bfloat16")
SPRITES = 20
"""Frames on a sprite sheet."""

Container = argparse._ActionsContainer
"""A parser, or a group of its options."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_DECIMAL = r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*"
_SPAN = re.compile(f"{_DECIMAL}:{_DECIMAL}")
_SIZE = re.compile(r"(-?\d{1,9})[xX*](-?\d{1,9})")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are `SoraError` sentences; options are never guessed from a beginning."""

    def __init__(self, **settings: object) -> None:
        settings = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter} | settings
        super().__init__(**settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise SoraError(f"{message}; {self.prog} --help explains")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]  # noqa: ANN401
        """Find a prompt that may be left out also behind the options, where argparse looks for none."""
        found, rest = super().parse_known_args(args, namespace)
        if rest and not rest[0].startswith("-") and getattr(found, "prompt", "") is None:
            found.prompt, *rest = rest
        return found, rest


def whole(text: str) -> int:
    """Return a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    """Return a number; a fraction such as ``24000/1001`` is one."""
    top, _, bottom = text.partition("/")
    try:
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def positive(text: str) -> float:
    """Return a number above 0."""
    if not 0 < (value := number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be more than 0")
    return value


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    if (value := whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 1 or more")
    return value


def size(text: str) -> tuple[int, int]:
    """Return width and height of ``"64x64"``."""
    if not (found := _SIZE.fullmatch(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write width x height, for example 64x64")
    return int(found[1]), int(found[2])


def span(text: str) -> tuple[float, float]:
    """Return the start and end of ``"0.5:1.2"``."""
    if not (found := _SPAN.fullmatch(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no section; write its start and end, for example 0.5:1.2")
    return float(found[1]), float(found[2])


def redo(text: str) -> Redo:
    """Return the section of ``"0.5:1.2"``, or with its new length of ``"0.5:1.2=2"``."""
    place, equals, length = text.partition("=")
    start, end = span(place)
    return Redo(start_s=start, end_s=end, seconds=number(length) if equals else None)


def device(text: str) -> str:
    """Return a device's name."""
    if not _DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a device; choose auto, cpu, cuda or cuda:N")
    return text


def add_seed(parser: Container) -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="which of all the clips (default 0)")


def add_negative(parser: Container) -> None:
    """Add ``--negative``."""
    parser.add_argument("--negative", default="", metavar="TEXT", help="what it should not be")


def add_sampler(parser: Container) -> None:
    """Add the sampler's options."""
    parser.add_argument("--steps", type=whole, metavar="N", help="more are slower and finer")
    parser.add_argument("--cfg", type=number, metavar="X", help="how closely to follow the prompt; 1 is plain")
    parser.add_argument("--solver", metavar="NAME", help=", ".join(SOLVERS))
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument(
        "--quick",
        action="store_const",
        const=True,
        dest="quick",
        help="the quick model, if there is one: few steps, no guidance, no --negative",
    )
    speed.add_argument(
        "--full",
        action="store_const",
        const=False,
        dest="quick",
        help="the full model, with its own steps and guidance; varying a clip (remix) takes it by itself",
    )


def add_model(parser: Container) -> None:
    """Add which model, and where and how it computes."""
    add_checkpoint(parser)
    add_device(parser)
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="numbers to compute in")
    add_threads(parser)


def add_files(parser: Container) -> None:
    """Add what is written, and how it is told."""
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--no-metadata", action="store_true", help="write no prompt, seed or settings into the file")
    parser.add_argument("--sidecar", action="store_true", help="write them into a .json beside it")
    parser.add_argument("--thumbnail", action="store_true", help="write the middle frame as a picture")
    parser.add_argument("--spritesheet", action="store_true", help=f"write {SPRITES} frames as one picture")
    parser.add_argument("--json", action="store_true", help="say what was made as JSON")


def add_device(parser: Container) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device", type=device, default="auto", metavar="NAME", help="auto (the GPU where there is one), cpu, cuda[:N]"
    )


def add_threads(parser: Container) -> None:
    """Add ``--threads``."""
    parser.add_argument("--threads", type=count, metavar="N", help="CPU threads (default: all cores)")


def add_checkpoint(parser: Container) -> None:
    """Add ``--checkpoint``."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="a model of your own (default: the one that is shipped)"
    )
