"""Several clip formats in one run: which sizes and lengths, how much of each, and which part of the world they show.

Loads no torch, so that the command line can refuse a mix before it does.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import Config
from ..errors import SoraError
from ..types import ClipFormat
from ..world.spec import LEVELS

TEXT_TOKENS = 32
"""Tokens of a prompt, counted in a clip's length."""

MOST_FORMATS = 8
LONGEST_SIDE = 512
MOST_FRAMES = 241
"""Larger clips than these are no training clips of ours: twenty seconds at 12 frames per second."""

_FORMAT = re.compile(r"(\d{1,6})x(\d{1,6})x(\d{1,6})")
_ENTRY = re.compile(rf"({_FORMAT.pattern})(?:@(\d{{1,3}}))?(?::([\d.eE+-]{{1,20}}))?")


@dataclass(frozen=True, kw_only=True)
class FormatShare(Config):
    """One format of a mix.

    Args:
        fmt: size and length of its clips. share: of the clips that are trained on, relative to the other formats'.
        level: of the world that they show; None is the run's.

    Raises:
        SoraError: a share that is no number above 0, or an unknown level.
    """

    fmt: ClipFormat = field(default_factory=ClipFormat)
    share: float = 1.0
    level: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if not 0 < self.share < math.inf:
            raise SoraError(f"share {self.share:g} of format {self.size} must be more than 0, for example 0.5")
        if self.level is not None and self.level not in LEVELS:
            raise SoraError(f"level {self.level} of format {self.size} is not known; choose one of {_listed(LEVELS)}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FormatShare:
        """Build from ``to_dict``'s values."""
        return super().from_dict(values | {"fmt": ClipFormat(**values["fmt"])})

    @property
    def size(self) -> str:
        """Width, height and frames: ``"64x64x25"``."""
        return size_of(self.fmt)

    def at(self, level: int) -> int:
        """Return the level of its clips in a run of ``level``."""
        return level if self.level is None else self.level


def _mix(*entries: tuple[int, int, int, float]) -> tuple[FormatShare, ...]:
    return tuple(
        FormatShare(fmt=ClipFormat(width=width, height=height, frames=frames), share=share)
        for width, height, frames, share in entries
    )


MIXES = {
    "small": _mix((64, 64, 25, 1.0)),
    "whole": _mix(
        (64, 64, 25, 0.40),
        (96, 96, 49, 0.20),
        (128, 80, 49, 0.15),
        (80, 128, 49, 0.15),
        (128, 128, 49, 0.10),
    ),
}
"""Mixes by name. ``small`` is two seconds at 64 px. ``whole`` sees most clips small, where they are cheap, and the rest
at four seconds in three aspects and larger: 40, 50 and 10 % (our decision; a clip at 96 px costs three small ones)."""


def parse_formats(text: str) -> tuple[FormatShare, ...]:
    """Return the mix of a name of `MIXES`, or of ``"64x64x25:0.4,128x80x49@3:0.2"``.

    Args:
        text: entries ``WIDTHxHEIGHTxFRAMES``, each with ``@LEVEL`` (otherwise the run's) and ``:SHARE`` (otherwise 1)
            if wanted, with commas between. Shares are relative: they need not add up to 1.

    Raises:
        SoraError: a name or entry that is not understood, a size off the grid, a format named twice, or too many.
    """
    if text in MIXES:
        return MIXES[text]
    mix = tuple(_entry(part.strip()) for part in text.split(","))
    if len(mix) > MOST_FORMATS:
        raise SoraError(f"{len(mix)} formats were given; a run holds at most {MOST_FORMATS}")
    seen = [(entry.fmt, entry.level) for entry in mix]
    for place, entry in enumerate(mix):
        if seen.index(seen[place]) < place:
            raise SoraError(f"format {entry.size} is named twice; give it once, with both shares together")
    return mix


def parse_format(text: str) -> ClipFormat:
    """Return the clip format of ``"96x96x49"``.

    Raises:
        SoraError: not a format, or off the grid.
    """
    if not (found := _FORMAT.fullmatch(text)):
        raise SoraError(f"{text!r} is not a format; write width x height x frames, for example 96x96x49")
    width, height, frames = (int(number) for number in found.groups())
    if max(width, height) > LONGEST_SIDE or frames > MOST_FRAMES:
        raise SoraError(
            f"format {text} is too large to train on; sides go up to {LONGEST_SIDE} and frames to {MOST_FRAMES}"
        )
    return ClipFormat(width=width, height=height, frames=frames)


def size_of(fmt: ClipFormat) -> str:
    """Return width, height and frames: ``"64x64x25"``."""
    return f"{fmt.width}x{fmt.height}x{fmt.frames}"


def clip_tokens(fmt: ClipFormat) -> int:
    """Return the transformer tokens of a clip with its prompt and sound."""
    return TEXT_TOKENS + fmt.latent.video_tokens + fmt.latent.audio


def step_batches(formats: Sequence[ClipFormat], batch: int, processes: int = 1) -> list[int]:
    """Return the clips in a step of each format: about as many tokens as ``batch`` clips of the first one.

    So every step costs about as much, and its loss, a mean over tokens, is as noisy as any other's.

    Args:
        formats: of the mix. batch: clips of the first one in a step. processes: that share a step; each number of
            clips is a multiple of it.
    """
    budget = batch * clip_tokens(formats[0])
    return [max(1, round(budget / clip_tokens(fmt) / processes)) * processes for fmt in formats]


def seed_region(fmt: ClipFormat, level: int) -> int:
    """Return what is added to the seeds of this format's clips, so that formats do not show the same clips.

    A hash, so that latents that were made for one mix serve another; the default format at level 1 has the first.
    """
    if (fmt, level) == (ClipFormat(), 1):
        return 0
    return (1 + zlib.crc32(f"{size_of(fmt)} {fmt.fps:g} {level}".encode()) % 14) << 27


def _entry(text: str) -> FormatShare:
    found = _ENTRY.fullmatch(text)
    share = _number(found[6]) if found else None
    if found is None or share is None:
        raise SoraError(
            f"formats {text!r} is not understood; write {' or '.join(MIXES)}, or sizes with shares such as "
            "64x64x25:0.4,96x96x49:0.4,128x80x49@3:0.2"
        )
    return FormatShare(fmt=parse_format(found[1]), share=share, level=int(found[5]) if found[5] else None)


def _number(text: str | None) -> float | None:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return None


def _listed(values: Sequence[int] | dict[int, Any]) -> str:
    return ", ".join(map(str, values))
