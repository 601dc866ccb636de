"""The node modules without ComfyUI: run with something that takes every call in place of the host and the adapters."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACK = Path(__file__).resolve().parents[1]
NAME = "sora_nodes_without_host"


class Anything:
    """Has every attribute, one item, can be called and derived from, and remembers what it was called with.

    called: its dotted name. args, options: of its last call.
    """

    def __init__(self, called: str, args: tuple[Any, ...] = (), options: dict[str, Any] | None = None) -> None:
        self.called, self.args, self.options = called, args, options or {}

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(f"{self.called}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Anything:
        return Anything(self.called, args, options)

    def __getitem__(self, key: Any) -> Anything:
        return Anything(f"{self.called}[{key!r}]")

    def __iter__(self) -> Iterator[Anything]:
        return iter((self[0],))

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class _Module(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name)


def node_modules() -> list[ModuleType]:
    """Return the pack's node modules."""
    if NAME not in sys.modules:
        for name, path in ((NAME, PACK), (f"{NAME}.nodes", PACK / "nodes")):
            package = sys.modules[name] = ModuleType(name)
            package.__path__ = [str(path)]
        adapters = [path.stem for path in (PACK / "nodes" / "adapters").glob("*.py")]
        for name in ("host", "adapters", *(f"adapters.{adapter}" for adapter in adapters)):
            module = sys.modules[f"{NAME}.nodes.{name}"] = _Module(f"{NAME}.nodes.{name}")
            module.__path__ = []
    names = sorted(path.stem for path in (PACK / "nodes").glob("*.py") if path.stem not in {"__init__", "host"})
    return [importlib.import_module(f"{NAME}.nodes.{name}") for name in names]


def schemas() -> dict[str, Anything]:
    """Return every node's schema, by its class's name."""
    return {
        name: value.define_schema()
        for module in node_modules()
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and "define_schema" in vars(value)
    }
