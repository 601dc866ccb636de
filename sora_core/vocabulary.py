"""Which words of a prompt a model was never trained on, and what it will take them for."""

# W words, D table width

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from .text import TextEncoder, Tokenizer

NEAR = 0.33
"""Least cosine of two rows for one word to be named as the other's neighbour (our decision: in the shipped table nine
held-out words in ten lie above it, and most words of other subjects below)."""


@torch.inference_mode()
def unknown_words(
    prompt: str, known: Collection[str], encoder: TextEncoder, tokenizer: Tokenizer
) -> list[tuple[str, str | None]]:
    """Return each word of the prompt that is not ``known``, once, with the nearest known word or None.

    The frozen table decides: it is what lets an untrained word act at all, and its neighbours are what the model has
    learned to draw. None means that no known word is near, so that the word will change little.

    Args:
        prompt: any text.
        known: lower-case words of the training captions.
        encoder, tokenizer: of the checkpoint.
    """
    unknown = {word.text: word.ids for word in tokenizer.words(prompt) if word.text not in known}
    if not unknown:
        return []
    names = sorted(known)
    pieces = [tuple(index for word in tokenizer.words(name) for index in word.ids) for name in names]
    cosine_WW = _rows(encoder, list(unknown.values()), tokenizer) @ _rows(encoder, pieces, tokenizer).T
    nearest: list[tuple[str, str | None]] = []
    for word, cosine_W in zip(unknown, cosine_WW, strict=True):
        best = int(cosine_W.argmax()) if names else 0
        nearest.append((word, names[best] if names and float(cosine_W[best]) >= NEAR else None))
    return nearest


def _rows(encoder: TextEncoder, words: list[tuple[int, ...]], tokenizer: Tokenizer) -> Tensor:
    """Return each word's direction in the table, float32 ``[W, D]``: the mean of its pieces at length 1, or zeros."""
    rows = torch.zeros(len(words), encoder.table.shape[1])
    for index, ids in enumerate(words):
        spelled = [piece for piece in ids if piece != tokenizer.unknown_id]
        if spelled:
            rows[index] = (encoder.table[spelled].float() * encoder.table_scale.float()).mean(0).cpu()
    return F.normalize(rows, dim=1)
