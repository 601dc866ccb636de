"""A name for anything by what it holds: the same content gives the same name, on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SoraError

DEEPEST = 32
"""Nesting that is still named (our decision; a value that holds itself would never end)."""

_BLOCK = 1 << 20


def content_key(values: Mapping[str, object]) -> str:
    """Return 64 hex digits: the SHA-256 of the mapping as canonical JSON.

    Numbers count by their value (``5`` and ``5.0`` are the same) and lists like tuples; the order of a mapping's keys
    does not matter. Bytes, arrays and tensors count by type, shape and content, files (`pathlib.Path`) by their bytes
    alone, and films (`film.Film`) by picture, sound and rate.

    Args:
        values: nested mappings with text keys, lists, and the values above.

    Raises:
        SoraError: a value that cannot be named, or a file that cannot be read; the sentence says where it is.
    """
    text = json.dumps(_canonical(values, "the key", 0), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _canonical(value: object, place: str, depth: int) -> object:
    """Return JSON in which every list begins with its kind, so that no two values of different kinds look the same."""
    if depth > DEEPEST:
        raise SoraError(f"{place} is nested more than {DEEPEST} deep; flatten it")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _number(value, place)
    if isinstance(value, Mapping):
        return _mapping(value, place, depth)
    if isinstance(value, (list, tuple)):
        return ["list", *(_canonical(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value))]
    if isinstance(value, (bytes, bytearray)):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    return ["file", _file(value, place)] if isinstance(value, Path) else _data(value, place, depth)


def _mapping(values: Mapping[object, object], place: str, depth: int) -> dict[str, object]:
    for key in values:
        if not isinstance(key, str):
            raise SoraError(f"{place} holds the key {repr(key)[:40]}, which is not text; name it")
    return {str(key): _canonical(item, f"{place}.{key}", depth + 1) for key, item in values.items()}


def _number(value: float, place: str) -> float:
    if isinstance(value, float) and not math.isfinite(value):
        raise SoraError(f"{place} is {value}, which is not a number; write a finite one")
    return int(value) if value == int(value) else float(value)


def _file(path: Path, place: str) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise SoraError(f"{place}: {path} cannot be read ({error.strerror or error}); name a file") from error


def _data(value: Any, place: str, depth: int) -> object:  # noqa: ANN401
    # a tensor or array can only be here if its library is loaded already
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.generic):
        return _canonical(value.item(), place, depth + 1)
    if torch is not None and isinstance(value, torch.Tensor):
        try:
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise SoraError(f"{place} is a tensor without plain numbers; make it a dense one") from error
        return ["tensor", str(value.dtype), list(value.shape), hashlib.sha256(flat).hexdigest()]
    if numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        flat = numpy.ascontiguousarray(value).reshape(-1).view(numpy.uint8)
        return ["array", value.dtype.str, list(value.shape), hashlib.sha256(flat).hexdigest()]
    if callable(getattr(value, "frames", None)) and callable(getattr(value, "sound", None)):
        return _film(value)
    raise SoraError(f"{place} is a {type(value).__name__}, which has no content to go by; give text, numbers or data")


def _film(film: Any) -> object:  # noqa: ANN401
    picture, sound = hashlib.sha256(), hashlib.sha256()
    for piece in film.frames():
        picture.update(piece.contiguous().numpy())
    samples = round(film.num_frames * film.sample_rate / film.fps) if film.channels else 0
    for start in range(0, samples, _BLOCK):
        sound.update(film.sound(start, min(start + _BLOCK, samples)).contiguous().numpy())
    shape = [film.num_frames, film.height, film.width, film.channels, film.sample_rate, float(film.fps).hex()]
    return ["film", shape, picture.hexdigest(), sound.hexdigest()]
