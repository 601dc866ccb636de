"""Write one model, or all of them, as one file that explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import replacing
from ..request import Defaults
from .metadata import FORMAT_VERSION, PARTS, PIPELINE, TOKENIZER, World

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LICENCE = "Apache-2.0"
READABLE = 0o644


def save_checkpoint(
    path: Path,
    components: Mapping[str, nn.Module],
    *,
    defaults: Defaults,
    training: Mapping[str, Any],
    tokenizer: bytes | None = None,
    world: World | None = None,
    title: str = "Sora Nodes",
    dtype: torch.dtype | None = None,
) -> None:
    """Write the components as one safetensors file; an interrupt leaves the old file in place.

    Args:
        path: where to; its folder must exist.
        components: part name to module with a ``config``; all four of `PARTS`, or one.
        defaults: what the pipeline makes when nothing else is asked.
        training: plain JSON values: data, steps, minutes, device, date.
        tokenizer: ``Tokenizer.to_bytes()``; needed when all four are there.
        world: what the model has seen; needed when all four are there.
        title: shown by programs that list models.
        dtype: of the parameters in the file, bfloat16 unless given; buffers (word table, latent statistics) keep theirs

    Raises:
        SoraError: the file cannot be written.
    """
    import torch
    from safetensors.torch import save_file

    assert set(components) == set(PARTS) or (len(components) == 1 and set(components) <= set(PARTS)), set(components)
    component = PIPELINE if len(components) > 1 else next(iter(components))
    assert component != PIPELINE or (tokenizer and world), "a whole pipeline carries its tokenizer and its words"

    tensors: dict[str, Tensor] = {}
    config: dict[str, Any] = {}
    for part, module in components.items():
        config[part] = module.config.to_dict()  # type: ignore[union-attr, operator]
        tensors |= _tensors(part, module, dtype or torch.bfloat16)
    if tokenizer:
        tensors[TOKENIZER] = torch.frombuffer(bytearray(tokenizer), dtype=torch.uint8)
    metadata = {
        "sora.format_version": FORMAT_VERSION,
        "sora.component": component,
        "sora.config": json.dumps(config),
        "sora.defaults": json.dumps(defaults.to_dict()),
        "sora.training": json.dumps(dict(training)),
        "sora.world": json.dumps({"level": world.level, "words": sorted(world.words)} if world else {}),
        "license": LICENCE,
        "modelspec.title": title,
        "modelspec.architecture": f"sora-nodes/{component}",
    }
    with replacing(path) as hidden:
        save_file(tensors, hidden, metadata)
        # the library makes the file private to its owner, and others are to load it
        hidden.chmod(READABLE)


def _tensors(part: str, module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the state on the CPU under the part's prefix; only parameters are rounded to ``dtype``."""
    # state dict hooks may split or rename, so what is a buffer is known, and all else is a parameter
    buffers = {name for name, _ in module.named_buffers()}
    tensors: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        rounded = tensor.is_floating_point() and name not in buffers
        # contiguous: a channels-last weight is no plain array of bytes
        tensors[f"{part}.{name}"] = tensor.detach().to("cpu", dtype if rounded else None).contiguous()
    return tensors
