"""``sora info``: what a model, a clip or this installation is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import __version__
from ..budget import available_memory, gibibytes
from ..checkpoint.metadata import PARTS, QUICK, Metadata, file_hash, find_checkpoint, read_metadata
from ..errors import SoraError
from .record import command_of

STILL_ENDING = ".png"
CLIP_ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
SIDECAR_ENDING = ".json"

EXAMPLES = """\
examples:
  sora info                     this installation: version, model, device
  sora info clip.mp4            what a clip was made from, and the command that makes it again
  sora info model.safetensors   a model's parts, sizes and training record
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "info",
        help="say what a model, a clip or this installation is",
        description="Say what a model, a clip or this installation is.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a clip, still or model")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Print what is known."""
    if args.file is None:
        facts = _installation()
    elif args.file.suffix.lower() in CLIP_ENDINGS | {STILL_ENDING, SIDECAR_ENDING}:
        facts = _picture(args.file)
    else:
        facts = _checkpoint(read_metadata(args.file))
    print(json.dumps(facts, indent=2) if args.json else "\n".join(_lines(facts)))
    return 0


def _installation() -> dict[str, Any]:
    import torch

    facts: dict[str, Any] = {"version": __version__, "torch": torch.__version__}
    if torch.cuda.is_available():
        facts["device"] = f"cuda ({torch.cuda.get_device_name()})"
    else:
        facts["device"] = f"cpu ({torch.get_num_threads()} threads)"
    facts["free memory"] = gibibytes(available_memory())
    try:
        facts["model"] = _checkpoint(read_metadata(find_checkpoint()))
    except SoraError as error:
        facts["model"] = str(error)
    return facts


def _checkpoint(model: Metadata) -> dict[str, Any]:
    """Return a model's facts, all from the head of its file."""
    defaults, found = model.defaults, model.header.metadata
    held = [part for part in PARTS if part in model.config] + [QUICK] * (defaults.quick is not None)
    parts = {part: f"{model.parameters(part):,} numbers" for part in held}
    facts: dict[str, Any] = {
        "file": str(model.path),
        "title": found.get("modelspec.title", ""),
        "size": f"{model.path.stat().st_size / 2**20:.1f} MiB",
        "sha256": file_hash(model.path),
        "licence": found.get("license", ""),
        "component": model.component,
        "parts": parts,
    }
    if model.world is not None:
        facts["makes"] = (
            f"{defaults.width}x{defaults.height}, {defaults.format.seconds:.2f} s at {defaults.fps:g} fps, "
            f"{defaults.steps} steps {defaults.solver}, cfg {defaults.guidance:g}"
        )
        if (quick := defaults.quick) is not None:
            standing = "the default" if quick.default else "with --quick"
            facts["quick"] = f"{quick.words} steps without guidance, LoRA of rank {quick.rank}, {standing}"
        facts["world"] = f"level {model.world.level}, {len(model.world.words)} words"
    facts["training"] = model.training
    if defaults.quick is not None:
        facts["quick training"] = defaults.quick.training
    return facts | {"config": model.config}


def _picture(path: Path) -> dict[str, Any]:
    """Return the tags of a clip or still and the command that makes it again."""
    tags = _tags(path)
    facts: dict[str, Any] = {"file": str(path)}
    facts |= {key: value for key, value in tags.items() if key != "settings"}
    if "settings" in tags:
        facts["settings"] = json.loads(tags["settings"])
    facts["command"] = command_of(path, tags)
    if notes := [note for note in (_other_model(tags), _other_sources(tags)) if note]:
        facts["note"] = "; ".join(notes)
    return facts


def _tags(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise SoraError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; name a clip, still or model")
    if path.suffix.lower() == STILL_ENDING:
        from ..media.png import read_png_tags

        return read_png_tags(path)
    from ..media.mp4 import read_sidecar, read_tags

    return read_sidecar(path) if path.suffix.lower() == SIDECAR_ENDING else read_tags(path)


def _other_model(tags: dict[str, str]) -> str | None:
    """Say so if the installed model is not the one that made the file."""
    try:
        here = find_checkpoint()
    except SoraError:
        return None
    named = json.loads(tags["settings"])["checkpoint"]
    if named or "model_sha256" not in tags or file_hash(here) == tags["model_sha256"]:
        return None
    return f"made by {tags.get('model', 'another model')}, not by {here.name}; the command will make another clip"


def _other_sources(tags: dict[str, str]) -> str | None:
    """Say so if files that it was made from are gone or changed."""
    notes: list[str] = []
    for name, digest in json.loads(tags["settings"]).get("sources", {}).items():
        if not Path(name).is_file():
            notes.append(f"{name}, which it was made from, is not here")
        elif file_hash(Path(name)) != digest:
            notes.append(f"{name} is not what it was made from any more")
    return "; ".join(notes) or None


def _lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    """Return facts as aligned lines, nested ones further in, empty ones left out."""
    facts = {key: value for key, value in facts.items() if value not in (None, "", [])}
    lines: list[str] = []
    width = max((len(key) for key, value in facts.items() if not isinstance(value, dict)), default=0)
    for key, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key:<{width}}  {value}")
    return lines
