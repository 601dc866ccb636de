"""Causal video VAE: x8 space, x4 time, 16 channels, streaming encode and decode."""

from __future__ import annotations

from .config import VideoVAEConfig
from .model import VideoVAE

__all__ = ["VideoVAE", "VideoVAEConfig"]
