"""Text: tokenizer, frozen word table and the encoder above it."""

from __future__ import annotations

from .config import TextConfig
from .encoder import TextEncoder
from .tokenizer import MAX_TOKENS, Tokenizer, Word
from .word_table import WordTable, load_word_table, save_word_table

__all__ = [
    "MAX_TOKENS",
    "TextConfig",
    "TextEncoder",
    "Tokenizer",
    "Word",
    "WordTable",
    "load_word_table",
    "save_word_table",
]
