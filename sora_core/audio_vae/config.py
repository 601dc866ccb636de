"""Settings of the audio autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..errors import SoraError
from ..types import AUDIO_CHANNELS, SAMPLES_PER_LATENT


@dataclass(frozen=True, kw_only=True)
class AudioVAEConfig(Config):
    """Sizes of the audio autoencoder; one latent always stands for 640 samples (40 ms at 16 kHz).

    Args:
        latent_channels: channels of a latent.
        n_fft, hop: samples of a spectrum's window and between two spectra; ``hop`` divides both 640 and ``n_fft``.
        compression: power that a spectrum's magnitude is raised to before the encoder sees it, in (0, 1].
        encoder_width, decoder_width: features of a frame.
        encoder_blocks, decoder_blocks: ConvNeXt blocks at 100 frames per second.
        latent_blocks_in, latent_blocks_out: ConvNeXt blocks at 25 latents per second, in encoder and decoder.
        expansion: hidden features of a block per feature.
        kernel: odd number of frames that a block's depthwise convolution sees.
        encoder_lookahead, decoder_lookahead: how many of those lie in the future, in each 100 Hz block.
        latent_lookahead: the same in each of the decoder's 25 Hz blocks (the encoder's have none).

    Raises:
        SoraError: sizes that do not divide, or a look-ahead longer than the kernel.

    Source: Vocos (Siuzdak 2023) for ConvNeXt blocks over spectra and an inverse-transform head; the sizes are ours,
    chosen for two million parameters and 0.3 GFLOP per second of audio.
    """

    latent_channels: int = AUDIO_CHANNELS
    n_fft: int = 640
    hop: int = 160
    compression: float = 0.5
    encoder_width: int = 144
    decoder_width: int = 192
    encoder_blocks: int = 2
    latent_blocks_in: int = 1
    latent_blocks_out: int = 2
    decoder_blocks: int = 3
    expansion: int = 2
    kernel: int = 7
    encoder_lookahead: int = 1
    decoder_lookahead: int = 3
    latent_lookahead: int = 1

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        if SAMPLES_PER_LATENT % self.hop or self.n_fft % self.hop or (self.n_fft - self.hop) % 2:
            raise SoraError(
                f"hop {self.hop} must divide {SAMPLES_PER_LATENT} and n_fft {self.n_fft}, for example 160 and 640"
            )
        for name in ("encoder_lookahead", "decoder_lookahead", "latent_lookahead"):
            if not 0 <= getattr(self, name) < self.kernel:
                raise SoraError(f"{name} {getattr(self, name)} must be from 0 to {self.kernel - 1}")

    @property
    def frames_per_latent(self) -> int:
        """Spectra in one latent."""
        return SAMPLES_PER_LATENT // self.hop

    @property
    def bins(self) -> int:
        """Frequencies of a spectrum."""
        return self.n_fft // 2 + 1


def tiny() -> AudioVAEConfig:
    """Return sizes for tests: the same structure in about thirty thousand parameters."""
    return AudioVAEConfig(encoder_width=16, decoder_width=16, encoder_blocks=1, latent_blocks_out=1, decoder_blocks=1)


def base() -> AudioVAEConfig:
    """Return the sizes of the shipped model."""
    return AudioVAEConfig()
