"""How the host treats our latents: their channels, and previews without a decoder."""

# B batch, C channels, T latent frames, H W latent cells

from __future__ import annotations

import comfy.latent_formats
import torch
from torch import Tensor

from ...sora_core.types import AUDIO_CHANNELS, SPATIAL_RATIO, TEMPORAL_RATIO, VIDEO_CHANNELS

RGB_FACTORS = (
    (-0.0323, 0.0865, 0.1639),
    (0.0106, -0.0207, -0.0217),
    (-0.0474, 0.0459, 0.0062),
    (-0.0110, 0.0486, -0.0201),
    (-0.0004, -0.0023, 0.0358),
    (0.0238, 0.0001, -0.0077),
    (-0.0307, -0.0259, -0.0297),
    (-0.1159, -0.0705, -0.1699),
    (-0.0194, -0.0378, -0.0455),
    (0.0058, -0.0138, -0.0101),
    (0.1415, 0.0951, 0.0630),
    (0.0256, -0.0124, -0.0083),
    (0.1652, 0.2034, 0.0494),
    (0.0543, 0.0490, 0.0069),
    (0.0078, -0.0201, 0.0547),
    (-0.0381, -0.1086, -0.0594),
)
"""Red, green and blue in [-1, 1] per latent channel, with `RGB_BIAS`: least squares on 48 rendered clips, against
their frames at an eighth of the size; 21 dB on 48 others."""

RGB_BIAS = (0.0306, 0.0199, -0.0042)

FILMSTRIP = 4
"""Frames that a preview shows side by side."""


class SoraLatentFormat(comfy.latent_formats.LatentFormat):
    """Latents come normalised from our VAEs, so nothing is scaled on the way in or out.

    ``latent_channels`` is the larger of the two streams' (wrappers cut both to it); an empty latent of ours or of
    another 16-channel video family is given back with the video's own.
    """

    latent_channels = max(VIDEO_CHANNELS, AUDIO_CHANNELS)
    latent_dimensions = 3
    spacial_downscale_ratio = SPATIAL_RATIO
    temporal_downscale_ratio = TEMPORAL_RATIO

    def __init__(self) -> None:
        self.latent_rgb_factors = [list(row) for row in RGB_FACTORS]
        self.latent_rgb_factors_bias = list(RGB_BIAS)
        self.latent_rgb_factors_reshape = filmstrip

    def fix_empty_latent(self, latent: Tensor) -> Tensor:
        """Return an all-zero video latent with 16 channels; a plain 5D latent makes no sound."""
        return latent[:, :VIDEO_CHANNELS]


def filmstrip(latent_BCTHW: Tensor) -> Tensor:
    """Return frames spread over the clip side by side, ``[B, C, H, n W]``, so that a preview shows the motion."""
    if latent_BCTHW.ndim != 5:
        return latent_BCTHW
    frames = latent_BCTHW.shape[2]
    shown = torch.linspace(0, frames - 1, min(FILMSTRIP, frames)).round().long().tolist()
    return torch.cat([latent_BCTHW[:, :, frame] for frame in shown], -1)
