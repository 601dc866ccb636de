"""The text encoder: a frozen table of word rows and a small trained transformer above it."""

# B batch, L tokens, D width, H heads, K channels of a head

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..norm import normalise
from .config import TextConfig
from .word_table import WordTable

ROTARY_BASE = 1000.0
"""Longest rotary wavelength is about 6000 tokens, far past any prompt (our decision)."""


class TextEncoder(nn.Module):
    """Prompt ids to states for the denoiser.

    The table is a buffer and never trained: rows of words that no caption used stay where their neighbours are, which
    is what lets them be understood. Only the transformer learns.

    Args:
        config: sizes.
        operations: namespace with ``Linear`` and ``RMSNorm``, so that a host can put its own in.
        table_noise: standard deviation of Gaussian noise on each row in training mode, relative to the row's norm;
            it teaches the transformer the neighbourhood of a word and not only the point (our decision).
    """

    table: Tensor
    table_scale: Tensor

    def __init__(
        self,
        config: TextConfig,
        *,
        operations: Any = nn,  # noqa: ANN401  a module or a class used as a namespace
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        table_noise: float = 0.0,
    ) -> None:
        """Create with random transformer weights and an all-zero table; see `load_table`."""
        super().__init__()
        self.config = config
        self.table_noise = table_noise
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        rows = torch.zeros(config.vocab_size, config.table_width, dtype=torch.int8, device=device)
        self.register_buffer("table", rows)
        self.register_buffer("table_scale", torch.zeros(config.table_width, dtype=torch.float32, device=device))
        self.project = operations.Linear(config.table_width, config.width, **made)
        self.blocks = nn.ModuleList(TextBlock(config, operations, made) for _ in range(config.layers))
        self.norm = operations.RMSNorm(config.width, eps=1e-6, **made)

    @classmethod
    def from_word_table(cls, table: WordTable, *, table_noise: float = 0.0, **sizes: int) -> TextEncoder:
        """Create an untrained encoder over a built table; ``sizes`` are further fields of `TextConfig`."""
        rows, width = table.rows.shape
        encoder = cls(TextConfig(vocab_size=rows, table_width=width, **sizes), table_noise=table_noise)
        encoder.load_table(table)
        return encoder

    def load_table(self, table: WordTable) -> None:
        """Copy a built table into the buffers; its shape must be the config's."""
        self.table.copy_(table.rows)
        self.table_scale.copy_(table.scale)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Encode prompts.

        Args:
            ids_BL: int64 ``[B, L]`` of `Tokenizer.encode`.
            mask_BL: bool ``[B, L]``, True where there is a token; at least one in each row.

        Returns:
            states ``[B, L, width]`` in the weights' dtype, zero where the mask is False.
        """
        dtype = self.project.weight.dtype
        x_BLD = self.table[ids_BL].to(dtype) * self.table_scale.to(dtype)
        if self.training and self.table_noise > 0:
            spread = self.table_noise * x_BLD.square().mean(-1, keepdim=True).sqrt()
            x_BLD = x_BLD + spread * torch.randn_like(x_BLD)
        x_BLD = self.project(x_BLD)
        turn_LK = rotation(ids_BL.shape[1], self.config.head_width, x_BLD.device)
        for block in self.blocks:
            x_BLD = block(x_BLD, mask_BL, turn_LK)
        return normalise(self.norm, x_BLD) * mask_BL[..., None]


class TextBlock(nn.Module):
    """One pre-norm bidirectional transformer block: attention with rotary positions, then a gated feed-forward."""

    def __init__(self, config: TextConfig, operations: Any, made: dict[str, Any]) -> None:  # noqa: ANN401
        """Create; ``made`` holds the device and dtype of the weights."""
        super().__init__()
        width, hidden = config.width, config.hidden
        self.heads = config.heads
        self.attention_norm = operations.RMSNorm(width, eps=1e-6, **made)
        self.q = operations.Linear(width, width, bias=False, **made)
        self.k = operations.Linear(width, width, bias=False, **made)
        self.v = operations.Linear(width, width, bias=False, **made)
        self.o = operations.Linear(width, width, bias=False, **made)
        self.feed_norm = operations.RMSNorm(width, eps=1e-6, **made)
        self.gate = operations.Linear(width, hidden, bias=False, **made)
        self.up = operations.Linear(width, hidden, bias=False, **made)
        self.down = operations.Linear(hidden, width, bias=False, **made)

    def forward(self, x_BLD: Tensor, mask_BL: Tensor, turn_LK: tuple[Tensor, Tensor]) -> Tensor:
        """Mix ``[B, L, D]``; masked tokens are never attended to."""
        y_BLD = normalise(self.attention_norm, x_BLD)
        q, k, v = (part(y_BLD).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = rotate(q, turn_LK), rotate(k, turn_LK)
        mixed_BHLK = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BL[:, None, None, :])
        x_BLD = x_BLD + self.o(mixed_BHLK.transpose(1, 2).flatten(2))
        y_BLD = normalise(self.feed_norm, x_BLD)
        return x_BLD + self.down(F.silu(self.gate(y_BLD)) * self.up(y_BLD))


def rotation(length: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosine and sine, float32 ``[L, K / 2]`` each, of rotary positions 0 to L - 1 (RoFormer, Su 2021)."""
    pairs = torch.arange(head_width // 2, device=device, dtype=torch.float32)
    frequency = ROTARY_BASE ** (-2 * pairs / head_width)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x_BHLK: Tensor, turn_LK: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the channel pairs (first half with second half) of ``[B, H, L, K]`` by each position's angle."""
    cosine, sine = (part.to(x_BHLK.dtype) for part in turn_LK)
    first, second = x_BHLK.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)
