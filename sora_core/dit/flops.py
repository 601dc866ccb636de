"""Count what one forward call of the transformer multiplies, in closed form."""

from __future__ import annotations

from typing import NamedTuple

from ..types import PATCH, ClipFormat
from .config import DiTConfig
from .model import DiT

SINUSOIDS = 256
"""Features of a noise level, see `modulation.sinusoids`."""


class TokenCount(NamedTuple):
    """Tokens of one packed sequence, by segment."""

    text: int
    reference: int
    video: int
    audio: int

    @property
    def total(self) -> int:
        """Length of the sequence."""
        return sum(self)


def count_tokens(fmt: ClipFormat, *, text: int = 32, references: int = 0, audio: bool = True) -> TokenCount:
    """Return how many tokens a clip has.

    Args:
        fmt: size and length.
        text: the text encoder's full length (padding included: the transformer sees it).
        references: pictures of the clip's own size. audio: whether there is sound.
    """
    shape = fmt.latent
    frame = (shape.height // PATCH) * (shape.width // PATCH)
    return TokenCount(text, references * frame, shape.frames * frame, shape.audio if audio else 0)


def count_flops(config: DiTConfig, tokens: TokenCount, *, batch: int = 1, levels: int = 3) -> int:
    """Return the floating-point operations of one forward call: two for each multiply-add of a matrix product.

    Norms, rotations, modulation, activations and softmax are left out, as is usual: they are few, though not free.

    Args:
        tokens: of one clip. batch: clips in the call.
        levels: noise levels over all segments, one each for text, picture and sound where a clip shares one.
    """
    width, total = config.width, tokens.total
    linear = 4 * width * width + 3 * width * config.hidden
    attention = 2 * total * width
    blocks = config.layers * total * (linear + attention)

    patch = config.video_channels * config.patch**2
    inputs = tokens.text * config.text_width + (tokens.reference + tokens.video) * patch
    inputs += tokens.audio * config.audio_channels
    outputs = tokens.video * patch + tokens.audio * config.audio_channels

    inner = config.modulation_width
    modulation = levels * (SINUSOIDS * width + width * inner + 6 * inner * width)
    return 2 * batch * (blocks + width * (inputs + outputs) + modulation)


def count_parameters(config: DiTConfig) -> int:
    """Return the parameters of a model of these sizes, built on the meta device: nothing is allocated."""
    return sum(p.numel() for p in DiT(config, device="meta").parameters())
