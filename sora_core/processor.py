"""What this machine's CPU multiplies quickly."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Processor:
    """A CPU.

    bfloat16: whether it multiplies bfloat16 itself; one that does not is several times slower in it than in float32
    (measured, an Intel Xeon of 2019: 45 against 152 GFLOP/s). amx: whether it has Intel's matrix tiles.
    """

    bfloat16: bool
    amx: bool

    @classmethod
    def of(cls, has: dict[str, Any]) -> Processor:
        """Read PyTorch's list of a CPU's abilities."""
        amx = bool(has.get("amx_tile") and has.get("amx_bf16"))
        return cls(bfloat16=amx or bool(has.get("avx512_bf16") or has.get("bf16")), amx=amx)


def _this() -> Processor:
    asked: Callable[[], dict[str, Any]] | None = getattr(torch.cpu, "get_capabilities", None)
    if asked is None:
        # a PyTorch that cannot tell: AMX and ARM cannot be ruled out, and what is slow there is right all the same
        return Processor(bfloat16=platform.machine() != "x86_64", amx=False)
    return Processor.of(asked())


PROCESSOR = _this()
"""Asked once, so that the compiler need not."""


def low_precision(device: torch.device | str, *, enabled: bool = True) -> torch.autocast:
    """Return the context in which matrix products are bfloat16 wherever that is quicker, to train or to measure in.

    Args:
        device: where the products are. On a CPU without bfloat16 they stay float32. enabled: False leaves them too.
    """
    kind = torch.device(device).type
    quick = kind != "cpu" or PROCESSOR.bfloat16
    return torch.autocast(kind, torch.bfloat16, enabled=enabled and quick)
