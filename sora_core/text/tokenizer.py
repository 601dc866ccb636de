"""Prompts to word-piece ids, with the whole tokenizer held as bytes inside the checkpoint."""

# B batch, L tokens

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer as _Pieces
from torch import Tensor

from ..errors import SoraError

PAD, UNKNOWN, BEGIN = "[PAD]", "[UNK]", "[CLS]"

MAX_TOKENS = 32
"""Default prompt length in word pieces, the begin token included."""


class Word(NamedTuple):
    """One word of a prompt: its text in lower case and the ids of its pieces."""

    text: str
    ids: tuple[int, ...]


class Tokenizer:
    """Lower-cased WordPiece over a vocabulary that travels as the JSON of the ``tokenizers`` library.

    Every encoded prompt starts with a begin token, so that even an empty prompt has one visible token: attention over
    no token at all would be undefined.
    """

    def __init__(self, pieces: _Pieces) -> None:
        """Wrap a tokenizer that knows the pad, unknown and begin tokens."""
        special = [pieces.token_to_id(name) for name in (PAD, UNKNOWN, BEGIN)]
        if None in special:
            raise SoraError(f"the tokenizer lacks one of {PAD}, {UNKNOWN}, {BEGIN}; the checkpoint was not made by us")
        pieces.no_padding()
        pieces.no_truncation()
        self._pieces = pieces
        self.pad_id, self.unknown_id, self.begin_id = special

    @classmethod
    def from_bytes(cls, data: bytes) -> Tokenizer:
        """Read the UTF-8 JSON written by `to_bytes`.

        Raises:
            SoraError: the bytes are no tokenizer.
        """
        try:
            pieces = _Pieces.from_buffer(data)
        except Exception as error:  # the library raises plain Exception
            raise SoraError(f"the tokenizer inside the checkpoint cannot be read: {error}") from error
        return cls(pieces)

    def to_bytes(self) -> bytes:
        """Return the tokenizer as compact UTF-8 JSON."""
        return self._pieces.to_str(pretty=False).encode()

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        return self._pieces.get_vocab_size()

    def encode(self, prompts: Sequence[str], max_tokens: int = MAX_TOKENS) -> tuple[Tensor, Tensor]:
        """Turn prompts into ids and a mask.

        Args:
            prompts: any text; what the vocabulary lacks becomes the unknown token.
            max_tokens: at most so many ids a prompt, the begin token included; the end is cut off.

        Returns:
            ids int64 ``[B, L]`` and mask bool ``[B, L]`` (True where there is a token); L is the longest prompt's
            length, at least 1 and at most ``max_tokens``.
        """
        if max_tokens < 1:
            raise SoraError(f"max_tokens {max_tokens} must be at least 1")
        encoded = self._pieces.encode_batch_fast(list(prompts), add_special_tokens=False)
        rows = [[self.begin_id, *item.ids][:max_tokens] for item in encoded]
        length = max(map(len, rows), default=1)
        ids_BL = torch.tensor([row + [self.pad_id] * (length - len(row)) for row in rows], dtype=torch.int64)
        ids_BL = ids_BL.reshape(len(rows), length)
        # not `ids != pad`: a prompt that spells out the pad token must stay visible
        count_B = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        return ids_BL, torch.arange(length) < count_B[:, None]

    def words(self, prompt: str) -> list[Word]:
        """Split a prompt into words with the ids of their pieces, punctuation left out."""
        encoded = self._pieces.encode(prompt, add_special_tokens=False)
        found: dict[int, tuple[int, int, list[int]]] = {}
        for index, (start, end), piece in zip(encoded.word_ids, encoded.offsets, encoded.ids, strict=True):
            if index is not None:
                first, _, ids = found.get(index, (start, end, []))
                found[index] = (first, end, [*ids, piece])
        spelled = (Word(prompt[start:end].lower(), tuple(ids)) for start, end, ids in found.values())
        return [word for word in spelled if any(letter.isalnum() for letter in word.text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ids stand for, special tokens left out."""
        return self._pieces.decode(list(ids))

    def is_known(self, word: str) -> bool:
        """Say whether a single word is one whole piece of the vocabulary."""
        return self._pieces.token_to_id(word.lower()) is not None
