"""From frames to the mean and log variance of the latent."""

# B batch, F frames (a multiple of 4 here), T = F / 4 latent frames, H W pixels, h w = H / 8, W / 8, N batch x time

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import SPATIAL_RATIO, TEMPORAL_RATIO
from .config import VideoVAEConfig
from .layers import PixelNorm, ResidualBlock, StreamCache, TemporalBlock, fold

PIXEL_FOLD = 4
"""Pixels moved into channels before the first convolution, each way."""

INITIAL_LOG_VARIANCE = -6.0
"""A unit variance at the start would drown the signal for the first hundreds of steps."""


class Encoder(nn.Module):
    """Causal encoder: per frame at a quarter of the size, then per group of four frames at an eighth."""

    def __init__(
        self,
        config: VideoVAEConfig,
        *,
        operations: ModuleType | type = nn,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        pixel, width = config.pixel_width, config.encoder_width
        rest = SPATIAL_RATIO // PIXEL_FOLD
        self.stem = operations.Conv2d(3 * PIXEL_FOLD**2, pixel, 3, padding=1, **made)
        self.pixel_blocks = nn.ModuleList(
            ResidualBlock(pixel, operations=operations, **made) for _ in range(config.encoder_pixel_blocks)
        )
        self.down = operations.Conv2d(pixel * rest**2 * TEMPORAL_RATIO, width, 1, **made)
        self.blocks = nn.ModuleList(
            ResidualBlock(width, operations=operations, **made) for _ in range(config.encoder_blocks)
        )
        self.temporal = TemporalBlock(width, index=0, operations=operations, **made)
        self.norm = PixelNorm(width, **made)
        self.head = operations.Conv2d(width, 2 * config.latent_channels, 3, padding=1, **made)
        with torch.no_grad():
            self.head.bias.zero_()
            self.head.bias[config.latent_channels :].fill_(INITIAL_LOG_VARIANCE)

    def forward(self, frames_B3FHW: Tensor, cache: StreamCache | None) -> tuple[Tensor, Tensor]:
        """Encode whole groups of four frames.

        Returns:
            Mean and log variance, each ``[B, C, T, h, w]``.
        """
        batch, _, frames, height, width = frames_B3FHW.shape
        x_NCHW = frames_B3FHW.permute(0, 2, 1, 3, 4).reshape(batch * frames, 3, height, width)
        h_NCHW = self.stem(fold(x_NCHW, PIXEL_FOLD))
        for block in self.pixel_blocks:
            h_NCHW = block(h_NCHW)
        h_NCHW = self.down(fold(h_NCHW, SPATIAL_RATIO // PIXEL_FOLD, TEMPORAL_RATIO))
        # The temporal block sits after the first spatial one, so that what it sees has already moved sideways.
        for i, block in enumerate(self.blocks):
            h_NCHW = block(h_NCHW)
            if i == 0:
                h_NCHW = self.temporal(h_NCHW, batch, cache)
        moments_NCHW = self.head(F.silu(self.norm(h_NCHW)))
        moments = moments_NCHW.unflatten(0, (batch, -1)).transpose(1, 2)
        mean, log_variance = moments.chunk(2, dim=1)
        return mean, log_variance.clamp(-20.0, 4.0)
