"""Build the models that a checkpoint describes and fill them, strictly.

torch is imported where it is used, so that a file's head can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from .keymap import current_name
from .metadata import PIPELINE, QUICK, TOKENIZER, Metadata, find_checkpoint, read_metadata

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ..audio_vae import AudioVAE
    from ..dit import DiT, Lora
    from ..text import TextEncoder, Tokenizer
    from ..video_vae import VideoVAE

NAMED_KEYS = 5
"""How many wrong keys a refusal names; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The models of one file, in evaluation mode, and what it says of itself.

    ``quick`` is the transformer's LoRA for few steps, on the CPU in float32, or None where the file has none.
    """

    text: TextEncoder
    dit: DiT
    video_vae: VideoVAE
    audio_vae: AudioVAE
    tokenizer: Tokenizer
    metadata: Metadata
    quick: Lora | None = None


def load_checkpoint(
    path: Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    operations: ModuleType | type | None = None,
) -> Checkpoint:
    """Load all models of a pipeline file.

    Args:
        path: the file; None takes the shipped one.
        device: where the models go.
        dtype: of their parameters; None takes float32 on a CPU and bfloat16 elsewhere. Buffers have the dtype that
            their module declares.
        operations: namespace with Linear, Conv2d and so on; None is ``torch.nn``.

    Raises:
        SoraError: the file is refused; the sentence says what was found and what is supported.
    """
    metadata = read_metadata(path or find_checkpoint())
    if metadata.component != PIPELINE:
        raise SoraError(f"{metadata.path} holds only the part {metadata.component!r}; name a file with all of them")
    from ..text import Tokenizer

    tensors = _read_tensors(metadata)
    tokenizer = Tokenizer.from_bytes(tensors.pop(TOKENIZER).numpy().tobytes())
    quick = _quick(metadata, tensors)
    models: dict[str, Any] = {
        part: _build(metadata, part, tensors, device=device, dtype=dtype, operations=operations)
        for part in metadata.config
    }
    _refuse(metadata.path, "pipeline", unexpected=list(tensors))
    return Checkpoint(tokenizer=tokenizer, metadata=metadata, quick=quick, **models)


def load_part(
    path: Path,
    part: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    operations: ModuleType | type | None = None,
) -> nn.Module:
    """Load one model of a file, a whole pipeline or that part alone; arguments and errors as `load_checkpoint`."""
    metadata = read_metadata(path)
    _require(metadata, part)
    tensors = _read_tensors(metadata, part)
    return _build(metadata, part, tensors, device=device, dtype=dtype, operations=operations)


def read_part(path: Path, part: str) -> tuple[Any, dict[str, Tensor]]:
    """Return one model's configuration and its tensors by today's names, in the file's types.

    For a host that builds the module itself, with weights that come later: what fits is known before it does.

    Raises:
        SoraError: as `load_checkpoint`.
    """
    metadata = read_metadata(path)
    _require(metadata, part)
    return _checked(metadata, part, _read_tensors(metadata, part))


def read_quick(path: Path) -> Lora:
    """Return the LoRA of a file's quick model, on the CPU in float32.

    Raises:
        SoraError: it has none, or the file is refused.
    """
    metadata = read_metadata(path)
    if metadata.defaults.quick is None:
        raise SoraError(f"{path} holds no quick model; take the full one, or make one with sora train --stage distil")
    tensors = _read_tensors(metadata, QUICK) | _read_tensors(metadata, "dit")
    lora = _quick(metadata, tensors)
    assert lora is not None
    return lora


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a pipeline file; errors as `load_checkpoint`."""
    from ..text import Tokenizer

    metadata = read_metadata(path)
    tensors = _read_tensors(metadata, TOKENIZER)
    if TOKENIZER not in tensors:
        raise SoraError(f"{path} holds no tokenizer; name a file with all parts of a pipeline")
    return Tokenizer.from_bytes(tensors[TOKENIZER].numpy().tobytes())


