"""The video VAE: whole clips, single images and streams."""

# B batch, C latent channels, F = 1 + 4 k frames, T = 1 + k latent frames, H W pixels, h w = H / 8, W / 8

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType

import torch
from torch import Tensor, nn

from ..errors import SoraError
from ..types import SPATIAL_RATIO, TEMPORAL_RATIO, frames_on_grid
from .config import VideoVAEConfig
from .decoder import Decoder
from .encoder import Encoder
from .layers import StreamCache

CHUNK = 8
"""Latent frames that `VideoVAE.encode` and `VideoVAE.decode` hold at a time; longer clips go through in chunks."""


class VideoVAE(nn.Module):
    """Causal autoencoder, x8 space and x4 time; the first frame alone is the first latent frame.

    The first frame is repeated three times in front, so that every latent frame covers four frames; the decoder drops
    those three again. No module keeps state: what a stream needs travels in one explicit cache, and a streamed clip
    equals the whole one. Causality and chunking follow Wan-VAE (arXiv 2503.20314, section 4.1); the layers are ours.

    Args:
        operations: namespace with the class ``Conv2d`` (``torch.nn``, or a host's own).
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        config: VideoVAEConfig,
        *,
        operations: ModuleType | type = nn,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, operations=operations, device=device, dtype=dtype)
        self.decoder = Decoder(config, operations=operations, device=device, dtype=dtype)
        # Float32 whatever the weights are: rounded statistics would shift every latent.
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels, device=device, dtype=torch.float32))
        self.register_buffer("latent_std", torch.ones(config.latent_channels, device=device, dtype=torch.float32))
        nn.utils.convert_conv2d_weight_memory_format(self, torch.channels_last)

    @property
    def _dtype(self) -> torch.dtype:
        return self.decoder.head.weight.dtype

    def set_latent_statistics(self, mean_C: Tensor, std_C: Tensor) -> None:
        """Set the raw latent's mean and standard deviation per channel, so that `encode` returns about unit scale.

        Raises:
            SoraError: a standard deviation that is not more than 0.
        """
        if not bool((std_C > 0).all()):
            raise SoraError(f"latent_std must be more than 0 in every channel, got {std_C.min().item():.3g}")
        self.latent_mean.copy_(mean_C)
        self.latent_std.copy_(std_C)

    def encode(self, frames_B3FHW: Tensor) -> Tensor:
        """Encode a clip or (F = 1) an image.

        Args:
            frames_B3FHW: float in [-1, 1]; F is ``1 + 4 k``, H and W multiples of 8.

        Returns:
            The normalised latent mean, ``[B, C, T, h, w]``.

        Raises:
            SoraError: a size off the grid.
        """
        frames = frames_B3FHW.shape[2]
        first = 1 + (CHUNK - 1) * TEMPORAL_RATIO
        sizes = [min(first, frames)]
        while sum(sizes) < frames:
            sizes.append(min(CHUNK * TEMPORAL_RATIO, frames - sum(sizes)))
        return torch.cat(list(self.encode_stream(frames_B3FHW.split(sizes, dim=2))), dim=2)

    def encode_stream(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Encode chunk by chunk: the first holds ``1 + 4 k`` frames, the later ones ``4 k``.

        Yields:
            One normalised latent chunk per frame chunk; together they equal `encode` of the whole clip.

        Raises:
            SoraError: a chunk off the grid.
        """
        cache: StreamCache = {}
        for index, chunk_B3FHW in enumerate(chunks):
            mean, _ = self.moments(chunk_B3FHW, cache, first=index == 0)
            shape = (1, -1, 1, 1, 1)
            yield ((mean - self.latent_mean.view(shape)) / self.latent_std.view(shape)).to(mean.dtype)

    def decode(self, latent_BCThw: Tensor) -> Tensor:
        """Decode a normalised latent to frames ``[B, 3, 1 + 4 (T - 1), 8 h, 8 w]``, about in [-1, 1], not clamped."""
        batch, _, frames, height, width = latent_BCThw.shape
        shape = (batch, 3, 1 + TEMPORAL_RATIO * (frames - 1), height * SPATIAL_RATIO, width * SPATIAL_RATIO)
        clip: Tensor | None = None
        done = 0
        for chunk in self.decode_stream(latent_BCThw.split(CHUNK, dim=2)):
            # Filled piece by piece: joining a list of chunks would hold the clip twice.
            clip = chunk.new_empty(shape) if clip is None else clip
            clip[:, :, done : done + chunk.shape[2]] = chunk
            done += chunk.shape[2]
        assert clip is not None
        return clip

    def decode_stream(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Decode chunk by chunk, each of one latent frame or more.

        Yields:
            One frame chunk per latent chunk (``1 + 4 (t - 1)`` frames first, then ``4 t``); together they equal
            `decode` of the whole latent.
        """
        cache: StreamCache = {}
        for index, chunk_BCThw in enumerate(chunks):
            shape = (1, -1, 1, 1, 1)
            raw = chunk_BCThw * self.latent_std.view(shape) + self.latent_mean.view(shape)
            yield self.reconstruct(raw.to(self._dtype), cache, first=index == 0)

    def moments(
        self, frames_B3FHW: Tensor, cache: StreamCache | None = None, *, first: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the raw (not normalised) latent, ``[B, C, T, h, w]`` each.

        Args:
            cache: carried from chunk to chunk, or None for a clip in one piece (training).
            first: whether the chunk starts the clip.

        Raises:
            SoraError: a size off the grid.
        """
        frames, height, width = frames_B3FHW.shape[2:]
        _check_grid(frames, height, width, first)
        x = frames_B3FHW.to(self._dtype)
        if first:
            x = torch.cat([x[:, :, :1].expand(-1, -1, TEMPORAL_RATIO - 1, -1, -1), x], dim=2)
        return self.encoder(x, cache)

    def reconstruct(self, raw_BCThw: Tensor, cache: StreamCache | None = None, *, first: bool = True) -> Tensor:
        """Decode a raw latent; ``cache`` and ``first`` as in `moments`."""
        frames_B3FHW = self.decoder(raw_BCThw, cache)
        return frames_B3FHW[:, :, TEMPORAL_RATIO - 1 :] if first else frames_B3FHW


def _check_grid(frames: int, height: int, width: int, first: bool) -> None:
    """Refuse a chunk that does not fill whole latent cells."""
    if first and (frames < 1 or (frames - 1) % TEMPORAL_RATIO):
        raise SoraError(f"frames {frames} must be 1 + a multiple of 4; the next is {frames_on_grid(frames)}")
    if not first and (frames < 1 or frames % TEMPORAL_RATIO):
        raise SoraError(f"frames {frames} of a later chunk must be a multiple of 4; cut the stream at multiples of 4")
    for name, value in (("height", height), ("width", width)):
        if value < 1 or value % SPATIAL_RATIO:
            nearest = max(SPATIAL_RATIO, round(value / SPATIAL_RATIO) * SPATIAL_RATIO)
            raise SoraError(f"{name} {value} must be a positive multiple of {SPATIAL_RATIO}; the nearest is {nearest}")
