"""Joint audio-video diffusion transformer."""

from .attention import explicit, pieces, quickest, sdpa
from .compiled import compile_blocks
from .config import PRESETS, DiTConfig
from .lora import Lora, merged
from .model import Cue, DiT

__all__ = [
    "PRESETS",
    "Cue",
    "DiT",
    "DiTConfig",
    "Lora",
    "compile_blocks",
    "explicit",
    "merged",
    "pieces",
    "quickest",
    "sdpa",
]
