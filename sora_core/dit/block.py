"""One transformer block: modulated attention, then a modulated SwiGLU."""

# B batch, N tokens, D width, R rows of a segment

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import Attention, AttentionFunction, Options, quickest
from .modulation import gate, modulate


class SwiGLU(nn.Module):
    """Gated MLP (Shazeer 2020, 2002.05202), no biases."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        operations: Any = nn,  # noqa: ANN401
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype, "bias": False}
        self.gate = operations.Linear(width, hidden, **factory)
        self.up = operations.Linear(width, hidden, **factory)
        self.down = operations.Linear(hidden, width, **factory)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return ``[B, N, D]``."""
        return self.down(F.silu(self.gate(x_BND)) * self.up(x_BND))


class Block(nn.Module):
    """Pre-norm block; ``table [3, 6, D]`` is its own part of the modulation, per modality."""

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        attention: AttentionFunction = quickest,
        operations: Any = nn,  # noqa: ANN401
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"operations": operations, "device": device, "dtype": dtype}
        self.width = width
        self.attn = Attention(width, heads, attention=attention, **factory)
        self.mlp = SwiGLU(width, hidden, **factory)
        self.table = nn.Parameter(torch.zeros(3, 6, width, device=device, dtype=dtype))

    def forward(
        self,
        x_BND: Tensor,
        table_2NP: Tensor,
        sizes: Sequence[int],
        modalities: Sequence[int],
        levels: Sequence[Tensor],
        *,
        options: Options | None = None,
    ) -> Tensor:
        """Return ``[B, N, D]``.

        Args:
            x_BND: packed tokens.
            table_2NP: rotations.
            sizes, modalities: tokens and modality of each segment.
            levels: per segment the shared modulation ``[B, R, 6, D]``.
            options: for the attention function.
        """
        own = self.table.to(x_BND.dtype)
        six = [(level + own[m]).unbind(2) for level, m in zip(levels, modalities, strict=True)]
        normed = F.rms_norm(x_BND, (self.width,), eps=1e-6)
        mixed = self.attn(modulate(normed, sizes, [s[0] for s in six], [s[1] for s in six]), table_2NP, options)
        x_BND = gate(x_BND, mixed, sizes, [s[2] for s in six])
        normed = F.rms_norm(x_BND, (self.width,), eps=1e-6)
        fed = self.mlp(modulate(normed, sizes, [s[3] for s in six], [s[4] for s in six]))
        return gate(x_BND, fed, sizes, [s[5] for s in six])
