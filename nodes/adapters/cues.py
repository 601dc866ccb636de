"""Prompts that take over at a time within the clip, as part of a CONDITIONING."""

# L text tokens, D text width

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...sora_core.editing.maker import Task
from ...sora_core.errors import SoraError
from ...sora_core.request import check_cue_starts
from ..host import set_conditioning
from .model import CUES

Conditioning = Sequence[Any]
"""The host's CONDITIONING: entries of a text's states ``[1, L, D]`` and a dictionary."""


def set_cues(conditioning: Conditioning, cues: Sequence[tuple[float, Conditioning]]) -> Any:
    """Return a CONDITIONING whose clip goes on with other prompts; the input stays as it is.

    Guidance needs the same times in the negative: set them there too, with the negative as the text of each.

    Args:
        conditioning: the first prompt. cues: seconds at which a prompt takes over, with its CONDITIONING.

    Raises:
        SoraError: times that are not in order, or a cue that is not one plain prompt.
    """
    check_cue_starts([start for start, _ in cues])
    return set_conditioning(conditioning, {CUES: [(float(start), *_prompt(start, text)) for start, text in cues]})


def within(conditioning: Conditioning, task: Task) -> Any:
    """Return a CONDITIONING of a whole film as it is for a task's part of it; the input stays as it is."""
    return [_within(states, more, task) if CUES in more else [states, more] for states, more in conditioning]


def _within(states: Tensor, more: dict[str, Any], task: Task) -> list[Any]:
    """Return one entry of a CONDITIONING as `within` has it."""
    held, later = task.cues_within([(at, (text, mask)) for at, text, mask in more[CUES]])
    values = {key: value for key, value in more.items() if key != CUES}
    if held is not None:
        states, values["attention_mask"] = held
    return [states, values | ({CUES: [(at, *prompt) for at, prompt in later]} if later else {})]


def _prompt(start: float, text: Conditioning) -> tuple[Tensor, Tensor]:
    """Return states ``[1, L, D]`` and mask ``[1, L]`` of a CONDITIONING's only entry."""
    if len(text) != 1:
        raise SoraError(f"the cue at {start:g} s holds {len(text)} prompts; give it exactly one, without combining any")
    states, more = text[0]
    mask = more.get("attention_mask")
    return states, torch.ones(states.shape[:2]) if mask is None else mask
