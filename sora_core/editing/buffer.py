"""The end of a film that is being made: finished, but the next run may still fade over it."""

# F frames, H W pixels, C sound channels, S samples

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .canvas import Canvas
from .film import Piece


class Take(NamedTuple):
    """Finished frames from the canvas's frame ``start`` on: uint8 ``[f, H, W, 3]`` and their sound, or None."""

    start: int
    frames: Tensor
    wave: Tensor | None

    @property
    def stop(self) -> int:
        """The frame behind the last."""
        return self.start + len(self.frames)

    def cut(self, start: int, stop: int, canvas: Canvas) -> Take:
        """Return the part from frame ``start`` to ``stop``."""
        wave = None
        if self.wave is not None:
            origin = canvas.samples_at(self.start)
            wave = self.wave[:, canvas.samples_at(start) - origin : canvas.samples_at(stop) - origin]
        return Take(start, self.frames[start - self.start : stop - self.start], wave)


class Buffer:
    """Takes in a row; the last one put counts where two overlap."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        wave = torch.zeros(canvas.channels, 0) if canvas.channels else None
        self.held = Take(0, torch.zeros(0, canvas.height, canvas.width, 3, dtype=torch.uint8), wave)

    @property
    def end(self) -> int:
        """The frame that comes next."""
        return self.held.stop

    def put(self, take: Take) -> None:
        """Write a take over what stands there; it begins no later than at the end."""
        held = self.held
        assert held.start <= take.start <= held.stop <= take.stop, (held.start, take.start, held.stop, take.stop)
        kept = held.cut(held.start, take.start, self.canvas)
        wave = None if kept.wave is None or take.wave is None else torch.cat([kept.wave, take.wave], 1)
        self.held = Take(held.start, torch.cat([kept.frames, take.frames]), wave)

    def give(self, keep: int) -> Iterator[Piece]:
        """Yield all but the last ``keep`` frames, and forget them."""
        border = self.held.stop - keep
        if border <= self.held.start:
            return
        given = self.held.cut(self.held.start, border, self.canvas)
        rest = self.held.cut(border, self.held.stop, self.canvas)
        # Copies, so that what was given does not keep the rest alive, nor the rest what was given.
        self.held = Take(border, rest.frames.clone(), None if rest.wave is None else rest.wave.clone())
        yield Piece(given.frames, given.wave)
