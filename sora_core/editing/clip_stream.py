"""A clip that is decoded while it is read, as a film that is made while it is read."""

# F frames, S samples

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from ..media.mp4 import limited
from ..types import SAMPLE_RATE
from .film import FilmStream, Piece, samples_at

if TYPE_CHECKING:
    from ..pipeline import ClipStream


def stream_of(clip: ClipStream) -> FilmStream:
    """Return a clip's frames with the sound of their time; what is too loud is turned down as a whole.

    Raises:
        SoraError: the sound holds values that are not numbers.
    """
    sound_S = None if clip.audio is None else torch.from_numpy(limited(clip.audio.numpy()))

    def pieces() -> Iterator[Piece]:
        frames = sent = 0
        for chunk_FHWC in clip.frames:
            frames += len(chunk_FHWC)
            until = samples_at(frames, clip.fps, SAMPLE_RATE)
            if sound_S is not None and frames == clip.num_frames:
                until = len(sound_S)
            yield Piece(chunk_FHWC, None if sound_S is None else sound_S[None, sent:until])
            sent = until

    return FilmStream(
        pieces=pieces(),
        num_frames=clip.num_frames,
        width=clip.width,
        height=clip.height,
        fps=clip.fps,
        sample_rate=SAMPLE_RATE,
        channels=0 if sound_S is None else 1,
    )
