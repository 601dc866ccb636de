"""How much memory a clip will take, and how much there is: asked before anything heavy is loaded."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from .types import ClipFormat

BASE_BYTES = 450 << 20
"""Resident size of Python, torch, PyAV and the shipped model with a 64x64 clip, measured on Linux at 380 MiB."""

TOKEN_BYTES = 24 << 10
"""Transformer activations per token and batch item, float32: 15 KiB measured with the preset micro; attention weights
are never held."""

DECODE_PIXEL_BYTES = 2 << 10
"""Activations of the streaming decoder per pixel of one frame, float32: under 1 KiB measured, whatever the length."""

OUTPUT_PIXEL_BYTES = 6
"""A decoded pixel as uint8 RGB, once in its chunk and once in the whole clip (files are written chunk by chunk)."""

FALLBACK_BYTES = 16 << 30
"""Assumed memory where the system does not say."""


def estimate_memory(fmt: ClipFormat, variations: int = 1, *, guided: bool = True) -> int:
    """Return the peak memory in bytes that generating ``variations`` clips together takes, rounded generously up.

    Guidance doubles the transformer's batch. The figures are bounds for the shipped size; a larger model adds its own
    weights on top.
    """
    shape = fmt.latent
    tokens = shape.video_tokens + shape.audio
    frame = fmt.width * fmt.height
    transformer = tokens * TOKEN_BYTES * variations * (2 if guided else 1)
    decoder = frame * DECODE_PIXEL_BYTES
    output = frame * fmt.frames * OUTPUT_PIXEL_BYTES * variations
    return BASE_BYTES + max(transformer, decoder) + output


def available_memory() -> int:
    """Return how many bytes new work may take: what Linux calls available, else the size of the memory."""
    if platform.system() == "Linux":
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return FALLBACK_BYTES


def gibibytes(count: int) -> str:
    """Return a byte count as people read it: ``"1.2 GiB"``, ``"3,400 GiB"``."""
    size = count / 2**30
    return f"{size:,.0f} GiB" if size >= 100 else f"{size:.1f} GiB"
