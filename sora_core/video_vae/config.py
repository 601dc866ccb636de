"""Sizes of the video VAE."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..errors import SoraError
from ..types import VIDEO_CHANNELS


@dataclass(frozen=True, kw_only=True)
class VideoVAEConfig(Config):
    """Widths and depths of encoder and decoder; the ratios (x8 space, x4 time) are fixed by `sora_core.types`.

    The defaults are our own decision: about 14 GFLOP for encoding and decoding 64x64x25, split so that a CPU trains
    them fastest (no level is so narrow that its convolutions run far below the peak).

    Args:
        latent_channels: channels of the latent.
        pixel_width: channels at a quarter of the picture's size (both halves, per frame).
        encoder_width: channels of the encoder at an eighth, per latent frame.
        decoder_width: channels of the decoder at an eighth, per latent frame.
        frame_width: channels of the decoder at an eighth, per frame.
        encoder_pixel_blocks, encoder_blocks: residual blocks at a quarter and at an eighth.
        decoder_blocks, decoder_frame_blocks, decoder_pixel_blocks: residual blocks per latent frame, per frame at an
            eighth, per frame at a quarter.

    Raises:
        SoraError: a size below one.
    """

    latent_channels: int = VIDEO_CHANNELS
    pixel_width: int = 64
    encoder_width: int = 192
    decoder_width: int = 256
    frame_width: int = 192
    encoder_pixel_blocks: int = 1
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    decoder_frame_blocks: int = 2
    decoder_pixel_blocks: int = 2

    def __post_init__(self) -> None:
        """Refuse sizes that leave a level without channels or blocks."""
        for name, value in self.to_dict().items():
            if value < 1:
                raise SoraError(f"{name} {value} must be 1 or more, for example {type(self).__dict__[name]}")


def tiny() -> VideoVAEConfig:
    """Return the smallest useful sizes, for tests."""
    return VideoVAEConfig(
        pixel_width=8,
        encoder_width=16,
        decoder_width=16,
        frame_width=16,
        encoder_blocks=1,
        decoder_blocks=1,
        decoder_frame_blocks=1,
        decoder_pixel_blocks=1,
    )
