"""Latents to sound."""

# B batch, A latents, C latent channels, L spectra, F frequencies, D features, S samples

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .config import AudioVAEConfig
from .layers import ConvNeXtBlock, OverlapAdd, StreamCache


class AudioDecoder(nn.Module):
    """Turn latents into spectra, real and imaginary parts of compressed loudness, and those into samples.

    Source: Vocos, but for its head. A magnitude and a phase are learned together only when an adversary keeps the
    magnitude up: with the waveform as the target, magnitudes fell to silence before any phase was found. Real and
    imaginary parts have no such trap; compressed as the encoder's input is, faint partials weigh enough to be
    learned and silence is reached exactly.
    """

    def __init__(
        self,
        config: AudioVAEConfig,
        *,
        operations: Any = nn,  # noqa: ANN401  a module or a class used as a namespace
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Build the layers; ``operations`` supplies Linear, Conv1d and LayerNorm."""
        super().__init__()
        made = {"operations": operations, "device": device, "dtype": dtype}
        width = config.decoder_width
        sizes = {"expansion": config.expansion, "kernel": config.kernel}
        self.frames_per_latent = config.frames_per_latent
        self.expansion = (1 / config.compression - 1) / 2
        self.embed = operations.Linear(config.latent_channels, width, device=device, dtype=dtype)
        self.latent_blocks = nn.ModuleList(
            ConvNeXtBlock(width, lookahead=config.latent_lookahead, **sizes, **made)
            for _ in range(config.latent_blocks_out)
        )
        self.split = operations.Linear(width, width * config.frames_per_latent, device=device, dtype=dtype)
        self.frame_blocks = nn.ModuleList(
            ConvNeXtBlock(width, lookahead=config.decoder_lookahead, **sizes, **made)
            for _ in range(config.decoder_blocks)
        )
        self.norm = operations.LayerNorm(width, device=device, dtype=dtype)
        self.head = operations.Linear(width, 2 * config.bins, device=device, dtype=dtype)
        self.overlap_add = OverlapAdd(n_fft=config.n_fft, hop=config.hop, device=device)

    def forward(self, latent_BAC: Tensor, cache: StreamCache) -> Tensor:
        """Return the samples that are ready, float32 ``[B, S]``; the bounds of [-1, 1] are not enforced."""
        return self.synthesise(self.spectra(latent_BAC, cache), cache)

    def spectra(self, latent_BAC: Tensor, cache: StreamCache) -> Tensor:
        """Return the compressed spectra that are ready, complex64 ``[B, L, F]``."""
        x_BAD = self.embed(latent_BAC.to(self.embed.weight.dtype))
        for block in self.latent_blocks:
            x_BAD = block(x_BAD, cache)
        x_BLD = self.split(x_BAD).unflatten(2, (self.frames_per_latent, -1)).flatten(1, 2)
        for block in self.frame_blocks:
            x_BLD = block(x_BLD, cache)
        return torch.complex(*self.head(self.norm(x_BLD)).float().chunk(2, dim=-1))

    def synthesise(self, spectra_BLF: Tensor, cache: StreamCache) -> Tensor:
        """Return the samples, float32 ``[B, S]``, of compressed spectra."""
        energy_BLF = spectra_BLF.real.square() + spectra_BLF.imag.square()
        return self.overlap_add(spectra_BLF * (energy_BLF + 1e-8) ** self.expansion, cache)
