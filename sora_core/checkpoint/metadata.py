"""The head of a checkpoint file, read without torch: what it is, what it was trained for, and why it is refused.

A safetensors file is eight bytes of length, that much JSON (one entry per tensor and ``__metadata__``), then the raw
tensors without gaps. Everything is checked before anything is believed.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SoraError
from ..request import Defaults, Quick

FORMAT_VERSION = "1"

PARTS = ("text", "dit", "video_vae", "audio_vae")
"""The four models; the name is the prefix of their tensors."""

PIPELINE = "pipeline"
"""``sora.component`` of a file that holds all four and the tokenizer."""

TOKENIZER = "tokenizer"
"""Name of the uint8 tensor that holds the tokenizer's bytes."""

QUICK = "quick"
"""Prefix of the tensors of the quick model (see `dit.lora`); optional, described by ``sora.quick``."""

SUPPORTED = f"Sora checkpoints are .safetensors files with sora.format_version {FORMAT_VERSION}"

_DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

_MAX_HEADER = 100 << 20

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive as torch.save writes it, which holds pickle and could run any code"),
    (b"\x80\x02", "a pickle, which could run any code"),
    (b"\x80\x03", "a pickle, which could run any code"),
    (b"\x80\x04", "a pickle, which could run any code"),
    (b"\x80\x05", "a pickle, which could run any code"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the weights (run git lfs pull)"),
    (b"<", "a web page or other markup"),
)
"""First bytes of what people pass by mistake."""


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One tensor: ``dtype`` as safetensors spells it, ``shape``, and its place, ``start`` to ``end`` of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file says of itself, in the order of the file."""

    path: Path
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class World:
    """What the model has seen: ``level`` of the rendered world, and every word of its captions in lower case."""

    level: int
    words: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """A checkpoint's own account of itself.

    Args:
        path, header: where it stands in the file.
        component: ``"pipeline"`` or the one part that it holds.
        config: each part's configuration as plain JSON values.
        defaults: what to make when nothing else is asked, with what the file says of its quick model.
        training: the record of the run, free JSON.
        world: what it has seen; None for a lone part.
    """

    path: Path
    header: Header
    component: str
    config: dict[str, dict[str, Any]]
    defaults: Defaults
    training: dict[str, Any]
    world: World | None

    def parameters(self, part: str) -> int:
        """Return how many numbers the part's tensors hold."""
        return sum(info.count for name, info in self.header.tensors.items() if name.startswith(f"{part}."))


def read_metadata(path: Path) -> Metadata:
    """Read and check the head of one of our checkpoints.

    Raises:
        SoraError: the file is missing, not a safetensors file, cut off, foreign or of another version.
    """
    header = read_header(path)
    found = header.metadata
    if "sora.format_version" not in found:
        first = next(iter(header.tensors), None)
        keys = f"{len(header.tensors)} tensors, first key {first!r}" if first else "no tensors"
        raise SoraError(f"{path} is a safetensors file of another program ({keys}); {SUPPORTED}")
    if (version := found["sora.format_version"]) != FORMAT_VERSION:
        raise SoraError(f"{path} has sora.format_version {version!r}, and this package reads {FORMAT_VERSION}")
    config = _json(path, found, "sora.config")
    component = found.get("sora.component", "")
    expected = PARTS if component == PIPELINE else (component,)
    if component not in (PIPELINE, *PARTS) or any(not isinstance(config.get(part), dict) for part in expected):
        raise SoraError(
            f"{path} holds component {component!r} with settings for {', '.join(config) or 'nothing'}; "
            f"supported are {PIPELINE} and {', '.join(PARTS)}, each with its settings"
        )
    if component == PIPELINE and TOKENIZER not in header.tensors:
        raise SoraError(f"{path} lacks the tensor {TOKENIZER!r}; write it again with save_checkpoint")
    world = _json(path, found, "sora.world")
    return Metadata(
        path=path,
        header=header,
        component=component,
        config=config,
        defaults=replace(Defaults.from_dict(_json(path, found, "sora.defaults")), quick=_quick(path, header, config)),
        training=_json(path, found, "sora.training"),
        world=_world(path, world) if world else None,
    )


