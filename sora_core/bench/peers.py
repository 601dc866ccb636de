"""The same work done by diffusers' models: ours beside WanTransformer3DModel and AutoencoderKLWan, in one process."""

# B batch, C channels, T latent frames, H W latent cells, L text tokens, D width

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..dit import PRESETS, DiT
from ..dit.config import DiTConfig
from ..dit.flops import TokenCount, count_flops
from ..errors import SoraError
from ..types import PATCH, ClipFormat
from .dit import DTYPES, TEXT_TOKENS
from .peak import Product, linear_product
from .timing import REPEATS, Seconds, median_times
from .vae import load_decoder

PRESET = "micro"
LATENTS = {"200": (12, 8, 8), "600": (17, 12, 12), "1800": (28, 16, 16)}
"""Frames, rows and columns of the latents whose tokens come nearest to the number, one for each 2 x 2 cells."""

FPS = 12.0
BASE_STEP = 2
"""Their decoder's narrowest width is tried in such steps to meet the parameters of ours."""

NO_EXTRA = 'diffusers is not installed, and the peers are its models; pip install "sora-nodes[peers]" brings it'


class Peers(NamedTuple):
    """Diffusers' version, and the two classes compared with."""

    version: str
    transformer: Any
    decoder: Any


def bench_peers(
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
    *,
    sizes: dict[str, tuple[int, int, int]] = LATENTS,
    fmt: ClipFormat | None = None,
    repeats: int = REPEATS,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Time both transformers at equal operations and both decoders at equal parameters, with random weights.

    Args:
        checkpoint: whose video decoder, or the shipped one's (see `vae.load_decoder`). device: where.
        sizes: latents ``(T, H, W)`` by name. fmt: of the decoded clip, the default one unless given.
        repeats: samples behind each median; ours, theirs and the machine's matrix product take turns.
        tell: told what comes next.

    Returns:
        ``diffusers`` (its version); under ``transformer``, by size and type, and under ``decoder``, by type: ``ours``
        and ``theirs``, each ``ms``, ``cpu_ms``, ``gflop``, ``parameters`` and ``share_of_peak``, with
        ``matmul_peak_gflops``. The transformers' ``speedup`` is ours over theirs in operations a second; the decoders'
        ``time_ratio`` is ours over theirs for an output pixel, ``ns_per_pixel`` of each beside it.

    Raises:
        SoraError: diffusers is not installed.
    """
    peers = find_peers()
    say = tell or (lambda _: None)
    figures: dict[str, Any] = {"diffusers": peers.version, "transformer": {}, "decoder": {}}
    for name, size in sizes.items():
        for kind, dtype in DTYPES.items():
            say(f"transformers, {name} tokens, {kind}")
            timed = _transformers(peers, size, dtype, device=device, repeats=repeats)
            figures["transformer"].setdefault(name, {})[kind] = timed
    for kind, dtype in DTYPES.items():
        say(f"decoders, {kind}")
        figures["decoder"][kind] = _decoders(
            peers, checkpoint, fmt or ClipFormat(), dtype, device=device, repeats=repeats
        )
    return figures


def find_peers() -> Peers:
    """Return diffusers' models.

    Raises:
        SoraError: it is not installed.
    """
    try:
        diffusers = importlib.import_module("diffusers")
    except ImportError:
        raise SoraError(NO_EXTRA) from None
    # it warns of layers kept in float32; all in one type is the quicker way for it
    diffusers.logging.set_verbosity_error()
    return Peers(diffusers.__version__, diffusers.WanTransformer3DModel, diffusers.AutoencoderKLWan)


def equal_hidden(config: DiTConfig, video: int, text: int = TEXT_TOKENS) -> int:
    """Return the inner width of their feed-forward at which both transformers do as many operations, to 1 in 100.

    Theirs reads the text by a second, crossed attention and multiplies by two matrices where SwiGLU has three.

    Args:
        config: of ours; theirs takes its width, layers and heads. video, text: tokens.
    """
    width, layers = config.width, config.layers
    ours = count_flops(config, TokenCount(text, 0, video, 0), levels=2) // 2
    # self-attention, queries and outputs of the crossed one with its products, keys and values of the text
    block = video * (6 * width * width + 2 * video * width + 2 * text * width) + 2 * text * width * width
    ends = 2 * video * width * config.video_channels * config.patch**2
    once = (256 + 7 * width) * width + text * (config.text_width + width) * width
    free = (ours - layers * block - ends - once) / (2 * layers * video * width)
    return max(8, round(free / 8) * 8)


def counted_flops(call: Callable[[], object]) -> int:
    """Return the operations of a call as PyTorch counts them; fused attention is unfolded, which it does not know."""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


@torch.inference_mode()
def _transformers(
    peers: Peers, size: tuple[int, int, int], dtype: torch.dtype, *, device: torch.device | str, repeats: int
) -> dict[str, Any]:
    """Time both transformers on one clip without sound: theirs has none."""
    config = PRESETS[PRESET]()
    tokens = size[0] * (size[1] // PATCH) * (size[2] // PATCH)
    ours = DiT(config)
    ours.initialise(torch.Generator().manual_seed(0))
    theirs = peers.transformer(
        patch_size=(1, PATCH, PATCH),
        num_attention_heads=config.heads,
        attention_head_dim=config.head_size,
        in_channels=config.video_channels,
        out_channels=config.video_channels,
        text_dim=config.text_width,
        ffn_dim=equal_hidden(config, tokens),
        num_layers=config.layers,
    )
    ours, theirs = (model.to(device, dtype).eval() for model in (ours, theirs))

    def drawn(*shape: int) -> Tensor:
        return torch.randn(1, *shape, device=device).to(dtype)

    video, text = drawn(config.video_channels, *size), drawn(TEXT_TOKENS, config.text_width)
    mask = torch.ones(1, TEXT_TOKENS, dtype=torch.bool, device=device)
    level = torch.full((1, 1), 0.5, device=device)
    time_index = torch.tensor([500], device=device)
    calls = (
        lambda: ours(video, None, text, mask, sigma_video=level, fps=FPS),
        lambda: theirs(video, time_index, text, return_dict=False),
    )
    product = linear_product(tokens, config.width, config.hidden, dtype=dtype, device=device)
    timed = _pair(calls, (ours, theirs), product, device=device, repeats=repeats)
    speed = [timed[name]["gflop"] / timed[name]["ms"] for name in ("ours", "theirs")]
    return {"tokens": tokens, **timed, "speedup": speed[0] / speed[1]}


@torch.inference_mode()
def _decoders(
    peers: Peers,
    checkpoint: Path | str | None,
    fmt: ClipFormat,
    dtype: torch.dtype,
    *,
    device: torch.device | str,
    repeats: int,
) -> dict[str, Any]:
    """Time both decoders on one clip; theirs is scaled to the parameters of ours."""
    vae = load_decoder(checkpoint, device).to(dtype=dtype)
    parameters = count(vae.decoder)
    shape = fmt.latent
    latent = torch.randn(1, vae.config.latent_channels, shape.frames, shape.height, shape.width, device=device)
    theirs = equal_decoder(peers, parameters).to(device, dtype).eval()
    given = latent.to(dtype)
    calls = (lambda: vae.decode(latent), lambda: theirs.decode(given, return_dict=False))
    # the largest layer of ours as a matrix product: a frame's 3 x 3 convolution at an eighth of the size
    width = vae.config.frame_width
    product = linear_product(shape.height * shape.width * fmt.frames, 9 * width, width, dtype=dtype, device=device)
    timed = _pair(calls, (vae.decoder, theirs.decoder), product, device=device, repeats=repeats)
    pixels = fmt.width * fmt.height * fmt.frames
    for name in ("ours", "theirs"):
        timed[name]["ns_per_pixel"] = timed[name]["ms"] * 1e6 / pixels
    return {"pixels": pixels, **timed, "time_ratio": timed["ours"]["ms"] / timed["theirs"]["ms"]}


def equal_decoder(peers: Peers, parameters: int) -> Any:  # noqa: ANN401  a class of a package that may be missing
    """Return their VAE at the width whose decoder comes nearest to ``parameters``, untrained."""

    def size(base: int) -> int:
        with torch.device("meta"):
            return count(peers.decoder(base_dim=base).decoder)

    base = BASE_STEP
    while size(base + BASE_STEP) <= parameters:
        base += BASE_STEP
    return peers.decoder(base_dim=min((base, base + BASE_STEP), key=lambda width: abs(size(width) - parameters)))


def count(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def _pair(
    calls: tuple[Callable[[], object], Callable[[], object]],
    models: tuple[nn.Module, nn.Module],
    product: Product,
    *,
    device: torch.device | str,
    repeats: int,
) -> dict[str, Any]:
    """Time ours, theirs and the machine's matrix product in turns."""
    machine, *times = median_times(product.call, *calls, device=device, repeats=repeats)
    peak = product.flops / machine.wall
    figures: dict[str, Any] = {"matmul_peak_gflops": peak / 1e9}
    for name, call, model, spent in zip(("ours", "theirs"), calls, models, times, strict=True):
        figures[name] = _one(counted_flops(call), count(model), spent, peak)
    return figures


def _one(flops: int, parameters: int, spent: Seconds, peak: float) -> dict[str, float]:
    return {
        "parameters": parameters,
        "gflop": flops / 1e9,
        "ms": spent.wall * 1e3,
        "cpu_ms": spent.cpu * 1e3,
        "share_of_peak": flops / spent.wall / peak,
    }


def rows(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of the table: what, figure, and the aim or an explanation."""

    def aim(key: str) -> str:
        return f"; aim {aims[key]['aim']}: {'met' if aims[key]['met'] else 'missed'}" if key in aims else ""

    yield f"beside diffusers {figures['diffusers']}, random weights, in turns", "", ""
    for name, kinds in figures["transformer"].items():
        for kind, pair in kinds.items():
            words = "operations a second over those of WanTransformer3DModel"
            key = f"peers.transformer.{name}.{kind}.speedup"
            yield f"  transformer, {pair['tokens']} tokens, {kind}", f"{pair['speedup']:.2f} x", words + aim(key)
            yield from _sides(pair)
    for kind, pair in figures["decoder"].items():
        words = "of the time of AutoencoderKLWan for an output pixel"
        key = f"peers.decoder.{kind}.time_ratio"
        yield f"  video decoder, {kind}", f"{pair['time_ratio']:.2f} x", words + aim(key)
        yield from _sides(pair)


def _sides(pair: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in ("ours", "theirs"):
        side = pair[name]
        counts = f"{side['gflop']:,.1f} GFLOP, {side['parameters'] / 1e6:.1f} M parameters"
        busy = f"{side['cpu_ms']:,.1f} ms of processors, {side['share_of_peak']:.2f} of the matrix product's speed"
        yield f"    {name}", f"{side['ms']:,.1f} ms", f"{counts}, {busy}"
