"""From the latent to frames."""

# B batch, T latent frames, F = 4 T frames, h w latent cells, H W = 8 h, 8 w pixels, N batch x time

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import SPATIAL_RATIO, TEMPORAL_RATIO
from .config import VideoVAEConfig
from .encoder import PIXEL_FOLD
from .layers import PixelNorm, ResidualBlock, StreamCache, TemporalBlock, unfold


class Decoder(nn.Module):
    """Causal decoder: blocks per latent frame, then per frame at an eighth, then per frame at a quarter."""

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
        width, frame, pixel = config.decoder_width, config.frame_width, config.pixel_width
        rest = SPATIAL_RATIO // PIXEL_FOLD

        def blocks(channels: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(channels, operations=operations, **made) for _ in range(count))

        def temporal(channels: int, count: int, first: int) -> nn.ModuleList:
            return nn.ModuleList(
                TemporalBlock(channels, index=first + i, operations=operations, **made) for i in range(count)
            )

        self.stem = operations.Conv2d(config.latent_channels, width, 3, padding=1, **made)
        self.temporal = temporal(width, config.decoder_blocks, 0)
        self.blocks = blocks(width, config.decoder_blocks)
        self.expand = operations.Conv2d(width, TEMPORAL_RATIO * frame, 1, **made)
        self.frame_temporal = temporal(frame, 1, config.decoder_blocks)
        self.frame_blocks = blocks(frame, config.decoder_frame_blocks)
        self.up = operations.Conv2d(frame, rest**2 * pixel, 1, **made)
        self.pixel_blocks = blocks(pixel, config.decoder_pixel_blocks)
        self.norm = PixelNorm(pixel, **made)
        self.head = operations.Conv2d(pixel, 3 * PIXEL_FOLD**2, 3, padding=1, **made)

    def forward(self, latent_BCThw: Tensor, cache: StreamCache | None) -> Tensor:
        """Decode each latent frame to four frames ``[B, 3, 4 T, H, W]``, about in [-1, 1] and not clamped."""
        batch = latent_BCThw.shape[0]
        h_NCHW = latent_BCThw.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)
        h_NCHW = self.stem(h_NCHW)
        for temporal, block in zip(self.temporal, self.blocks, strict=True):
            h_NCHW = block(temporal(h_NCHW, batch, cache))
        h_NCHW = unfold(self.expand(h_NCHW), 1, TEMPORAL_RATIO)
        for i, block in enumerate(self.frame_blocks):
            h_NCHW = block(h_NCHW)
            if i == 0:
                h_NCHW = self.frame_temporal[0](h_NCHW, batch, cache)
        h_NCHW = unfold(self.up(h_NCHW), SPATIAL_RATIO // PIXEL_FOLD)
        for block in self.pixel_blocks:
            h_NCHW = block(h_NCHW)
        frames_NCHW = unfold(self.head(F.silu(self.norm(h_NCHW))), PIXEL_FOLD)
        return frames_NCHW.unflatten(0, (batch, -1)).transpose(1, 2)
