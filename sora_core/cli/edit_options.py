"""The own options of the commands that make a clip from clips, and the work that each of them asks for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..editing.checks import UNLIKE, check_trim, frames_of_seconds, section
from ..editing.curve import AMOUNT, CURVES, check_amount, read_curve
from ..editing.redo import Redo, in_order
from ..editing.strength import STRENGTHS, read_strength
from ..errors import SoraError
from .arguments import Container, number, redo, span
from .editing import Make

if TYPE_CHECKING:
    from ..editing.engine import Settings
    from ..editing.film import Film, FilmStream
    from ..editing.maker import Maker

WHOLE = (0.0, 1.0)

Read = tuple[dict[str, Any], Make]
"""Options as they are recorded, and the work."""


def add_seconds(what: str, *, required: bool = True) -> Callable[[Container], None]:
    """Return what adds ``--seconds``."""

    def add(parser: Container) -> None:
        parser.add_argument("--seconds", type=number, required=required, metavar="S", help=what)

    return add


def _check_seconds(args: argparse.Namespace) -> None:
    if args.seconds is not None:
        frames_of_seconds(args.seconds, 1)


def _add_unlike(parser: Container) -> None:
    parser.add_argument(
        "--unlike", choices=UNLIKE, default=UNLIKE[0], help="what to do with a second clip of another size or rate"
    )


def add_extend(parser: Container) -> None:
    """Add the options of ``sora extend``."""
    add_seconds("to add")(parser)
    parser.add_argument("--backward", action="store_true", help="add them before the beginning, not after the end")


def read_extend(args: argparse.Namespace) -> Read:
    """Check what ``sora extend`` is asked for."""
    _check_seconds(args)

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.extend import BACKWARD, FORWARD, extend

        direction = BACKWARD if args.backward else FORWARD
        return extend(maker, films[0], seconds=args.seconds, direction=direction, settings=settings)

    return {"seconds": args.seconds, "backward": args.backward}, make


def read_loop(args: argparse.Namespace) -> Read:
    """Check what ``sora loop`` is asked for."""
    _check_seconds(args)

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.loop import loop

        return loop(maker, films[0], seconds=args.seconds, settings=settings)

    return {"seconds": args.seconds}, make


def add_connect(parser: Container) -> None:
    """Add the options of ``sora connect``."""
    add_seconds("to make between them")(parser)
    _add_unlike(parser)


def read_connect(args: argparse.Namespace) -> Read:
    """Check what ``sora connect`` is asked for."""
    _check_seconds(args)

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.connect import connect

        return connect(maker, *films, seconds=args.seconds, unlike=args.unlike, settings=settings)

    return {"seconds": args.seconds, "unlike": args.unlike}, make


def add_blend(parser: Container) -> None:
    """Add the options of ``sora blend``."""
    add_seconds("of the result (default: the shorter of both sections)", required=False)(parser)
    parser.add_argument(
        "--curve",
        default=next(iter(CURVES)),
        metavar="CURVE",
        help=f'{", ".join(CURVES)}, or points, place:share of the second clip, such as "0:0, 0.5:0.3, 1:1"',
    )
    for name, which in (("a", "first"), ("b", "second")):
        parser.add_argument(
            f"--section-{name}",
            type=span,
            default=WHOLE,
            metavar="FROM:TO",
            help=f"part of the {which} clip to use, from 0 (its start) to 1 (its end)",
        )
    parser.add_argument(
        "--amount",
        type=number,
        default=AMOUNT,
        metavar="X",
        help="how far to make an even mix anew, up to 1 (default 0.8)",
    )
    _add_unlike(parser)


def read_blend(args: argparse.Namespace) -> Read:
    """Check what ``sora blend`` is asked for."""
    _check_seconds(args)
    check_amount(args.amount)
    read_curve(args.curve)
    sections = (args.section_a, args.section_b)
    for (start, end), which in zip(sections, ("first", "second"), strict=True):
        section(start, end, 1, f"the {which} clip's section")

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.blend import blend

        return blend(
            maker,
            *films,
            curve=args.curve,
            seconds=args.seconds,
            sections=sections,
            amount=args.amount,
            unlike=args.unlike,
            settings=settings,
        )

    named = {f"section-{name}": f"{a:g}:{b:g}" for name, (a, b) in zip("ab", sections, strict=True) if (a, b) != WHOLE}
    options = {"curve": args.curve, "seconds": args.seconds, "amount": args.amount, "unlike": args.unlike}
    return {**options, **named}, make


def add_remix(parser: Container) -> None:
    """Add the options of ``sora remix``."""
    parser.add_argument(
        "--strength",
        default="mild",
        metavar="X",
        help=f"how much changes: {', '.join(STRENGTHS)}, or a share such as 0.6 (default mild)",
    )
    parser.add_argument("--keep-sound", action="store_true", help="leave the sound as it is")


def read_remix(args: argparse.Namespace) -> Read:
    """Check what ``sora remix`` is asked for."""
    share = read_strength(args.strength)

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.remix import remix

        return remix(maker, films[0], strength=share, keep_sound=args.keep_sound, settings=settings)

    return {"strength": args.strength, "keep-sound": args.keep_sound}, make


def add_recut(parser: Container) -> None:
    """Add the options of ``sora recut``."""
    parser.add_argument("--from", type=number, dest="start", metavar="S", help="second to begin at")
    parser.add_argument("--to", type=number, dest="end", metavar="S", help="second to end at")
    parser.add_argument(
        "--redo",
        type=redo,
        action="append",
        default=[],
        metavar="FROM:TO[=S]",
        help="seconds of the clip to make anew, S seconds long; as often as wanted",
    )


def read_recut(args: argparse.Namespace) -> Read:
    """Check what ``sora recut`` is asked for."""
    if args.start is None and args.end is None and not args.redo:
        raise SoraError("recut changes nothing as it stands; say --from, --to or --redo, for example --redo 0.5:1.2")
    start = args.start or 0.0
    check_trim(start, args.end)
    in_order(args.redo)

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.recut import recut

        return recut(maker, films[0], start_s=start, end_s=args.end, redo=args.redo, settings=settings)

    return {"from": args.start, "to": args.end, "redo": [_written(each) for each in args.redo]}, make


def _written(each: Redo) -> str:
    length = "" if each.seconds is None else f"={each.seconds!r}"
    return f"{each.start_s!r}:{each.end_s!r}{length}"


def read_foley(_: argparse.Namespace) -> Read:
    """Check what ``sora foley`` is asked for."""

    def make(maker: Maker, films: Sequence[Film], settings: Settings) -> FilmStream:
        from ..editing.sound import foley

        return foley(maker, films[0], settings=settings)

    return {}, make
