"""One safetensors file per model: settings, tokenizer, training record and licence travel inside it.

Importing this loads no torch; `load_checkpoint` and `save_checkpoint` do when they are called.
"""

from .load import Checkpoint, load_checkpoint, load_part, read_part, read_quick, read_tokenizer
from .metadata import Metadata, World, file_hash, find_checkpoint, read_header, read_metadata
from .save import save_checkpoint, write_quick

__all__ = [
    "Checkpoint",
    "Metadata",
    "World",
    "file_hash",
    "find_checkpoint",
    "load_checkpoint",
    "load_part",
    "read_header",
    "read_metadata",
    "read_part",
    "read_quick",
    "read_tokenizer",
    "save_checkpoint",
    "write_quick",
]
