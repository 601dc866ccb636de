"""``sora bench``: how fast this machine runs the model, and what share of the machine that uses."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .arguments import add_checkpoint, add_device, add_threads
from .progress import Progress

SUBJECTS = ("dit", "vae", "end-to-end", "extension", "all")

EXAMPLES = """\
examples:
  sora bench                  everything
  sora bench dit --json       one transformer call, as JSON

Every time is the median of ten. The machine's own matrix product is measured in the same process, and the share of
that peak is printed beside it.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help="measure speed and memory",
        description="Measure speed and memory, and what share of this machine is used.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("subject", nargs="?", choices=SUBJECTS, default="all", help="what to measure (default all)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_checkpoint(parser)
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from .device import choose_device, set_threads

    device = choose_device(args.device)
    set_threads(args.threads)
    from ..bench.run import bench, table

    progress = Progress("measuring")
    try:
        figures = bench(args.subject, checkpoint=args.checkpoint, device=device, progress=progress)
    finally:
        progress.close()
    print(json.dumps(figures, indent=2) if args.json else table(figures))
    return 0
