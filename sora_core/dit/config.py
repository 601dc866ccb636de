"""Sizes of the diffusion transformer; every preset runs the same code."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..errors import SoraError


@dataclass(frozen=True, kw_only=True)
class DiTConfig(Config):
    """Configuration of `DiT`.

    Args:
        width: residual width D.
        layers: number of blocks L.
        heads: attention heads; ``width / heads`` is the head size, a multiple of 8.
        hidden: inner width of SwiGLU.
        text_width: width of the text encoder's states.
        video_channels, audio_channels: latent channels.
        patch: latent cells per token, each way (time is not patched).
        modulation_width: bottleneck of the shared modulation network.
        rope_base: ratio of the slowest to the fastest rotation on each axis (50 in our probe; small, because tokens
            are few).

    Raises:
        SoraError: heads do not divide the width, or the head size is not a multiple of 8.
    """

    width: int
    layers: int
    heads: int
    hidden: int
    text_width: int = 192
    video_channels: int = 16
    audio_channels: int = 32
    patch: int = 2
    modulation_width: int = 128
    rope_base: float = 50.0

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be split into heads and rotary axes."""
        if self.width % self.heads or self.head_size % 8:
            raise SoraError(
                f"width {self.width} over {self.heads} heads gives heads of {self.width / self.heads:g}; "
                "choose them so that a head is a multiple of 8 wide"
            )

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


def micro(text_width: int = 192) -> DiTConfig:
    """Return the preset for two CPU cores, about 8 M parameters."""
    return DiTConfig(width=256, layers=10, heads=4, hidden=704, text_width=text_width)


def nano(text_width: int = 192) -> DiTConfig:
    """Return the preset for one GPU run, about 21 M parameters."""
    return DiTConfig(width=384, layers=12, heads=6, hidden=1024, text_width=text_width)


def small(text_width: int = 192) -> DiTConfig:
    """Return a preset of about 113 M parameters."""
    return DiTConfig(width=768, layers=16, heads=6, hidden=2048, text_width=text_width)


def base(text_width: int = 192) -> DiTConfig:
    """Return a preset of about 680 M parameters."""
    return DiTConfig(width=1536, layers=24, heads=12, hidden=4096, text_width=text_width)


def two_billion(text_width: int = 192) -> DiTConfig:
    """Return the preset ``2b``, about 2.5 G parameters."""
    return DiTConfig(width=2560, layers=32, heads=20, hidden=6912, text_width=text_width)


PRESETS = {"micro": micro, "nano": nano, "small": small, "base": base, "2b": two_billion}
"""Preset functions by name."""
