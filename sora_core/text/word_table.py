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

WEIGHTS = Path(__file__).parent.parent / "weights"

WORD_TABLE_FILE = WEIGHTS / "word_table.safetensors"
"""Where a newly built table is put; a shipped model holds its own, so the package carries it only once."""


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
    """Read a table, from the file that `sora_core.training.word_table` built or out of a model.

    Args:
        path: such a file; None takes a newly built table, or else the one inside the shipped model.

    Raises:
        SoraError: the file is missing or no word table.
    """
    if path is None:
        path = next(
            (p for p in (WORD_TABLE_FILE, *sorted(WEIGHTS.glob("*.safetensors"))) if p.is_file()), WORD_TABLE_FILE
        )
    if not path.is_file():
        raise SoraError(f"no word table at {path}; build it with: python -m sora_core.training.word_table")
    try:
        with safe_open(path, framework="pt") as file:
            part = "text." if "text.table" in file.keys() else ""  # noqa: SIM118  (the file is not a mapping)
            rows, scale = (file.get_tensor(part + name) for name in ("table", "table_scale"))
            data = file.get_tensor("tokenizer")
    except SafetensorError as error:
        raise SoraError(f"{path} is no word table: {error}") from error
    return WordTable(rows, scale, Tokenizer.from_bytes(bytes(data.tolist())))
