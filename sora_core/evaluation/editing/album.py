"""Strips of what was edited, for the eye."""

# F frames, H W pixels

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ...media.png import write_png
from ...media.sheet import filmstrips

SHOWN = 4
"""Clips of each edit."""

FRAMES = 16


class Album:
    """Collects the first clips of each edit, then draws them."""

    def __init__(self) -> None:
        self._shown: dict[str, list[tuple[str, Tensor]]] = {}

    def see(self, edit: str, prompt: str, frames: Tensor) -> None:
        """Keep a clip, uint8 ``[F, H, W, 3]``, if there is room for one of its edit."""
        kept = self._shown.setdefault(edit, [])
        if len(kept) < SHOWN:
            kept.append((prompt, frames))

    def draw(self, folder: Path) -> Path | None:
        """Write ``editing.png``; return where, or None where nothing was seen."""
        strips = [(f"{edit}: {prompt}", frames) for edit, kept in self._shown.items() for prompt, frames in kept]
        if not strips:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "editing.png"
        labels, clips = zip(*strips, strict=True)
        write_png(path, filmstrips([frames.numpy() for frames in clips], labels, frames=FRAMES, scale=1))
        return path
