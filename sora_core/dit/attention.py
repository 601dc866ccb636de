"""Full self-attention over the packed sequence, with the kernel injectable."""

# B batch, N tokens, H heads, K head size, D width

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..norm import normalise
from ..processor import PROCESSOR
from .rope import rotate

Options = dict[str, Any]
"""What a host says of one call (which kernel, which patches); the core hands it on unread."""

AttentionFunction = Callable[[Tensor, Tensor, Tensor, "Options | None"], Tensor]
"""``(q, k, v, options) -> out``, tensors ``[B, N, H, K]``; no mask, no dropout, scale ``K ** -0.5``."""


def sdpa(q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor, options: Options | None = None) -> Tensor:  # noqa: ARG001
    """Attend through PyTorch's fused kernel."""
    q, k, v = (x.transpose(1, 2) for x in (q_BNHK, k_BNHK, v_BNHK))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def explicit(q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor, options: Options | None = None) -> Tensor:  # noqa: ARG001
    """Attend by two matrix products: on a CPU its backward pass is the faster one for short sequences."""
    q, k, v = (x.transpose(1, 2) for x in (q_BNHK, k_BNHK, v_BNHK))
    weight = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)).softmax(-1)
    return torch.matmul(weight.to(v.dtype), v).transpose(1, 2)


PIECE_BYTES = 4 << 20
"""Attention weights that `pieces` holds at a time: larger blocks leave the cache, and the allocator asks the system."""


def pieces(q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor, options: Options | None = None) -> Tensor:  # noqa: ARG001
    """Attend as `explicit`, for one sample and some of its queries at a time, so that memory stays flat; no gradients.

    On a CPU that multiplies bfloat16 but has no AMX, PyTorch's fused kernel is the slower one: 6.0 ms against 4.4 for
    603 tokens in 4 heads of 64, 52 against 37 for 1,824, one thread of an AMD EPYC.
    """
    batch, count, heads, size = q_BNHK.shape
    rows = max(1, PIECE_BYTES // (heads * count * q_BNHK.element_size()))
    out_BNHK = torch.empty_like(q_BNHK)
    for sample in range(batch):
        q_HNK = (q_BNHK[sample] * size**-0.5).transpose(0, 1)
        k_HKN, v_HNK = k_BNHK[sample].permute(1, 2, 0), v_BNHK[sample].transpose(0, 1)
        for start in range(0, count, rows):
            weight = torch.matmul(q_HNK[:, start : start + rows], k_HKN).softmax(-1)
            out_BNHK[sample, start : start + rows] = torch.matmul(weight, v_HNK).transpose(0, 1)
    return out_BNHK


def quickest(q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor, options: Options | None = None) -> Tensor:
    """Attend by `sdpa`, but by `pieces` where that is quicker: bfloat16 inference on a CPU without AMX."""
    low = q_BNHK.dtype == torch.bfloat16 and q_BNHK.device.type == "cpu"
    if low and not torch.is_grad_enabled() and PROCESSOR.bfloat16 and not PROCESSOR.amx:
        return pieces(q_BNHK, k_BNHK, v_BNHK, options)
    return sdpa(q_BNHK, k_BNHK, v_BNHK, options)


class Attention(nn.Module):
    """Self-attention with RMS-normed queries and keys (gain per head dimension) and rotary positions.

    q, k and v keep their own names, so that ordinary LoRA keys match.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        attention: AttentionFunction = quickest,
        operations: Any = nn,  # noqa: ANN401  (a namespace such as torch.nn)
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.heads = heads
        self.attention = attention
        self.q = operations.Linear(width, width, bias=False, **factory)
        self.k = operations.Linear(width, width, bias=False, **factory)
        self.v = operations.Linear(width, width, bias=False, **factory)
        self.out = operations.Linear(width, width, bias=False, **factory)
        self.q_norm = operations.RMSNorm(width // heads, eps=1e-6, **factory)
        self.k_norm = operations.RMSNorm(width // heads, eps=1e-6, **factory)

    def forward(self, x_BND: Tensor, table_2NP: Tensor, options: Options | None = None) -> Tensor:
        """Attend among all tokens; ``[B, N, D]`` to ``[B, N, D]``. ``options`` go to the attention function."""
        q, k, v = (project(x_BND).unflatten(-1, (self.heads, -1)) for project in (self.q, self.k, self.v))
        q, k = rotate(normalise(self.q_norm, q), table_2NP), rotate(normalise(self.k_norm, k), table_2NP)
        return self.out(self.attention(q, k, v, options).flatten(2))