def read_header(path: Path) -> Header:
    """Read any safetensors file's head and check it against the file's own length.

    Raises:
        SoraError: with what was found instead.
    """
    if path.is_dir():
        raise SoraError(f"{path} is a folder; name one file in it ({SUPPORTED})")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(32)
            length = int.from_bytes(start[:8], "little")
            looks_right = len(start) > 8 and start[8:9] == b"{" and length <= _MAX_HEADER
            raw = start[8:] + file.read(max(0, length - len(start) + 8)) if looks_right else b""
    except FileNotFoundError:
        raise SoraError(f"checkpoint {path} does not exist; check the name, or leave it away") from None
    except OSError as error:
        raise SoraError(f"checkpoint {path} cannot be read: {error.strerror}; check its permissions") from error
    if not looks_right:
        raise SoraError(f"{path} is {_what_is(start)}; {SUPPORTED}")
    if size < 8 + length:
        raise SoraError(_cut_off(path, size, 8 + length))
    try:
        values = json.loads(raw[:length])
    except ValueError:
        raise SoraError(f"{path} has a damaged head (not JSON); copy it again ({SUPPORTED})") from None
    return _parse_header(path, values, 8 + length, size)


def find_checkpoint() -> Path:
    """Return the shipped checkpoint: the last by name of the package's files that hold all parts.

    Raises:
        SoraError: this installation has none.
    """
    folder = Path(__file__).parent.parent / "weights"
    for path in sorted(folder.glob("*.safetensors"), reverse=True):
        if read_header(path).metadata.get("sora.component") == PIPELINE:
            return path
    raise SoraError("this installation holds no trained model; name one with --checkpoint, or make one with sora train")


def file_hash(path: Path) -> str:
    """Return the file's SHA-256 in hex: the name of a model in a clip's tags."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def _parse_header(path: Path, values: object, data_start: int, size: int) -> Header:
    """Check every entry: known type, length that fits the shape, no gap, no overlap, nothing past the end."""
    damaged = SoraError(f"{path} has a damaged head (an entry without a sound type, shape or place); copy it again")
    if not isinstance(values, dict):
        raise damaged
    metadata = values.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged
    tensors: dict[str, TensorInfo] = {}
    for name, entry in values.items():
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(end)]}:
                sound = dtype in _DTYPE_BYTES and all(isinstance(n, int) and n >= 0 for n in shape)
                if not sound or not 0 <= start <= end or end - start != math.prod(shape) * _DTYPE_BYTES[dtype]:
                    raise damaged
            case _:
                raise damaged
        tensors[name] = TensorInfo(dtype=dtype, shape=tuple(shape), start=data_start + start, end=data_start + end)
    tensors = dict(sorted(tensors.items(), key=lambda item: item[1].start))
    expected = data_start
    for info in tensors.values():
        if info.start != expected:
            raise damaged
        expected = info.end
    if size < expected:
        raise SoraError(_cut_off(path, size, expected))
    if size > expected:
        raise SoraError(f"{path} has {size - expected:,} bytes after its last tensor; copy it again")
    return Header(path=path, tensors=tensors, metadata=metadata)


def _what_is(start: bytes) -> str:
    if not start:
        return "empty"
    if len(start) <= 8:
        return f"only {len(start)} bytes long"
    return next((name for magic, name in _MAGIC if start.startswith(magic)), "not a safetensors file")


def _cut_off(path: Path, size: int, expected: int) -> str:
    return f"{path} is cut off: {size:,} bytes of at least {expected:,}; download or copy it again"


def _json(path: Path, metadata: dict[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata.get(key, ""))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SoraError(f"{path} has no sound {key} in its metadata; write it again with save_checkpoint")
    return value


def _quick(path: Path, header: Header, config: dict[str, Any]) -> Quick | None:
    """Return what the file says of its quick model, None if it has none.

    Raises:
        SoraError: tensors without that record, a record without tensors or without a transformer, or one that is wrong.
    """
    has_tensors = any(name.startswith(f"{QUICK}.") for name in header.tensors)
    if "sora.quick" not in header.metadata and not has_tensors:
        return None
    if "sora.quick" not in header.metadata or not has_tensors or "dit" not in config:
        raise SoraError(f"{path} holds one half of a quick model only (tensors, sora.quick, dit); copy it again")
    try:
        return Quick.from_dict(_json(path, header.metadata, "sora.quick"))
    except (SoraError, TypeError) as error:
        raise SoraError(f"{path}: its sora.quick is not supported: {error}") from error


def _world(path: Path, values: dict[str, Any]) -> World:
    match values:
        case {"level": int(level), "words": list(words)}:
            return World(level=level, words=frozenset(map(str, words)))
    raise SoraError(f"{path} has a sora.world without level and words; write it again with save_checkpoint")
