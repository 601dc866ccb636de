"""The transformer alone: one guided forward call, beside the machine's own matrix product."""

# B batch, L text tokens, D width

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..dit import PRESETS, DiT
from ..dit.config import DiTConfig
from ..dit.flops import TokenCount, count_flops, count_parameters, count_tokens
from ..types import ClipFormat
from .peak import linear_product
from .timing import REPEATS, median_seconds, waiter

BATCH = 2
"""With guidance every call sees the prompt and the empty text."""

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
TIMED = ("micro", "nano")
TEXT_TOKENS = 32
PROFILED_CALLS = 3
SHOWN_OPERATORS = 8


def bench_dit(
    device: torch.device | str = "cpu",
    *,
    fmt: ClipFormat | None = None,
    presets: tuple[str, ...] = TIMED,
    repeats: int = REPEATS,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Time ``presets``, and count the parameters, tokens and operations of every preset without running it.

    Args:
        device: where. fmt: of the clip, the default one unless given. repeats: samples behind each median.
        tell: told what comes next.

    Returns:
        By preset ``parameters``, ``tokens``, ``gflop`` (one call for a batch of two) and, where it was timed, by type
        ``median_ms``, ``gflops`` (per second), ``matmul_peak_gflops``, ``share_of_peak`` and ``operators`` (shares of
        the time).
    """
    fmt = fmt or ClipFormat()
    tokens = count_tokens(fmt, text=TEXT_TOKENS)
    figures: dict[str, Any] = {}
    for name, preset in PRESETS.items():
        config = preset()
        figures[name] = {
            "parameters": count_parameters(config),
            "tokens": tokens.total,
            "gflop": count_flops(config, tokens, batch=BATCH) / 1e9,
        }
        for kind in DTYPES if name in presets else ():
            if tell is not None:
                tell(f"{name}, {kind}")
            figures[name][kind] = _timed(config, fmt, tokens, DTYPES[kind], device=device, repeats=repeats)
    return figures


@torch.inference_mode()
def _timed(
    config: DiTConfig,
    fmt: ClipFormat,
    tokens: TokenCount,
    dtype: torch.dtype,
    *,
    device: torch.device | str,
    repeats: int,
) -> dict[str, Any]:
    """Time one size in one type; the peak is that of its own largest layer, measured in turns with it."""
    rows = BATCH * tokens.total
    product = linear_product(rows, config.width, config.hidden, dtype=dtype, device=device)
    call = _call(config, fmt, dtype, device)
    alone, seconds = median_seconds(product.call, call, device=device, repeats=repeats)
    peak = product.flops / alone
    speed = count_flops(config, tokens, batch=BATCH) / seconds
    return {
        "median_ms": seconds * 1e3,
        "gflops": speed / 1e9,
        "matmul_peak_gflops": peak / 1e9,
        "share_of_peak": speed / peak,
        "operators": operator_shares(call, device),
    }


def _call(config: DiTConfig, fmt: ClipFormat, dtype: torch.dtype, device: torch.device | str) -> Callable[[], object]:
    """Return one forward call with made-up inputs; the speed does not depend on the weights."""
    model = DiT(config)
    model.initialise(torch.Generator().manual_seed(0))
    model = model.to(device, dtype).eval()
    shape = fmt.latent

    def drawn(*size: int) -> torch.Tensor:
        return torch.randn(BATCH, *size, device=device).to(dtype)

    video = drawn(config.video_channels, shape.frames, shape.height, shape.width)
    audio = drawn(config.audio_channels, shape.audio, 1)
    text = drawn(TEXT_TOKENS, config.text_width)
    mask = torch.ones(BATCH, TEXT_TOKENS, dtype=torch.bool, device=device)
    level = torch.full((BATCH, 1), 0.5, device=device)
    return lambda: model(video, audio, text, mask, sigma_video=level, sigma_audio=level, fps=fmt.fps)


class OperatorClock(TorchDispatchMode):
    """Add up the wall time of every PyTorch operator; each is waited for, so only the shares mean something."""

    def __init__(self, device: torch.device | str) -> None:
        super().__init__()
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._wait = waiter(device)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  an operator's overload has no public type
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        """Run one operator."""
        began = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        self._wait()
        self.spent[func.overloadpacket.__name__.strip("_")] += time.perf_counter() - began
        return result


def operator_shares(call: Callable[[], object], device: torch.device | str) -> dict[str, float]:
    """Return which PyTorch operators a call spends its time in, largest share first; the rest as ``other``."""
    with OperatorClock(device) as clock:
        for _ in range(PROFILED_CALLS):
            call()
    whole = sum(clock.spent.values())
    largest = sorted(clock.spent.items(), key=lambda item: -item[1])[:SHOWN_OPERATORS]
    shares = {name: spent / whole for name, spent in largest}
    return shares | {"other": max(0.0, 1 - sum(shares.values()))}
