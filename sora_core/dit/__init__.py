"""Joint audio-video diffusion transformer."""

from .attention import explicit, sdpa
from .config import PRESETS, DiTConfig
from .model import DiT

__all__ = ["PRESETS", "DiT", "DiTConfig", "explicit", "sdpa"]
