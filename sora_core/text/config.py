"""Settings of the text encoder."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..errors import SoraError


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """Sizes of the word table and of the trained transformer above it.

    Args:
        vocab_size, table_width: rows and columns of the frozen table; they follow from the table that was built.
        width: channels of the states handed to the denoiser.
        layers, heads: of the transformer; ``width / heads`` must be even (rotary pairs).
        max_tokens: longest prompt in word pieces, the leading begin token included.

    Raises:
        SoraError: sizes that do not fit together.
    """

    vocab_size: int
    table_width: int = 160
    width: int = 192
    layers: int = 2
    heads: int = 3
    max_tokens: int = 32

    def __post_init__(self) -> None:
        """Refuse sizes that no attention can be built from."""
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise SoraError(
                f"text width {self.width} over {self.heads} heads must give an even whole number of channels a head"
            )
        if min(self.vocab_size, self.table_width, self.layers + 1, self.max_tokens) < 1:
            raise SoraError("text sizes must be positive: vocab_size, table_width, layers (0 or more), max_tokens")

    @property
    def head_width(self) -> int:
        """Channels of one head."""
        return self.width // self.heads

    @property
    def hidden(self) -> int:
        """Channels inside the gated feed-forward: 8/3 of the width, rounded up to 64 (SwiGLU, Shazeer 2020)."""
        return -(-self.width * 8 // (3 * 64)) * 64
