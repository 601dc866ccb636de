"""What is said on stderr before a long run, because it may not be what was meant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pipeline import Pipeline


def hint(text: str) -> None:
    """Say one thing."""
    print(f"hint: {text}", file=sys.stderr)


def hint_at_words(pipeline: Pipeline, prompts: Sequence[str]) -> None:
    """Say which words the model does not know and what becomes of them, and which prompts are too long for it."""
    told = dict.fromkeys(pair for prompt in prompts for pair in pipeline.unknown_words(prompt))
    notes: list[str] = []
    for word, nearest in told:
        taken = f'takes it for its nearest word, "{nearest}"' if nearest else "knows none like it, so it changes little"
        notes.append(f'"{word}" ({taken})')
    if notes:
        hint(f"the model was not trained on {', '.join(notes)}")
    longest = pipeline.text.config.max_tokens
    for prompt in prompts:
        if (length := pipeline.tokenizer.encode([prompt], sys.maxsize)[0].shape[1]) > longest:
            hint(f"the prompt is {length} tokens long and the model reads the first {longest}")
