"""Where the results go: names that are free, in folders that can be written, before anything is computed."""

from __future__ import annotations

import argparse
import itertools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import SoraError

CLIP, STILL = ".mp4", ".png"
SLUG_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files of one variation: the clip or still itself, and what stands beside it."""

    main: Path
    sidecar: Path | None
    thumbnail: Path | None
    spritesheet: Path | None

    @property
    def files(self) -> list[Path]:
        """All that will be written."""
        return [path for path in (self.main, self.sidecar, self.thumbnail, self.spritesheet) if path is not None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to write besides the clip. webp: whether the thumbnail can be one."""

    sidecar: bool = False
    thumbnail: bool = False
    spritesheet: bool = False
    webp: bool = True


def wanted_by(args: argparse.Namespace) -> Wanted:
    """Return what the options of `arguments.add_files` ask for."""
    webp = False
    if args.thumbnail:
        from ..media.mp4 import has_webp

        webp = has_webp()
    return Wanted(sidecar=args.sidecar, thumbnail=args.thumbnail, spritesheet=args.spritesheet, webp=webp)


def is_still(output: Path | None, still: bool) -> bool:
    """Say whether one picture is wanted: by the flag, or by a name that ends in .png.

    Raises:
        SoraError: the name's ending fits neither.
    """
    if output is None:
        return still
    ending = output.suffix.lower()
    if ending not in (CLIP, STILL):
        raise SoraError(f"output {output} must end in {CLIP} for a clip or {STILL} for a still")
    if still and ending == CLIP:
        raise SoraError(f"output {output} is a clip's name, and --still makes a picture; end it in {STILL}")
    return ending == STILL


def plan_outputs(
    output: Path | None,
    *,
    stem: str,
    still: bool,
    variations: int,
    wanted: Wanted,
    force: bool,
    ending: str = "",
) -> list[Outputs]:
    """Return the files of each variation.

    Args:
        output: the asked name, or None for a fresh one in the current folder.
        stem: what a fresh name begins with.
        still: whether it is a picture.
        variations: more than one are numbered -1, -2 and so on.
        wanted: what to write besides.
        force: overwrite what is there.
        ending: what every name must end in, before the suffix, since something usual was switched off.

    Raises:
        SoraError: the folder is missing or cannot be written, or a file is there already.
    """
    if output is None:
        names = (Path(f"{stem}-{number:03}{ending}{STILL if still else CLIP}") for number in itertools.count(1))
        fresh = (_numbered(name, variations, wanted) for name in names)
        planned = next(them for them in fresh if not any(path.exists() for one in them for path in one.files))
    else:
        planned = _numbered(with_ending(output, ending), variations, wanted)
    check_folder(planned[0].main.parent)
    for path in (path for one in planned for path in one.files):
        check_free(path, force=force)
    return planned


def with_ending(path: Path, ending: str) -> Path:
    """Return the path with an ending before its suffix, said once."""
    return path if path.stem.endswith(ending) else path.with_name(f"{path.stem}{ending}{path.suffix}")


def check_free(path: Path, *, force: bool) -> None:
    """Refuse a name that is a folder's, or a file's that is not to be overwritten.

    Raises:
        SoraError: with the reason.
    """
    if path.is_dir():
        raise SoraError(f"output {path} is a folder; name a file in it")
    if path.exists() and not force:
        raise SoraError(f"output {path} is there already; choose another name, or --force to overwrite it")


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not there or cannot be written.

    Raises:
        SoraError: with the reason.
    """
    if not folder.is_dir():
        raise SoraError(f"output folder {folder} {'is a file' if folder.exists() else 'does not exist'}; make it first")
    try:
        # permissions alone do not tell: the disk may be read-only, or the user may be root
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SoraError(f"output folder {folder} cannot be written: {error.strerror}; choose another") from error


def slug(prompt: str) -> str:
    """Return a file name's worth of the prompt: ``"a-large-red-ball-bounces"``."""
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    name = ""
    for word in words:
        if len(name) + len(word) > SLUG_LENGTH:
            break
        name += f"-{word}" if name else word
    return name or "clip"


def _numbered(path: Path, variations: int, wanted: Wanted) -> list[Outputs]:
    stems = [path.stem] if variations == 1 else [f"{path.stem}-{index}" for index in range(1, variations + 1)]
    picture = ".webp" if wanted.webp else ".png"
    return [
        Outputs(
            main=path.with_name(stem + path.suffix),
            sidecar=path.with_name(f"{stem}.json") if wanted.sidecar else None,
            thumbnail=path.with_name(f"{stem}-thumbnail{picture}") if wanted.thumbnail else None,
            spritesheet=path.with_name(f"{stem}-sprites.png") if wanted.spritesheet else None,
        )
        for stem in stems
    ]
