"""The layers that encoder and decoder share.

Every activation is [N, C, H, W] in channels-last memory with N = batch x time, so that space runs as plain 2-D
convolutions and the moves between space, time and channels are single copies.
"""

# B batch, T time steps, N = B T, C channels, H W height and width, P = H W, s space factor, t time factor

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

StreamCache = dict[int, Tensor]
"""What streaming carries from one chunk to the next: the last steps seen by each temporal block, by its index. Empty
before the first chunk."""

TAPS = 3
"""Kernel of the causal temporal convolutions, in time steps."""

EPSILON = 1e-4


class PixelNorm(nn.Module):
    """Divide each pixel by the root mean square of its channels, then scale by a learnt gain.

    Nothing is pooled over space or time: statistics over time would make a streamed clip differ from a whole one.

    Source: RMSNorm (arXiv 1910.07467), per pixel as in ProGAN (arXiv 1710.10196).
    """

    def __init__(
        self, channels: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the normalised tensor in the input's dtype."""
        # The two-kernel form: torch's rms_norm has no fused CPU kernel and trains three times slower here.
        norm_N1HW = torch.linalg.vector_norm(x_NCHW, dim=1, keepdim=True)
        scale_N1HW = x_NCHW.shape[1] ** 0.5 / (norm_N1HW + EPSILON)
        gain_C11 = self.weight.to(x_NCHW.dtype)[:, None, None]
        return x_NCHW * scale_N1HW * gain_C11


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions on each time step alone; starts as the identity (second convolution at zero)."""

    def __init__(
        self,
        channels: int,
        *,
        operations: ModuleType | type,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = PixelNorm(channels, device=device, dtype=dtype)
        self.conv1 = operations.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        self.norm2 = PixelNorm(channels, device=device, dtype=dtype)
        self.conv2 = operations.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return ``x`` plus the branch, same shape."""
        h_NCHW = self.conv1(F.silu(self.norm1(x_NCHW)))
        return x_NCHW + self.conv2(F.silu(self.norm2(h_NCHW)))


class TemporalBlock(nn.Module):
    """One causal convolution over time at each pixel, as a residual; starts as the identity.

    The convolution is 2-D over (time, pixels) with kernel (3, 1): channels-last [N, H, W, C] is the same memory as
    channels-last [B, T, H W, C], so no transpose is needed. Before the first step the first step is repeated.

    Args:
        index: key of this block in the stream cache, unique within a model half.
    """

    def __init__(
        self,
        channels: int,
        *,
        index: int,
        operations: ModuleType | type,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.index = index
        self.norm = PixelNorm(channels, device=device, dtype=dtype)
        self.conv = operations.Conv2d(channels, channels, (TAPS, 1), device=device, dtype=dtype)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x_NCHW: Tensor, batch: int, cache: StreamCache | None) -> Tensor:
        """Return ``x`` plus the branch; with a cache, continue from the previous chunk and update it."""
        n, c, height, width = x_NCHW.shape
        h_NHWC = F.silu(self.norm(x_NCHW)).permute(0, 2, 3, 1)
        h_BTPC = h_NHWC.reshape(batch, n // batch, height * width, c)
        past = None if cache is None else cache.get(self.index)
        past_B2PC = h_BTPC[:, :1].expand(-1, TAPS - 1, -1, -1) if past is None else past
        h_BTPC = torch.cat([past_B2PC, h_BTPC], dim=1)
        if cache is not None:
            # A clone, or the cache would keep the whole chunk's memory alive.
            cache[self.index] = h_BTPC[:, 1 - TAPS :].clone()
        y_BCTP = self.conv(h_BTPC.permute(0, 3, 1, 2))
        y_NHWC = y_BCTP.permute(0, 2, 3, 1).reshape(n, height, width, c)
        return x_NCHW + y_NHWC.permute(0, 3, 1, 2)


def fold(x_NCHW: Tensor, space: int, time: int = 1) -> Tensor:
    """Move ``space`` x ``space`` pixels of ``time`` consecutive steps into channels (channels-last result).

    Returns:
        ``[N / time, time * space^2 * C, H / space, W / space]``.
    """
    n, c, height, width = x_NCHW.shape
    x = x_NCHW.permute(0, 2, 3, 1).reshape(n // time, time, height // space, space, width // space, space, c)
    x = x.permute(0, 2, 4, 1, 3, 5, 6).reshape(n // time, height // space, width // space, time * space * space * c)
    return x.permute(0, 3, 1, 2)


def unfold(x_NCHW: Tensor, space: int, time: int = 1) -> Tensor:
    """Undo `fold`: ``[N time, C / (time space^2), H space, W space]``, channels-last."""
    n, c, height, width = x_NCHW.shape
    channels = c // (time * space * space)
    x = x_NCHW.permute(0, 2, 3, 1).reshape(n, height, width, time, space, space, channels)
    x = x.permute(0, 3, 1, 4, 2, 5, 6).reshape(n * time, height * space, width * space, channels)
    return x.permute(0, 3, 1, 2)
