"""Training windows for the video VAE: rendered clips, cut in time, on a CPU made in a background thread."""

# B windows, F frames of a window, H W pixels

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..types import ClipFormat
from ..world.render import render
from ..world.sample import sample_attributes
from ..world.spec import LEVELS
from .formats import FormatShare

TRAINING_SEEDS = 1 << 20
"""Seeds from here on are trained on; those below are for measuring."""


class Window(NamedTuple):
    """frames: uint8 ``[B, F, H, W, 3]``. mask: float32 ``[B, F, H, W]``, how much of a pixel the actor covers."""

    frames: Tensor
    mask: Tensor


ClipSource = Callable[[int, int, bool], Window]
"""From the first seed, the number of clips and whether held-out pairs may occur, to whole clips."""


def world_clips(level: int, clip: ClipFormat | None = None, *, device: torch.device | str = "cpu") -> ClipSource:
    """Return a source of clips rendered on ``device``; clip ``i`` depends on its seed and level alone."""
    clip = clip or ClipFormat()

    def draw(first_seed: int, count: int, held_out: bool) -> Window:
        seeds = range(first_seed, first_seed + count)
        attributes = [
            sample_attributes(LEVELS[level], torch.Generator().manual_seed(seed), split="any" if held_out else "train")
            for seed in seeds
        ]
        batch = render(attributes, list(seeds), clip, device)
        return Window(batch.frames, batch.mask)

    return draw


def mixed_clips(formats: Sequence[FormatShare], level: int, *, device: torch.device | str = "cpu") -> ClipSource:
    """Return a source whose calls draw one of ``formats`` each, by their shares and the first seed alone.

    Args:
        formats: mix. level: of the world, for formats that name none. device: where clips are rendered.
    """
    sources = [world_clips(share.level or level, share.fmt, device=device) for share in formats]
    chances = torch.tensor([share.share for share in formats])

    def draw(first_seed: int, count: int, held_out: bool) -> Window:
        chosen = torch.multinomial(chances, 1, generator=torch.Generator().manual_seed(first_seed))
        return sources[int(chosen)](first_seed, count, held_out)

    return draw


class WindowStream:
    """Render batches of windows, on a CPU one ahead of the training step.

    Args:
        source: where clips come from.
        batch: windows in a batch.
        frames: frames of a window.
        crops: windows cut from each rendered clip, each from its own start (a divisor of ``batch``).
        drawn: clips drawn before, when a run is continued.
        ahead: render in a thread beside the step; False renders when asked (a GPU runs one thing at a time anyway).
    """

    def __init__(
        self, source: ClipSource, *, batch: int, frames: int, crops: int, drawn: int = 0, ahead: bool = True
    ) -> None:
        assert batch % crops == 0
        self._source, self._batch, self._frames, self._crops = source, batch, frames, crops
        self.drawn = drawn
        self._queue: queue.Queue[Window | BaseException] = queue.Queue(maxsize=2)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if ahead:
            self._thread = threading.Thread(target=self._produce, args=(drawn,), name="video-windows", daemon=True)
            self._thread.start()

    def __next__(self) -> Window:
        """Wait for the next batch; an error of the rendering thread is raised here."""
        item = self._cut(self.drawn) if self._thread is None else self._queue.get()
        if isinstance(item, BaseException):
            raise item
        self.drawn += self._batch // self._crops
        return item

    def close(self) -> None:
        """Stop rendering."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _produce(self, drawn: int) -> None:
        # Thread counts are per calling thread here: one for rendering leaves the rest to the training step.
        torch.set_num_threads(1)
        try:
            while not self._stop.is_set():
                self._put(self._cut(drawn))
                drawn += self._batch // self._crops
        except BaseException as error:  # handed to the waiting step, which would otherwise wait for ever
            self._put(error)

    def _put(self, item: Window | BaseException) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=0.5)
            except queue.Full:
                continue

    def _cut(self, drawn: int) -> Window:
        clips = self._source(TRAINING_SEEDS + drawn, self._batch // self._crops, False)
        generator = torch.Generator().manual_seed(TRAINING_SEEDS + drawn)
        latest = clips.frames.shape[1] - self._frames
        starts = torch.randint(latest + 1, (self._batch,), generator=generator).tolist()
        cuts = [(i // self._crops, slice(start, start + self._frames)) for i, start in enumerate(starts)]
        return Window(
            torch.stack([clips.frames[clip, span] for clip, span in cuts]),
            torch.stack([clips.mask[clip, span] for clip, span in cuts]),
        )
