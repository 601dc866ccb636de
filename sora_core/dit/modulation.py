"""Noise levels to shifts, scales and gates, without ever expanding them to every token."""

# B batch, R rows of one segment (tokens that share a noise level), D width

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEXT, VIDEO, AUDIO = range(3)
"""Index of each modality in the modulation tables; references are video."""


def sinusoids(sigma: Tensor, count: int = 256) -> Tensor:
    """Return ``[..., count]`` cosines and sines of ``1000 sigma`` (Vaswani et al. 2017, as in DiT)."""
    angle = 1000.0 * sigma.float()[..., None] * torch.tensor(_speeds(count // 2), device=sigma.device)
    return torch.cat([angle.cos(), angle.sin()], -1)


@cache
def _speeds(count: int) -> tuple[float, ...]:
    """Return the speeds that angles grow with: in double precision, since float32's ``exp`` differs between processors
    by a rounding, which an angle of 1000 makes 5e-5 of.
    """
    return tuple(math.exp(-math.log(10_000.0) * place / count) for place in range(count))


class Modulation(nn.Module):
    """adaLN-single (PixArt-alpha, 2310.00426): one network for all blocks, one branch per modality.

    The branch of a modality gives six vectors (shift, scale, gate for attention, the same for the MLP); each block adds
    its own table. The last layer starts at zero, so a new model's blocks are the identity.
    """

    def __init__(
        self,
        width: int,
        inner: int,
        *,
        operations: Any = nn,  # noqa: ANN401
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.width = width
        self.embed = operations.Linear(256, width, **factory)
        self.squeeze = operations.Linear(width, inner, **factory)
        self.branch = nn.ModuleList(operations.Linear(inner, 6 * width, **factory) for _ in range(3))

    def forward(self, sigma_BR: Tensor, modality: int, dtype: torch.dtype) -> Tensor:
        """Return ``[B, R, 6, D]`` for the noise levels of one segment."""
        hidden = F.silu(self.squeeze(F.silu(self.embed(sinusoids(sigma_BR).to(dtype)))))
        return self.branch[modality](hidden).unflatten(-1, (6, self.width))


def _rows(x_BnD: Tensor, rows: int) -> Tensor:
    return x_BnD.unflatten(1, (rows, -1))


def modulate(x_BND: Tensor, sizes: Sequence[int], shifts: Sequence[Tensor], scales: Sequence[Tensor]) -> Tensor:
    """Return ``x * (1 + scale) + shift``, segment by segment.

    Args:
        x_BND: normalised tokens.
        sizes: tokens of each segment.
        shifts, scales: per segment ``[B, R, D]``; each row serves ``size / R`` neighbouring tokens.
    """
    parts = [
        torch.addcmul(shift[:, :, None], _rows(part, shift.shape[1]), 1 + scale[:, :, None]).flatten(1, 2)
        for part, shift, scale in zip(x_BND.split(list(sizes), 1), shifts, scales, strict=True)
    ]
    return torch.cat(parts, 1)


def gate(x_BND: Tensor, update_BND: Tensor, sizes: Sequence[int], gates: Sequence[Tensor]) -> Tensor:
    """Return ``x + gate * update``, segment by segment (arguments as `modulate`)."""
    parts = [
        torch.addcmul(_rows(part, g.shape[1]), _rows(update, g.shape[1]), g[:, :, None]).flatten(1, 2)
        for part, update, g in zip(x_BND.split(list(sizes), 1), update_BND.split(list(sizes), 1), gates, strict=True)
    ]
    return torch.cat(parts, 1)
