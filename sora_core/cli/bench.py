"""``sora bench``: how fast this machine runs the model, what share of it that uses, and what the marks withstand."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .arguments import add_checkpoint, add_device, add_threads, count
from .progress import Progress

SUBJECTS = ("dit", "vae", "end-to-end", "extension", "training", "peers", "marks", "tamper", "all")

EXAMPLES = """\
examples:
  sora bench                  everything
  sora bench dit --json       one transformer call, as JSON
  sora bench end-to-end --clips 32
                              one sentence to one file at 30, 8 and 4 steps, and what 32 clips of each show
  sora bench training         clips a second of a training run, stage by stage
  sora bench peers            ours beside diffusers' models: pip install "sora-nodes[peers]"
  sora bench marks            attacks on the marks, ten minutes at most on two cores
  sora bench marks --full     all of them on more clips and 10,200 wrong keys: hours
  sora bench tamper           signed files, changed in every way that we know; --full with 10,000 random damages

"all" is dit, vae, end-to-end and extension. Every time is the median of ten, of training the median of three. The
machine's own matrix product is measured in the same process, and the share of that peak is printed beside it.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help="measure speed and memory, or attack the marks",
        description="Measure speed and memory and what share of this machine is used, or what the marks withstand.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("subject", nargs="?", choices=SUBJECTS, default="all", help="what to measure (default all)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="marks: at most ten minutes on two cores (the default)")
    extent.add_argument(
        "--full", action="store_true", help="marks: every attack, 10,200 wrong keys; tamper: 10,000 damages"
    )
    parser.add_argument(
        "--clips", type=count, default=0, metavar="N", help="end-to-end: judge so many clips at each number of steps"
    )
    parser.add_argument("--markdown", action="store_true", help="marks: the table as markdown")
    add_checkpoint(parser)
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from ..errors import SoraError
    from .device import choose_device, set_threads

    if args.subject not in ("marks", "tamper") and (args.quick or args.full):
        raise SoraError(f"--quick and --full belong to marks and tamper, not to {args.subject}; leave them out")
    if args.subject != "marks" and args.markdown:
        raise SoraError(f"--markdown belongs to marks, not to {args.subject}; leave it out")
    if args.clips and args.subject != "end-to-end":
        raise SoraError(f"--clips belongs to end-to-end, not to {args.subject}; leave it out")
    if args.json and args.markdown:
        raise SoraError("--json and --markdown are two ways to print; choose one")
    device = choose_device(args.device)
    set_threads(args.threads)
    from ..bench.run import bench, table

    progress = Progress("measuring")
    try:
        figures = bench(
            args.subject,
            checkpoint=args.checkpoint,
            device=device,
            full=args.full,
            clips=args.clips,
            progress=progress,
        )
    finally:
        progress.close()
    if args.markdown:
        from ..bench.marks.table import markdown

        print(markdown(figures["marks"], figures["aims"]))
        return 0
    print(json.dumps(figures, indent=2) if args.json else table(figures))
    return 0
