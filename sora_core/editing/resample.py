"""Sound at another rate and number of channels, by FFmpeg's resampler."""

# C sound channels, S samples

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LAYOUTS = {1: "mono", 2: "stereo"}


def resample(sound: Tensor, rate: int, wanted: int, *, channels: int) -> Tensor:
    """Return sound at ``wanted`` samples a second.

    Args:
        sound: float32 ``[C, S]``, C 1 or 2, at ``rate``.
        channels: 1 mixes two channels to their mean; 2 gives both the same.

    Returns:
        float32 ``[channels, round(S * wanted / rate)]``. Nothing is touched where nothing changes.
    """
    if sound.shape[0] != channels:
        sound = sound.mean(0, keepdim=True).expand(channels, -1)
    if rate == wanted or not sound.shape[1]:
        return sound
    import av

    length = round(sound.shape[1] * wanted / rate)
    layout = LAYOUTS[channels]
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=wanted)
    frame = av.AudioFrame.from_ndarray(sound.contiguous().numpy(), format="fltp", layout=layout)
    frame.sample_rate = rate
    parts: list[Any] = [*resampler.resample(frame), *resampler.resample(None)]
    made = torch.cat([torch.from_numpy(part.to_ndarray()) for part in parts], 1)
    return torch.nn.functional.pad(made, (0, max(0, length - made.shape[1])))[:, :length]
