"""Sound files, and the sound of clips, as tracks that a film can be made to."""

# C sound channels, S samples

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..editing.canvas import Track
from ..errors import SoraError
from ..request import MAX_SECONDS
from .film_file import FileFilm
from .source import Source, decode, picture_of, require_sound, sound_of


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A `Track` in memory. wave: float32 ``[C, S]`` in [-1, 1], C 1 or 2. sample_rate: samples per second."""

    wave: Tensor
    sample_rate: int

    @property
    def channels(self) -> int:
        """Channels."""
        return self.wave.shape[0]

    def sound(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return samples ``start`` to ``stop``; silence where there are no more."""
        stop = self.wave.shape[1] if stop is None else stop
        piece = self.wave[:, start:stop]
        return torch.nn.functional.pad(piece, (0, stop - start - piece.shape[1]))


def read_track(path: Path) -> Track:
    """Return a clip as a track, or read a file that holds sound alone.

    Raises:
        SoraError: it is missing, cannot be read, is silent, or longer than a film may be.
    """
    require_sound(path)
    with Source(path).opened() as container:
        if picture_of(container) is None:
            return _read(container, sound_of(container), path)
    return FileFilm(path)


def _read(container: Any, voice: Any, path: Path) -> Sound:  # noqa: ANN401
    import av

    rate: int = voice.codec_context.sample_rate
    resampler = av.AudioResampler(format="fltp", layout="mono" if voice.codec_context.channels == 1 else "stereo")
    parts: list[NDArray[np.float32]] = []
    samples = 0
    for frame in decode(container, voice):
        for part in resampler.resample(frame):
            wave: Any = part.to_ndarray()
            parts.append(wave)
            samples += wave.shape[1]
        if samples > MAX_SECONDS * rate:
            raise SoraError(f"{path} is longer than {MAX_SECONDS:g} s; cut it into several")
    if not samples:
        raise SoraError(f"{path} holds no sound that can be read; name a whole file with sound")
    return Sound(wave=torch.from_numpy(np.concatenate(parts, 1)), sample_rate=rate)
