"""Choices by measurement: small runs that differ in one thing each, on equal clips and nearly equal compute.

``python -m sora_core.training.ablation runs/ablation --latents runs/latents --level 3 --markdown docs/ablation.md``
trains what the folder lacks, one run after another, and writes the table; ``--runs a,b`` trains some of them alone, so
that two processes can share the work. Every run reads the same clips in the same order under the same noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..dit import DiTConfig
from ..dit.flops import count_flops, count_tokens
from ..errors import SoraError
from ..types import ClipFormat
from .buckets import load_pools
from .building import dit_trainer
from .dit import DiTTrainer
from .flow import DiTStageConfig
from .tasks import TaskMix
from .unseen import measure_unseen

SEEN = 20_480
LATENTS = 6_144
"""Clips that each run trains on, each time counted, and how many different ones."""

SIZES = DiTConfig(width=128, layers=3, heads=2, hidden=352)
"""A ninth of the preset ``micro`` in parameters and a twelfth of its operations: a run takes minutes of one core."""

STAGE = DiTStageConfig(
    seen=SEEN,
    start=0,
    refresh=0,
    words=15.0,
    ema=0.99,
    measure_every=1e9,
    save_every=1e9,
    mix=TaskMix(references=0.0, image=0.0, silent=0.0, cut=0.0, later=0.0),
)
"""One packed layout, so that little of the time goes into compiling; the other settings are those of a real run."""

COMPILED = True
"""Blocks are compiled, which needs a C++ compiler and halves the time."""

EVERYWHERE, ON_THE_POINT = 0.0, 1e6
"""Extra weights with which every token counts alike, and with which only actors and contacts count."""

MEASURES = {"video": "picture", "audio": "sound", "actor": "actors", "strike": "contacts"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One run. asks: what it is about, empty for those that others are compared with. says: what is different in it."""

    says: str
    asks: str = ""
    sizes: DiTConfig = SIZES
    changed: Mapping[str, Any] = field(default_factory=dict)


CHOICES: dict[str, Choice] = {
    "base": Choice(says="3 layers of 128, 2 heads of 64, Muon, loss weights 2 and 3, words taught"),
    "seed": Choice(says="the same with other chances", changed={"seed": 1}),
    "adamw": Choice(asks="Muon against AdamW", says="AdamW at 2e-3 for all", changed={"muon": False, "muon_lr": 2e-3}),
    "even": Choice(
        asks="loss weights of actors and contacts", says="none: all tokens alike", changed={"actor": 0.0, "strike": 0.0}
    ),
    "deep": Choice(
        asks="width against depth",
        says="5 layers of 96, 2 heads of 48",
        sizes=replace(SIZES, width=96, layers=5, hidden=280),
    ),
    "wide": Choice(
        asks="width against depth",
        says="2 layers of 160, 2 heads of 80",
        sizes=replace(SIZES, width=160, layers=2, hidden=400),
    ),
    "heads": Choice(asks="head size", says="4 heads of 32", sizes=replace(SIZES, heads=4)),
    "untaught": Choice(
        asks="text encoder", says="taught by the flow loss alone", changed={"words": 0.0, "concepts": 0.0}
    ),
}
"""Equal runs by name: two to compare with, whose difference is that of chance, and one for each thing to choose."""

