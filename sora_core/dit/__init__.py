"""Joint audio-video diffusion transformer."""

from .attention import explicit, sdpa
from .config import PRESETS, DiTConfig
from .model import Cue, DiT

__all__ = ["PRESETS", "Cue", "DiT", "DiTConfig", "explicit", "sdpa"]
