"""``sora evaluate``: measure what the model makes, in numbers, against ground truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..checkpoint.metadata import find_checkpoint, read_metadata
from ..errors import SoraError
from ..world.spec import LEVELS
from .arguments import add_checkpoint, add_device, add_threads, count, positive, size, whole
from .outputs import check_folder
from .progress import Progress

EXAMPLES = """\
examples:
  sora evaluate --clips 256
      half plain prompts, a quarter held-out pairs, a quarter held-out words, image-to-video on 32 more
  sora evaluate --clips 64 --json figures.json --checkpoint runs/night/model.safetensors
  sora evaluate --clips 128 --against old.safetensors
      an older model on the same seeds, or the figures that --json wrote for it, beside the new one with intervals
  sora evaluate --level 3 --size 96x96 --seconds 4 --quick --steps 8
      a level, format and sampler other than the checkpoint's own
  sora evaluate --from clips/
      clips that are there already: mp4 files with their tags, or a .json beside each (prompt, seed, level)
  sora evaluate --editing --clips 24 --json editing.json
      the editor instead: 24 true clips for each kind of edit, of which 4 are made a minute longer
  sora evaluate --moderation frozen
      the default policy on 300 prompts that it was never tuned on; --moderation tuned takes the other half

Seeds are fixed and settings are the defaults of sora generate, so that two runs on one machine say the same.
"""

CLIPS, EDITS = 256, 24
HALVES = ("frozen", "tuned")


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="measure what the model makes",
        description="Measure what the model makes, in numbers, beside ground truth.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--clips", type=count, metavar="N", help="how many (default 256, of each edit 24)")
    parser.add_argument(
        "--editing", action="store_true", help="measure the editor instead, and clips from text where bars need them"
    )
    parser.add_argument(
        "--moderation", choices=HALVES, metavar="HALF", help="measure a policy instead: frozen or tuned half"
    )
    parser.add_argument("--policy", default="default", metavar="NAME", help="which policy (default, strict or a .toml)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="an older checkpoint, or its figures as .json, to compare with"
    )
    parser.add_argument("--level", type=whole, choices=tuple(LEVELS), metavar="N", help="level of the world: 1, 2 or 3")
    parser.add_argument("--size", type=size, metavar="WxH", help="pixels, multiples of 16")
    parser.add_argument("--seconds", type=positive, metavar="S", help="length of the clips")
    parser.add_argument("--steps", type=count, metavar="N", help="of the sampler")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument(
        "--quick", action="store_const", const=True, dest="quick", help="the quick model: few steps, no guidance"
    )
    speed.add_argument("--full", action="store_const", const=False, dest="quick", help="the full model")
    parser.add_argument("--from", dest="source", type=Path, metavar="DIR", help="measure existing clips instead")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write contact sheets, and spectrograms, there")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="of prompts and clips (default 0)")
    add_checkpoint(parser)
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Check, measure under a progress bar, print the table."""
    if args.json is not None:
        check_folder(args.json.absolute().parent)
    if args.pictures is not None:
        check_folder(args.pictures.absolute().parent)
    if args.source is not None and not args.source.is_dir():
        raise SoraError(f"--from {args.source} is not a folder; name one that holds clips")
    _check_asked(args)
    if args.source is not None and args.editing:
        raise SoraError("--from measures clips that are there and --editing makes its own; leave away either of them")
    if args.moderation is not None:
        return _moderation(args)
    checkpoint = None if args.source else args.checkpoint or find_checkpoint()
    if checkpoint is not None:
        read_metadata(checkpoint)
    from .device import choose_device, set_threads

    device = choose_device(args.device)
    set_threads(args.threads)
    progress = Progress("measuring")
    try:
        figures, text = (_editing if args.editing else _clips)(args, checkpoint, device, progress)
    finally:
        progress.close()
    _tell(args, figures, text)
    return 0


def _check_asked(args: argparse.Namespace) -> None:
    """Refuse options of the clips from text beside a measure that makes none, and an unusable --against."""
    given = [
        f"--{name}"
        for name in ("against", "level", "size", "seconds", "steps", "quick")
        if getattr(args, name) is not None
    ]
    other = "--editing" if args.editing else "--from" if args.source else "--moderation" if args.moderation else None
    if other and given:
        told = "--full" if given[0] == "--quick" and args.quick is False else given[0]
        raise SoraError(f"{told} belongs to clips that are made from text, and {other} makes none; leave away either")
    if args.against is not None:
        if not args.against.is_file():
            raise SoraError(
                f"--against {args.against} is no file; name a checkpoint or a .json of sora evaluate --json"
            )
        if args.against.suffix == ".json":
            from ..evaluation.comparison import read_figures

            read_figures(args.against)
        else:
            read_metadata(args.against)


def _tell(args: argparse.Namespace, figures: dict[str, Any], text: str) -> None:
    print(text)
    if args.json is not None:
        from ..atomic import replacing

        with replacing(args.json) as hidden:
            hidden.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _moderation(args: argparse.Namespace) -> int:
    """Measure a policy; no model is needed."""
    from ..evaluation.moderation.report import table
    from ..evaluation.moderation.run import evaluate_moderation
    from .judging import policy_of

    if args.source is not None or args.editing:
        raise SoraError("--moderation measures a policy alone; leave away --from and --editing")
    figures = evaluate_moderation(args.moderation, policy_of(args.policy))
    _tell(args, figures.to_dict(), table(figures))
    return 0


def _clips(
    args: argparse.Namespace, checkpoint: Path | None, device: str, progress: Progress
) -> tuple[dict[str, Any], str]:
    """Return the figures of clips, and their table, beside those of an older model where there is one."""
    from ..evaluation.comparison import comparison, read_figures
    from ..evaluation.report import table
    from ..evaluation.run import Asked, evaluate

    def measured(file: Path | None, pictures: Path | None) -> dict[str, Any]:
        return evaluate(
            clips=args.clips or CLIPS,
            checkpoint=file,
            device=device,
            source=args.source,
            seed=args.seed,
            progress=progress,
            pictures=pictures,
            asked=Asked(level=args.level, size=args.size, seconds=args.seconds, steps=args.steps, quick=args.quick),
        )

    figures = measured(checkpoint, args.pictures)
    if args.against is None:
        return figures, table(figures)
    old = read_figures(args.against) if args.against.suffix == ".json" else measured(args.against, None)
    return {**figures, "against": old}, comparison(figures, old)


def _editing(
    args: argparse.Namespace, checkpoint: Path | None, device: str, progress: Progress
) -> tuple[dict[str, Any], str]:
    """Return the figures of edits, and their table."""
    from ..evaluation.editing.run import evaluate_editing
    from ..evaluation.editing.table import editing_table

    figures = evaluate_editing(
        clips=args.clips or EDITS,
        checkpoint=checkpoint,
        device=device,
        seed=args.seed,
        progress=progress,
        pictures=args.pictures,
    )
    return figures, editing_table(figures)
