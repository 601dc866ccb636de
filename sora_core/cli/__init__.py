"""The command ``sora``. Starts without torch, so that help and refusals come at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import SoraError
from ..provenance.manifest.plain import plain
from . import bench, cameo, edits, evaluate, generate, info, moderate, provenance, storyboard, train
from .arguments import Parser

DESCRIPTION = """\
Sora Nodes: one sentence to a clip with sound, from a small audio-video diffusion transformer that ships with its
weights. It draws a small rendered world (coloured balls, boxes, stars that bounce, roll and fall), not the real one.
"""

EPILOG = """\
start here:
  sora generate "a large red ball bounces on a wooden floor"
  sora generate --help
"""

BAD_INPUT = 2
LONGEST = 4000
INTERRUPTED = 130


def build_parser() -> Parser:
    """Return the whole command line."""
    parser = Parser(prog="sora", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"sora {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for command in (generate, storyboard, edits, provenance, moderate, cameo, info, train, evaluate, bench):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``sora``; None takes the process's own.

    Returns:
        0, or 2 after a sentence on stderr, or 130 after an interrupt.
    """
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
        if "run" not in args:
            parser.print_help()
            return 0
        return args.run(args)
    except SoraError as error:
        # a sentence may quote what a stranger's file or workflow says
        print(f"sora: {plain(str(error), LONGEST)}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        # whoever read our output has gone, as "| head" does; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # the machine's complaint, not ours: a full disk, a name that is too long
        print(f"sora: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nsora: stopped; no unfinished file was left", file=sys.stderr)
        return INTERRUPTED