def _read_tensors(metadata: Metadata, part: str | None = None) -> dict[str, Tensor]:
    """Return the file's tensors (memory-mapped) by today's names, all or one part's."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(metadata.path, framework="pt") as file:
            for old in metadata.header.tensors:
                name = current_name(old)
                if part is None or name == part or name.startswith(f"{part}."):
                    tensors[name] = file.get_tensor(old)
    except SafetensorError as error:
        raise SoraError(f"{metadata.path} cannot be read ({error}); copy it again") from error
    return tensors


def _quick(metadata: Metadata, tensors: dict[str, Tensor]) -> Lora | None:
    """Move the quick model's tensors out of ``tensors``, which still hold the transformer's; None if there are none."""
    said, prefix = metadata.defaults.quick, f"{QUICK}."
    if said is None:
        return None
    from ..dit import Lora

    own = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
    shapes = {name.removeprefix("dit."): tensor.shape for name, tensor in tensors.items() if name.startswith("dit.")}
    try:
        return Lora.from_tensors(shapes, own, said.rank, said.steps)
    except SoraError as error:
        raise SoraError(f"{metadata.path}: {error}") from error


def _build(
    metadata: Metadata,
    part: str,
    tensors: dict[str, Tensor],
    *,
    device: torch.device | str,
    dtype: torch.dtype | None,
    operations: ModuleType | type | None,
) -> nn.Module:
    """Build one part and move its tensors out of ``tensors`` into it."""
    import torch

    _, model_class = _classes(part)
    config, state = _checked(metadata, part, tensors)
    dtype = dtype or (torch.float32 if torch.device(device).type == "cpu" else torch.bfloat16)
    # not on the meta device: what a module computes for itself (windows, rotary tables) would stay empty there
    with _without_initialisation():
        model = model_class(config, operations=operations or torch.nn, device=device, dtype=dtype)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def _checked(metadata: Metadata, part: str, tensors: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """Move one part's tensors out of ``tensors``; return them with its configuration, refused unless they fit it."""
    import torch

    config_class, model_class = _classes(part)
    prefix = f"{part}."
    state = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
    try:
        config = config_class.from_dict(metadata.config[part])
    except (SoraError, TypeError) as error:
        raise SoraError(f"{metadata.path}: the settings of {part!r} are not supported: {error}") from error
    with torch.device("meta"), _without_initialisation():
        own: dict[str, Tensor] = model_class(config, device="meta").state_dict()
    _refuse(
        metadata.path,
        part,
        missing=[name for name in own if name not in state],
        unexpected=[name for name in state if name not in own],
        mismatched=[
            f"{name} is {_describe(state[name])} and should be {_describe(own[name])}"
            for name in own
            if name in state and not _fits(state[name], own[name])
        ],
    )
    return config, state


def _require(metadata: Metadata, part: str) -> None:
    if part not in metadata.config:
        held = ", ".join(metadata.config)
        raise SoraError(f"{metadata.path} holds no {part!r}, only {held}; name another file")


def _classes(part: str) -> tuple[Any, Any]:
    """Return the part's configuration and model class."""
    if part == "text":
        from ..text import TextConfig, TextEncoder

        return TextConfig, TextEncoder
    if part == "dit":
        from ..dit import DiT, DiTConfig

        return DiTConfig, DiT
    if part == "video_vae":
        from ..video_vae import VideoVAE, VideoVAEConfig

        return VideoVAEConfig, VideoVAE
    assert part == "audio_vae", part
    from ..audio_vae import AudioVAE, AudioVAEConfig

    return AudioVAEConfig, AudioVAE


def _without_initialisation() -> AbstractContextManager[object]:
    """Return a context in which ``torch.nn.init`` does nothing: every weight is about to be overwritten."""
    from torch.overrides import TorchFunctionMode

    class SkipInit(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., object],
            types: Sequence[type],
            args: Sequence[object] = (),
            kwargs: dict[str, object] | None = None,
        ) -> object:
            kwargs = kwargs or {}
            if getattr(func, "__module__", "") == "torch.nn.init":
                return kwargs["tensor"] if "tensor" in kwargs else args[0]
            return func(*args, **kwargs)

    return SkipInit()


def _fits(found: Tensor, wanted: Tensor) -> bool:
    """Say whether a tensor of the file can fill its place: same shape, and numbers of the same kind."""
    same_kind = found.is_floating_point() == wanted.is_floating_point()
    return found.shape == wanted.shape and same_kind and (found.is_floating_point() or found.dtype == wanted.dtype)


def _describe(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _refuse(
    path: Path,
    part: str,
    *,
    missing: Sequence[str] = (),
    unexpected: Sequence[str] = (),
    mismatched: Sequence[str] = (),
) -> None:
    """Raise if a list is not empty, naming the first of each."""
    found = [
        f"{len(names)} {kind}: {', '.join(names[:NAMED_KEYS])}{' ...' if len(names) > NAMED_KEYS else ''}"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
        if names
    ]
    if found:
        raise SoraError(
            f"{path} does not fit its own settings for {part!r}: {'; '.join(found)}; "
            "use the package version that wrote it"
        )
