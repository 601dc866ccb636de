"""Write one model, or all of them, as one file that explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import replacing
from ..errors import SoraError
from ..request import Defaults, Quick
from .metadata import FORMAT_VERSION, PARTS, PIPELINE, QUICK, TOKENIZER, World, read_metadata

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ..dit import Lora

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


def write_quick(
    source: Path, path: Path, *, quick: Quick, lora: Lora | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a checkpoint again with a quick model beside its transformer; everything else stays bit for bit.

    Args:
        source: the checkpoint. path: where to; it may be ``source``.
        quick: what the file is to say of it.
        lora: the quick model in place of any that is there; None keeps that one, to change what is said of it (such as
            ``replace(read_metadata(path).defaults.quick, default=True)``).
        dtype: of its tensors in the file, bfloat16 unless given.

    Raises:
        SoraError: ``source`` is refused or holds no transformer or, without ``lora``, no quick model of that rank and
            those steps; or the file cannot be written.
    """
    import torch
    from safetensors.torch import load_file, save_file

    found = read_metadata(source)
    if "dit" not in found.config:
        raise SoraError(f"{source} holds no 'dit', only {', '.join(found.config)}; name another file")
    there = found.defaults.quick
    if lora is None and (there is None or (there.rank, there.steps) != (quick.rank, quick.steps)):
        raise SoraError(f"{source} holds no quick model of rank {quick.rank} for {quick.words} steps; give its LoRA")
    tensors = load_file(source)
    if lora is not None:
        assert (lora.rank, lora.steps) == (quick.rank, quick.steps), (lora.rank, lora.steps)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(f"{QUICK}.")}
        made = {f"{QUICK}.{name}": tensor for name, tensor in lora.tensors().items()}
        tensors |= {name: tensor.to("cpu", dtype or torch.bfloat16).contiguous() for name, tensor in made.items()}
    metadata = found.header.metadata | {"sora.quick": json.dumps(quick.to_dict())}
    with replacing(path) as hidden:
        save_file(tensors, hidden, metadata)
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
