"""The base of every model's frozen configuration: to and from the JSON that travels in a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from .errors import SoraError

ConfigT = TypeVar("ConfigT", bound="Config")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Frozen settings of one model; sizes that follow from others are properties, never fields."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, every field named."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[ConfigT], values: dict[str, Any]) -> ConfigT:
        """Build from ``to_dict``'s values.

        Raises:
            SoraError: a key is missing or unknown; nothing is guessed.
        """
        known = {field.name for field in fields(cls)}
        if missing := sorted(known - values.keys()):
            raise SoraError(f"{cls.__name__} lacks {', '.join(missing)}; the checkpoint was written by another version")
        if unknown := sorted(values.keys() - known):
            raise SoraError(f"{cls.__name__} does not know {', '.join(unknown)}; update the package to load this file")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
