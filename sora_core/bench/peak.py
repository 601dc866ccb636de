"""What the machine itself can do: the plain matrix product of a linear layer, measured beside the model."""

# N rows (tokens), K inputs, M outputs

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .timing import REPEATS, median_seconds

LARGE = (4096, 1024, 1024)
"""A product that any machine runs well, to compare machines by."""


class Product(NamedTuple):
    """A linear layer to run, and its floating-point operations (two for each multiply-add)."""

    call: Callable[[], Tensor]
    flops: int


def linear_product(
    rows: int, inputs: int, outputs: int, *, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Product:
    """Return ``F.linear`` of ``[N, K]`` and ``[M, K]`` with random values."""
    x_NK = torch.randn(rows, inputs, device=device).to(dtype)
    weight_MK = torch.randn(outputs, inputs, device=device).to(dtype)
    return Product(lambda: F.linear(x_NK, weight_MK), 2 * rows * inputs * outputs)


@torch.inference_mode()
def matmul_speed(
    shape: tuple[int, int, int], *, dtype: torch.dtype, device: torch.device | str = "cpu", repeats: int = REPEATS
) -> float:
    """Return the floating-point operations per second of one product ``(N, K, M)``; arguments as `linear_product`."""
    product = linear_product(*shape, dtype=dtype, device=device)
    return product.flops / median_seconds(product.call, device=device, repeats=repeats)[0]
