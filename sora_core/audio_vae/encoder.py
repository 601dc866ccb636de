"""Sound to latents."""

# B batch, S samples, L spectra, F frequencies, D features, A latents, C latent channels

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .config import AudioVAEConfig
from .layers import ConvNeXtBlock, Gather, Spectrum, StreamCache


class AudioEncoder(nn.Module):
    """Turn samples into the mean and log-variance of each latent.

    A latent sees its own 640 samples, at most 560 later ones and some 200 ms of the past, so that a sound changes
    no latent that ends more than 35 ms before it.
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
        width, out = config.encoder_width, config.decoder_width
        sizes = {"expansion": config.expansion, "kernel": config.kernel}
        self.compression = config.compression
        self.spectrum = Spectrum(n_fft=config.n_fft, hop=config.hop, device=device)
        self.embed = operations.Linear(2 * config.bins, width, device=device, dtype=dtype)
        self.frame_blocks = nn.ModuleList(
            ConvNeXtBlock(width, lookahead=config.encoder_lookahead, **sizes, **made)
            for _ in range(config.encoder_blocks)
        )
        self.gather = Gather(config.frames_per_latent)
        self.join = operations.Linear(width * config.frames_per_latent, out, device=device, dtype=dtype)
        self.latent_blocks = nn.ModuleList(
            ConvNeXtBlock(out, lookahead=0, **sizes, **made) for _ in range(config.latent_blocks_in)
        )
        self.norm = operations.LayerNorm(out, device=device, dtype=dtype)
        self.head = operations.Linear(out, 2 * config.latent_channels, device=device, dtype=dtype)

    def forward(self, audio_BS: Tensor, cache: StreamCache) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, float32 ``[B, A, C]``, of the latents that are ready."""
        spectra_BLF = self.spectra(audio_BS, cache)
        seen_BLD = torch.cat((spectra_BLF.real, spectra_BLF.imag), dim=-1)
        x_BLD = self.embed(seen_BLD.to(self.embed.weight.dtype))
        for block in self.frame_blocks:
            x_BLD = block(x_BLD, cache)
        x_BAD = self.join(self.gather(x_BLD, cache))
        for block in self.latent_blocks:
            x_BAD = block(x_BAD, cache)
        mean_BAC, log_variance_BAC = self.head(self.norm(x_BAD)).float().chunk(2, dim=-1)
        return mean_BAC, log_variance_BAC.clamp(-12, 4)

    def spectra(self, audio_BS: Tensor, cache: StreamCache) -> Tensor:
        """Return the spectra that are ready, loudness compressed and phase kept, complex64 ``[B, L, F]``."""
        spectra_BLF = self.spectrum(audio_BS.float(), cache)
        energy_BLF = spectra_BLF.real.square() + spectra_BLF.imag.square()
        # The small constant keeps silence at an exact zero with a finite slope.
        return spectra_BLF * (energy_BLF + 1e-6) ** ((self.compression - 1) / 2)
