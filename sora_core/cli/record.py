"""What a clip says of itself, and the command that makes it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..checkpoint.metadata import Metadata, file_hash
from ..errors import SoraError
from ..request import Plan, Request

if TYPE_CHECKING:
    from ..editing.film import FilmStream
    from .editing import Edit


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files that a request was made from, as they were named."""

    image: Path | None = None
    last_image: Path | None = None
    references: tuple[Path, ...] = ()
    checkpoint: Path | None = None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """What a model looked at."""
        return tuple(path for path in (self.image, self.last_image, *self.references) if path is not None)


def settings_of(request: Request, plan: Plan, sources: Sources, dtype: str) -> dict[str, Any]:
    """Return every knob with its resolved value, as plain JSON values. Lengths are those of the finished clip."""
    return {
        "negative": request.negative,
        "width": plan.format.width,
        "height": plan.format.height,
        "frames": plan.frames,
        "fps": plan.format.fps,
        "seconds": plan.seconds,
        "steps": plan.steps,
        "cfg": plan.guidance,
        "audio_cfg": plan.audio_guidance,
        "rescale": plan.guidance_rescale,
        "solver": plan.solver,
        "shift": plan.shift,
        **_speed(plan),
        "still": request.still,
        "audio": plan.samples > 0,
        "dtype": dtype,
        "image": _text(sources.image),
        "last_image": _text(sources.last_image),
        "references": [str(path) for path in sources.references],
        "checkpoint": _text(sources.checkpoint),
    }


def edit_settings(edit: Edit, request: Request, plan: Plan, stream: FilmStream, **more: object) -> dict[str, Any]:
    """Return what `settings_of` does, for a film that is made from others.

    ``clips`` are the files named before the prompt, ``options`` the command's own, and ``sources`` the SHA-256 of every
    file that it is made from.

    Args:
        edit: the command. request, plan: of its sampler. stream: the film. more: further settings.
    """
    return {
        "command": edit.command,
        "clips": [str(path) for path in edit.clips],
        "options": {name: value for name, value in edit.options.items() if _given(value)},
        "sources": {str(path): file_hash(path) for path in edit.sources},
        "negative": request.negative,
        "width": stream.width,
        "height": stream.height,
        "frames": stream.num_frames,
        "fps": stream.fps,
        "seconds": stream.num_frames / stream.fps,
        "steps": plan.steps,
        "cfg": plan.guidance,
        "audio_cfg": plan.audio_guidance,
        "rescale": plan.guidance_rescale,
        "solver": plan.solver,
        "shift": plan.shift,
        **_speed(plan),
        "audio": stream.channels > 0,
        **more,
    }


def tags_of(
    request: Request, seed: int, settings: Mapping[str, Any], model: Metadata, model_hash: str
) -> dict[str, str]:
    """Return a file's tags: prompt, seed, settings, the model's name, hash and level, and this package's version."""
    tags = {
        "prompt": request.prompt,
        "seed": str(seed),
        "settings": json.dumps(settings),
        "model": model.path.name,
        "model_sha256": model_hash,
        "sora_version": __version__,
    }
    return tags if model.world is None else tags | {"level": str(model.world.level)}


def model_name(model: Metadata, plan: Plan) -> str:
    """Return what a manifest calls the model: its file, and that it was the quick one where it was."""
    return f"{model.path.name} (quick, {plan.steps} steps)" if plan.quick else model.path.name


def command_of(path: Path, tags: Mapping[str, str]) -> str:
    """Return the command line that makes a file again from its tags.

    Raises:
        SoraError: the file carries none of ours.
    """
    try:
        seed, settings = tags["seed"], json.loads(tags["settings"])
        if "command" in settings:
            # containers leave empty tags away
            return edit_command(tags.get("prompt", ""), seed, settings)
        prompt = tags["prompt"]
        words = ["sora", "generate", prompt, "--size", f"{settings['width']}x{settings['height']}"]
        words += ["--still"] if settings["still"] else ["--seconds", _exact(settings["seconds"])]
        words += ["--fps", _exact(settings["fps"]), "--seed", seed, "--steps", str(settings["steps"])]
        words += ["--cfg", _exact(settings["cfg"]), "--solver", settings["solver"], "--dtype", settings["dtype"]]
        words += _speed_words(settings)
        words += ["--negative", settings["negative"]] if settings["negative"] else []
        words += [] if settings["audio"] or settings["still"] else ["--no-audio"]
        for option, key in (("--image", "image"), ("--last-image", "last_image"), ("--checkpoint", "checkpoint")):
            words += [option, settings[key]] if settings[key] else []
        for reference in settings["references"]:
            words += ["--reference", reference]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise SoraError(
            f"{path} carries no settings of ours (it was made by another program, or with --no-metadata)"
        ) from error
    return shlex.join(words)


def edit_command(prompt: str, seed: str, settings: Mapping[str, Any]) -> str:
    """Return the command line that edits clips again, from the settings of `edit_settings`.

    Raises:
        KeyError, TypeError, AttributeError: they are not such settings.
    """
    named = [*settings["clips"], *([prompt] if prompt else [])]
    words: list[str] = []
    for option, value in settings["options"].items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{option}"] if one is True else _option(option, one if isinstance(one, str) else _exact(one))
    words += ["--seed", seed, "--steps", str(settings["steps"]), "--cfg", _exact(settings["cfg"])]
    words += ["--solver", settings["solver"], "--dtype", settings["dtype"], *_speed_words(settings)]
    for option in ("negative", "checkpoint"):
        words += _option(option, settings[option]) if settings[option] else []
    if any(word.startswith("-") for word in named):
        return shlex.join(["sora", settings["command"], *words, "--", *named])
    return shlex.join(["sora", settings["command"], *named, *words])


def _speed(plan: Plan) -> dict[str, bool]:
    """Return which model made it, where the checkpoint has two."""
    return {} if plan.quick is None else {"quick": plan.quick}


def _speed_words(settings: Mapping[str, Any]) -> list[str]:
    if settings.get("quick") is None:
        return []
    return ["--quick" if settings["quick"] else "--full"]


def _given(value: object) -> bool:
    return value is not None and value is not False and value != []


def _option(name: str, value: str) -> list[str]:
    """Return an option's words; a value that looks like an option itself is tied to its name."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def _exact(value: float) -> str:
    """Return the shortest text that reads back as the same number, without a needless ``.0``."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
