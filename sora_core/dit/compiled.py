"""Compile the blocks of a transformer: an option for machines that make many clips of few sizes."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import SoraError
from .model import DiT

KEPT_LAYOUTS = 16
"""Layouts compiled, unless more are asked for, before PyTorch falls back to the plain way."""


def compile_blocks(model: DiT, *, backend: str = "inductor", layouts: int = KEPT_LAYOUTS) -> None:
    """Let PyTorch compile each block of ``model``, in place, at its first call for a size.

    The blocks share one code, so each new size, length, batch or type costs one compilation (half a minute to two on
    one core) and then a forward pass is 12 to 25 in 100 quicker on a CPU. It is worth it for a service or a long list
    of clips, not for a single one. Parameters and their names stay as they are.

    Args:
        model: the transformer, with its weights final or not. backend: of ``torch.compile``; ``inductor`` needs a C++
            compiler on a CPU. layouts: sizes, lengths and types that it is to be compiled for.

    Raises:
        SoraError: this PyTorch does not know the backend.
    """
    if backend not in torch.compiler.list_backends(exclude_tags=()):
        raise SoraError(f"compiler backend {backend!r} is not known to PyTorch; leave it away for inductor")
    limits: Any = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, layouts)
    for block in model.blocks:
        block.compile(dynamic=False, backend=backend)
