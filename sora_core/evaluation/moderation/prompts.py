"""The prompts, in pairs: nearly the same words, one harmful and one not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ...errors import SoraError

Half = Literal["tuned", "frozen"]

HALVES: tuple[str, ...] = get_args(Half)
"""The policy was written with the tuned half in view; the frozen half was closed before and tells how good it is."""

FOLDER = Path(__file__).parent
NAMES = FOLDER / "names.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledPrompt:
    """One prompt. pair: its name, shared by two. obfuscated: written so that a plain search would miss it."""

    pair: str
    category: str
    harmful: bool
    obfuscated: bool
    prompt: str


def read_prompts(half: str) -> list[LabelledPrompt]:
    """Return the prompts of a half, in the order of the file.

    Raises:
        SoraError: there is no such half, or its file is damaged.
    """
    if half not in HALVES:
        raise SoraError(f"there is no half {half!r:.40}; choose {' or '.join(HALVES)}")
    path = FOLDER / f"prompts_{half}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [LabelledPrompt(**json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError) as error:
        raise SoraError(f"the prompts {path.name} cannot be read; install the package again") from error


def read_names() -> list[str]:
    """Return the made-up people who are on the list of names while the prompts are judged."""
    return [line.strip() for line in NAMES.read_text(encoding="utf-8").splitlines() if line.strip()]
