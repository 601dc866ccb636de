"""Parts of the command line that every command shares: a parser that speaks in sentences, and its value types."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NoReturn

from ..errors import SoraError

DTYPES = ("auto", "float32", "bfloat16")

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_SIZE = re.compile(r"(-?\d{1,9})[xX*](-?\d{1,9})")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are `SoraError` sentences; options are never guessed from a beginning."""

    def __init__(self, **settings: object) -> None:
        settings = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter} | settings
        super().__init__(**settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise SoraError(f"{message}; {self.prog} --help explains")


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


def device(text: str) -> str:
    """Return a device's name."""
    if not _DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a device; choose auto, cpu, cuda or cuda:N")
    return text


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device", type=device, default="auto", metavar="NAME", help="auto (the GPU where there is one), cpu, cuda[:N]"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    parser.add_argument("--threads", type=count, metavar="N", help="CPU threads (default: all cores)")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint``."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="a model of your own (default: the one that is shipped)"
    )
