"""The user's own classifiers: what they are called with, and the card that says what they are.

A classifier is a plain callable beside a card. This package loads no weights: the caller does, from the safetensors
file whose hash the card names, and hands the callable in.
"""
# F frames, H W pixels, C channels, S samples

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import SoraError
from .reading import read_toml
from .rule import KINDS, LONGEST_NAME, one_of, text_of

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_SUFFIX = ".safetensors"
_LABEL_KEYS = {"category", "block", "review", "false_positive", "false_negative", "measured_on", "count"}
_HEADER_LIMIT = 8 << 20


class ImageCall(Protocol):
    """What judges frames."""

    def __call__(self, frames_FHWC: Tensor, /) -> Mapping[str, Sequence[float] | Tensor]:
        """Return for each label one score from 0 to 1 for each frame; frames are uint8 RGB, [F, H, W, 3]."""
        ...


class TextCall(Protocol):
    """What judges a text."""

    def __call__(self, text: str, /) -> Mapping[str, float]:
        """Return a score from 0 to 1 for each label."""
        ...


class SoundCall(Protocol):
    """What judges a sound."""

    def __call__(self, sound_CS: Tensor, sample_rate: int, /) -> Mapping[str, float]:
        """Return a score from 0 to 1 for each label; the sound is float32 from -1 to 1, [C, S]."""
        ...


class TranscriptCall(Protocol):
    """What writes down speech."""

    def __call__(self, sound_CS: Tensor, sample_rate: int, /) -> str:
        """Return what is said; "" where nothing is."""
        ...


@dataclass(frozen=True, kw_only=True)
class Label:
    """One thing that a classifier tells.

    block, review: scores from which the action follows; None where it does not. false_positive, false_negative: shares
    as measured at ``block``, by whoever wrote the card, on ``count`` examples of ``measured_on``.
    """

    category: str
    block: float | None = None
    review: float | None = None
    false_positive: float | None = None
    false_negative: float | None = None
    measured_on: str = ""
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a classifier is. kind: one of `rule.KINDS`. sha256: of its weights, "" where it has none."""

    name: str
    kind: str
    licence: str
    sha256: str = ""
    labels: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A callable and its card. call: `ImageCall`, `TextCall`, `SoundCall` or `TranscriptCall`, by the card's kind."""

    card: Card
    call: Any

    def __post_init__(self) -> None:
        """Check that it can be called.

        Raises:
            SoraError: it cannot.
        """
        if not callable(self.call):
            raise SoraError(
                f"the classifier {self.card.name!r} cannot be called; give a function or an object with one"
            )


def read_card(path: Path) -> Card:
    """Read a card, and check the weights beside it against its hash.

    The file is TOML: ``name``, ``kind``, ``licence``, for weights ``file`` (a .safetensors file in the same folder) and
    ``sha256``, and for each label a table ``[labels.NAME]`` with ``category``, ``block``, ``review`` and, as measured,
    ``false_positive``, ``false_negative``, ``measured_on``, ``count``.

    Raises:
        SoraError: it is no card, the weights are not what it says, or they are not safetensors.
    """
    table = read_toml(path)[0]
    place = f"the card {path.name}"
    unknown = sorted(set(table) - {"name", "kind", "licence", "file", "sha256", "labels"})
    if unknown:
        raise SoraError(f"{place} has the key {unknown[0]!r}; it may have name, kind, licence, file, sha256 and labels")
    kind = one_of(table, "kind", KINDS, place)
    if ("file" in table) != ("sha256" in table):
        raise SoraError(f"{place} names file or sha256 alone; give both for weights, and neither where there are none")
    sha256 = _check_weights(path, table, place) if "file" in table else ""
    labels = table.get("labels", {})
    if not isinstance(labels, dict) or (not labels and kind != "transcript"):
        raise SoraError(f"{place} has no labels; give a table [labels.NAME] for each")
    return Card(
        name=text_of(table, "name", place, LONGEST_NAME),
        kind=kind,
        licence=text_of(table, "licence", place, LONGEST_NAME),
        sha256=sha256,
        labels={name: _label(one, f"{place}, label {name!r:.40}") for name, one in labels.items()},
    )


def _label(table: object, place: str) -> Label:
    if not isinstance(table, dict):
        raise SoraError(f"{place} is no table; write [labels.NAME]")
    unknown = sorted(set(table) - _LABEL_KEYS)
    if unknown:
        raise SoraError(f"{place} has the key {unknown[0]!r}; it may have {', '.join(sorted(_LABEL_KEYS))}")
    for key in ("block", "review", "false_positive", "false_negative"):
        value = table.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise SoraError(f"{place} has {key} = {value!r:.40}; it must be a number from 0 to 1")
    count = table.get("count", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise SoraError(f"{place} has count = {count!r:.40}; it must be a whole number, 0 or more")
    if "measured_on" in table:
        text_of(table, "measured_on", place, 200)
    return Label(**{**table, "category": text_of(table, "category", place, LONGEST_NAME)})


def _check_weights(card: Path, table: Mapping[str, Any], place: str) -> str:
    name = text_of(table, "file", place, 255)
    if Path(name).name != name or "\\" in name or name in {".", ".."} or ":" in name:
        raise SoraError(f"{place} has file = {name!r:.60}; it must be a plain name in the same folder")
    if not name.endswith(WEIGHTS_SUFFIX):
        raise SoraError(f"{place} names {name!r:.60}; only {WEIGHTS_SUFFIX} is taken, for other formats can run code")
    path = card.parent / name
    digest = hashlib.sha256()
    try:
        if path.resolve().parent != card.parent.resolve():
            raise SoraError(
                f"{place} has file = {name!r:.60}, which leads out of its folder; put the file itself there"
            )
        with path.open("rb") as file:
            head = file.read(9)
            length = int.from_bytes(head[:8], "little")
            if len(head) < 9 or not 2 <= length <= _HEADER_LIMIT or head[8:] != b"{":
                raise SoraError(f"{place} names {name!r:.60}, which is no safetensors file; convert the weights")
            file.seek(0)
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise SoraError(f"{place} names {name!r:.60}, which cannot be read: {error.strerror}; put it there") from error
    if table["sha256"] != digest.hexdigest():
        raise SoraError(
            f"{place} says sha256 {table['sha256']!s:.16}... and {name} has {digest.hexdigest()[:16]}...; "
            "get the file that the card is about"
        )
    return digest.hexdigest()