BUDGETS: dict[str, Choice] = {
    "quarter": Choice(asks="clips seen", says="a quarter of them", changed={"seen": SEEN // 4}),
    "half": Choice(asks="clips seen", says="half of them", changed={"seen": SEEN // 2}),
}
"""Shorter runs like the base, each with its own end, for the law of loss against clips (`evaluation.scaling`)."""

RUNS = CHOICES | BUDGETS


def run_choice(name: str, out: Path, *, latents: Path, level: int) -> dict[str, Any]:
    """Train one of `RUNS` and measure it; return and keep the figures.

    Args:
        name: of `RUNS`. out: folder of all runs. latents: folder of clips made beforehand, see `shards`.
        level: of the world.

    Returns:
        ``name``, ``level``, ``clips``, ``rendered``, ``minutes``, ``parameters``, ``gflop`` of a clip's forward pass,
        and ``unseen``: mean square error of the velocity for each of `MEASURES` on clips that no run trains on.

    Raises:
        SoraError: latents of another VAE, or a folder that cannot be written.
    """
    choice = RUNS[name]
    config = replace(STAGE, pool=LATENTS, compile=COMPILED, threads=torch.get_num_threads(), **choice.changed)
    trainer = dit_trainer(config, out / name, preset="micro", sizes=choice.sizes, level=level, device="cpu")
    load_pools(list(trainer.pools.values()), trainer.render_shares, latents, LATENTS)
    trainer.run()
    figures = {
        "name": name,
        "level": level,
        "clips": trainer.clips,
        "rendered": trainer.rendered,
        "minutes": trainer.minutes,
        "parameters": sum(parameter.numel() for parameter in trainer.models.dit.parameters()),
        "gflop": count_flops(choice.sizes, count_tokens(ClipFormat())) / 1e9,
        "unseen": measure(trainer),
    }
    (out / f"{name}.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


@torch.no_grad()
def measure(trainer: DiTTrainer) -> dict[str, float]:
    """Return the averaged model's loss on unseen clips for each of `MEASURES`, whatever its own weights were."""
    found: dict[str, float] = {}
    with trainer.ema.swapped(), torch.compiler.set_stance("force_eager"):
        for weight, names in ((EVERYWHERE, ("video", "audio")), (ON_THE_POINT, ("actor", "strike"))):
            judged = replace(trainer.config, actor=weight, strike=weight)
            losses = measure_unseen(trainer.models, trainer.buckets, trainer.steps, judged)
            found |= dict(zip(names, (losses["unseen_video"], losses["unseen_audio"]), strict=True))
    return found


def read(out: Path) -> list[dict[str, Any]]:
    """Return the figures of the runs in a folder."""
    kept = [path for name in RUNS if (path := out / f"{name}.json").exists()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in kept]


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as a markdown table, each beside its distance from the base and that of chance."""
    runs = {figures["name"]: figures for figures in found}
    if "base" not in runs:
        raise SoraError("the run 'base' is not there, and the others are told by their distance from it; train it too")
    base = runs["base"]["unseen"]
    lines = [
        f"| choice | run | parameters | GFLOP a call | clips seen | {' | '.join(MEASURES.values())} |",
        f"|---|---|---|---|---|{'---|' * len(MEASURES)}",
    ]
    for name, choice in RUNS.items():
        if (figures := runs.get(name)) is None:
            continue
        cells = [f"{choice.asks or 'to compare with'}", choice.says, f"{figures['parameters'] / 1e6:.2f} M"]
        cells += [f"{figures['gflop']:.2f}", f"{figures['clips']:,}"]
        for key in MEASURES:
            loss = figures["unseen"][key]
            cells.append(f"{loss:.4f}" + ("" if name == "base" else f" ({loss / base[key] - 1:+.1%})"))
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Mean square error of the velocity on 64 unseen clips at four noise levels; lower is better. Clips are "
        f"of {runs['base']['rendered']:,} different ones, at 64x64x25 and level {runs['base']['level']} of the world.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, and write the table."""
    parser = argparse.ArgumentParser(description="Train small runs that differ in one thing each, and compare them.")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--latents", type=Path, required=True, help="folder of clips; what it lacks is made first")
    parser.add_argument("--level", type=int, default=3, help="of the world (default 3)")
    parser.add_argument("--runs", default=",".join(RUNS), help="which, with commas (default all)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--markdown", type=Path, help="file for the table of all runs in the folder")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    try:
        wanted = args.runs.split(",")
        if unknown := [name for name in wanted if name not in RUNS]:
            raise SoraError(f"run {unknown[0]!r} is not known; choose some of {', '.join(RUNS)}")
        args.out.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            if not (args.out / f"{name}.json").exists():
                run_choice(name, args.out, latents=args.latents, level=args.level)
        said = table(read(args.out))
        if args.markdown is not None:
            args.markdown.write_text(said + "\n", encoding="utf-8")
        sys.stdout.write(said + "\n")
    except (SoraError, OSError) as error:
        sys.stderr.write(f"ablation: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
