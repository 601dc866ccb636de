"""``sora train``: train the models again, or your own, from clips that are rendered as they are needed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..checkpoint.metadata import read_metadata
from ..errors import SoraError
from ..training.formats import MIXES, parse_format, parse_formats
from ..world.spec import LEVELS
from .arguments import add_device, add_threads, count, positive, whole
from .outputs import check_folder
from .progress import Progress

STAGES = ("video-vae", "audio-vae", "dit", "distil", "all")
PRESETS = ("micro", "nano", "small", "base", "2b")

EXAMPLES = """\
examples:
  sora train --stage all --minutes 25 --preset nano --device cuda --out runs/gpu
      a whole run on a GPU, a checkpoint at the end
  sora train --stage dit --minutes 24 --preset nano --device cuda --formats whole --level 3 --batch 256 --compile \
      --out runs/whole
      the whole world in several sizes and aspects
  sora train --stage dit --minutes 120 --formats 64x64x25:0.7,96x96x49@3:0.3 --latents latents --out runs/two
      two sizes, the larger one with all of the world; the clips are rendered once and kept in a folder
  torchrun --nproc_per_node 2 -m sora_core train --stage dit --minutes 60 --out runs/pair
      two processes train one model
  sora train --stage dit --minutes 60 --out runs/night
  sora train --stage dit --minutes 120 --out runs/night --resume
      two hours in two pieces (minutes count all pieces together)
  sora generate "a red ball bounces" --checkpoint runs/night/model.safetensors
  sora train --stage all --start runs/night/model.safetensors --formats 96x96x49 --minutes 120 --out runs/larger
      more for a trained model: the picture's decoder, the transformer and the quick model
  sora train --stage distil --start runs/night/model.safetensors --minutes 60 --out runs/quick
      the same model with a quick one beside it, for 8 or 4 steps without guidance

The folder gets the state to resume from, a log (JSON lines), curves and contact sheets (PNG), and the model.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train the models again, or your own",
        description="Train the models again, or your own, from clips rendered as they are needed.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--stage", choices=STAGES, default="all", help="which model (default: all, one after another)")
    parser.add_argument("--preset", choices=PRESETS, default="micro", help="size of the transformer (default micro)")
    parser.add_argument("--minutes", type=positive, required=True, metavar="M", help="stop after so long")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for everything that is written")
    parser.add_argument("--resume", action="store_true", help="go on from what is in the folder")
    levels = tuple(LEVELS)
    parser.add_argument("--level", type=whole, choices=levels, default=1, help="how much of the world (default 1)")
    parser.add_argument(
        "--formats",
        metavar="MIX",
        help=f"{', '.join(MIXES)}, or WIDTHxHEIGHTxFRAMES[@LEVEL][:SHARE] with commas between "
        "(default: small on a CPU for micro, otherwise whole)",
    )
    parser.add_argument(
        "--default-format", metavar="WxHxF", help="what the model makes when not told (default: the greatest share)"
    )
    parser.add_argument(
        "--latents", type=Path, metavar="DIR", help="clips rendered beforehand; what it lacks is made first"
    )
    parser.add_argument("--clips", type=count, metavar="N", help="clips of --latents (default 20000)")
    parser.add_argument(
        "--batch", type=count, metavar="N", help="clips a step of the first format (default 48), fewer of longer ones"
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="of weights and clips (default 0)")
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="model to go on from; of its video VAE only the decoder is trained"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the transformer: twice as fast, needs a C++ compiler on a CPU"
    )
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Check, then train under a progress bar."""
    formats = parse_formats(args.formats) if args.formats is not None else None
    default_format = parse_format(args.default_format) if args.default_format is not None else None
    if args.clips is not None and args.latents is None:
        raise SoraError("--clips says how many clips --latents DIR holds; name the folder too")
    if args.start is not None:
        read_metadata(args.start)
    check_folder(next(parent for parent in (args.out, *args.out.absolute().parents) if parent.exists()))
    from .device import choose_device, set_threads

    device = choose_device(args.device)
    set_threads(args.threads)
    from ..training.parallel import Processes
    from ..training.run import LATENT_CLIPS, train

    processes = Processes.from_environment(device)
    if formats is None:
        formats = MIXES["small" if device == "cpu" and args.preset == "micro" else "whole"]
    progress = Progress("training")
    try:
        made = train(
            stage=args.stage,
            preset=args.preset,
            minutes=args.minutes,
            out=args.out,
            resume=args.resume,
            device=processes.device(device),
            seed=args.seed,
            level=args.level,
            batch=args.batch,
            compile_blocks=args.compile,
            start=args.start,
            formats=formats,
            default_format=default_format,
            latents=args.latents,
            latent_clips=args.clips or LATENT_CLIPS,
            processes=processes,
            progress=lambda share, words: progress(share, 1, words),
            say=progress.say,
        )
    finally:
        progress.close()
    processes.leave()
    if processes.first:
        print(made)
    return 0
