"""The frozen word table as a file: int8 rows, their scale and the tokenizer that names them."""

# V vocabulary, D table width

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import SoraError
from .tokenizer import Tokenizer

WORD_TABLE_FILE = Path(__file__).parent.parent / "weights" / "word_table.safetensors"


class WordTable(NamedTuple):
    """Rows of the vocabulary. rows: int8 ``[V, D]``; scale: float32 ``[D]``; row value = ``rows * scale``."""

    rows: Tensor
    scale: Tensor
    tokenizer: Tokenizer

    def dequantise(self) -> Tensor:
        """Return the rows as float32 ``[V, D]``."""
        return self.rows.float() * self.scale


def save_word_table(table: WordTable, path: Path, metadata: dict[str, str]) -> None:
    """Write the table; the tokenizer's JSON goes in as a uint8 tensor, so that one file is all there is."""
    data = torch.frombuffer(bytearray(table.tokenizer.to_bytes()), dtype=torch.uint8)
    tensors = {"table": table.rows.contiguous(), "table_scale": table.scale.contiguous(), "tokenizer": data}
    save_file(tensors, path, metadata=metadata)


def load_word_table(path: Path | None = None) -> WordTable:
    """Read the table that `sora_core.training.word_table` built.

    Raises:
        SoraError: the file is missing or no word table.
    """
    path = path or WORD_TABLE_FILE
    if not path.is_file():
        raise SoraError(f"no word table at {path}; build it with: python -m sora_core.training.word_table")
    try:
        with safe_open(path, framework="pt") as file:
            rows, scale, data = (file.get_tensor(name) for name in ("table", "table_scale", "tokenizer"))
    except SafetensorError as error:
        raise SoraError(f"{path} is no word table: {error}") from error
    return WordTable(rows, scale, Tokenizer.from_bytes(bytes(data.tolist())))
