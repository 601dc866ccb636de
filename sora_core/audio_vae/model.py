"""The audio autoencoder: 16 kHz sound to 25 latents per second and back."""

# B batch, S samples, A latents, C latent channels

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SoraError
from ..types import SAMPLES_PER_LATENT
from .config import AudioVAEConfig
from .decoder import AudioDecoder
from .encoder import AudioEncoder
from .layers import StreamCache


class AudioVAE(nn.Module):
    """Encode sound to normalised latents and decode it again, whole or piece by piece with the same result.

    Args:
        config: sizes.
        operations: namespace that supplies Linear, Conv1d and LayerNorm; ``torch.nn`` or a host's own.
        device, dtype: of the weights. The Fourier transforms always run in float32.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        config: AudioVAEConfig,
        *,
        operations: Any = nn,  # noqa: ANN401  a module or a class used as a namespace
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Build encoder, decoder and the latents' mean and standard deviation (0 and 1 until measured)."""
        super().__init__()
        self.config = config
        self.encoder = AudioEncoder(config, operations=operations, device=device, dtype=dtype)
        self.decoder = AudioDecoder(config, operations=operations, device=device, dtype=dtype)
        channels = config.latent_channels
        self.register_buffer("latent_mean", torch.zeros(channels, device=device, dtype=torch.float32))
        self.register_buffer("latent_std", torch.ones(channels, device=device, dtype=torch.float32))

    def encode(self, audio_BS: Tensor) -> Tensor:
        """Return the normalised latent means of a whole clip.

        Args:
            audio_BS: float in [-1, 1], 16 kHz mono; padded with silence to a multiple of 640 samples.

        Returns:
            float32 ``[B, C, A, 1]`` with ``A = ceil(S / 640)``.

        Raises:
            SoraError: not two axes, or no samples.
        """
        return self.encode_chunk(audio_BS, StreamCache(), final=True)

    def decode(self, latent_BCA1: Tensor) -> Tensor:
        """Return float32 samples ``[B, A * 640]``, nominally in [-1, 1], of normalised latents ``[B, C, A, 1]``.

        Raises:
            SoraError: another shape.
        """
        return self.decode_chunk(latent_BCA1, StreamCache(), final=True)

    def encode_chunk(self, audio_BS: Tensor, cache: StreamCache, *, final: bool) -> Tensor:
        """Encode the next piece of a stream; ``cache`` starts as ``StreamCache()`` and is changed in place.

        Args:
            audio_BS: as for ``encode``; a multiple of 640 samples unless ``final``.
            cache: one per stream, not shared between encoding and decoding.
            final: no piece follows. Latents that waited for later sound come out now.

        Returns:
            float32 ``[B, C, A', 1]``, the latents that are ready; A' may be 0.

        Raises:
            SoraError: not two axes, no samples, or an inner piece that is not a multiple of 640.
        """
        if audio_BS.ndim != 2 or not audio_BS.shape[1]:
            raise SoraError(f"audio of shape {tuple(audio_BS.shape)} must be [clips, samples] with at least one sample")
        missing = -audio_BS.shape[1] % SAMPLES_PER_LATENT
        if missing and not final:
            raise SoraError(
                f"a streamed piece of {audio_BS.shape[1]} samples must be a multiple of {SAMPLES_PER_LATENT}"
            )
        cache.final = final
        mean_BAC, _ = self.encoder(F.pad(audio_BS, (0, missing)), cache)
        normal_BAC = (mean_BAC - self.latent_mean.float()) / self.latent_std.float()
        return normal_BAC.transpose(1, 2).unsqueeze(-1)

    def decode_chunk(self, latent_BCA1: Tensor, cache: StreamCache, *, final: bool) -> Tensor:
        """Decode the next piece of a stream; the other direction of ``encode_chunk``, with a cache of its own.

        Returns:
            float32 ``[B, S']``, the samples that are ready; the first piece yields fewer than 640 per latent (the
            decoder looks some 185 ms ahead) and the final piece makes up for it.

        Raises:
            SoraError: a latent that is not ``[B, C, A, 1]`` with at least one A.
        """
        channels = self.config.latent_channels
        if latent_BCA1.ndim != 4 or latent_BCA1.shape[1] != channels or latent_BCA1.shape[3] != 1:
            raise SoraError(f"audio latent of shape {tuple(latent_BCA1.shape)} must be [clips, {channels}, latents, 1]")
        if not latent_BCA1.shape[2]:
            raise SoraError("audio latent is empty; it needs at least one latent (40 ms)")
        cache.final = final
        latent_BAC = latent_BCA1.squeeze(-1).transpose(1, 2).float()
        return self.decoder(latent_BAC * self.latent_std.float() + self.latent_mean.float(), cache)

    def encode_stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield latents ``[B, C, A', 1]`` while sound ``[B, S']`` comes in; joined they equal ``encode`` of it all."""
        cache = StreamCache()
        for piece_BS, final in _with_last(pieces):
            latent_BCA1 = self.encode_chunk(piece_BS, cache, final=final)
            if latent_BCA1.shape[2]:
                yield latent_BCA1

    def decode_stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield samples ``[B, S']`` while latents ``[B, C, A', 1]`` come in; joined they equal ``decode``."""
        cache = StreamCache()
        for piece_BCA1, final in _with_last(pieces):
            audio_BS = self.decode_chunk(piece_BCA1, cache, final=final)
            if audio_BS.shape[1]:
                yield audio_BS


def _with_last(pieces: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Yield each piece with whether it is the last."""
    waiting: Tensor | None = None
    for piece in pieces:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    if waiting is not None:
        yield waiting, True
