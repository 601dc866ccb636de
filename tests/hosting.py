"""A real ComfyUI for the tests: found on this machine, booted in this process, and asked to run prompts."""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib
import importlib.metadata
import io
import logging
import math
import os
import platform
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PACK = Path(__file__).resolve().parents[1]
FOLDER = "sora_nodes"
"""Name of the pack's folder in the test host's custom_nodes."""

ARGUMENTS = ("--cpu", "--disable-api-nodes", "--database-url", "sqlite:///:memory:", "--disable-auto-launch")

NO_CACHE = {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}


def comfyui_places(environment: dict[str, str], system: str, home: Path, pack: Path) -> list[tuple[str, Path]]:
    """Return where a ComfyUI may be, the likeliest first: a name that can be read, and the folder.

    ``COMFYUI_PATH`` alone counts where it is set.
    """
    if named := environment.get("COMFYUI_PATH"):
        return [("COMFYUI_PATH", Path(named).expanduser())]
    places = [
        ("the ComfyUI that this pack is installed in", parent.parent)
        for parent in pack.parents
        if parent.name == "custom_nodes"
    ]
    workspace = ("comfy",) if system == "Linux" else ("Documents", "comfy")
    return [*places, ("comfy-cli's default workspace", home.joinpath(*workspace, "ComfyUI"))]


def missing_requirements(comfyui: Path) -> list[str]:
    """Return the distributions in ComfyUI's requirements.txt that are not installed here."""
    missing = []
    for line in (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines():
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip())
        if name is None:
            continue
        try:
            importlib.metadata.version(name[0])
        except importlib.metadata.PackageNotFoundError:
            missing.append(name[0])
    return missing


def at_place() -> Path | None:
    """Return the first folder that holds a ComfyUI, its requirements installed or not."""
    places = comfyui_places(dict(os.environ), platform.system(), Path.home(), PACK)
    return next((path for _, path in places if (path / "comfy" / "options.py").is_file()), None)


@functools.cache
def find_comfyui() -> tuple[Path | None, str]:
    """Return ComfyUI's folder, or None with the reason in a sentence."""
    found = at_place()
    if found is None:
        places = comfyui_places(dict(os.environ), platform.system(), Path.home(), PACK)
        return None, "ComfyUI was not found; looked at " + ", ".join(f"{name} ({path})" for name, path in places)
    if missing := missing_requirements(found):
        return None, f"ComfyUI is at {found} and its requirements are not installed here: {', '.join(missing)}"
    return found, ""


def require_comfyui(config: pytest.Config) -> Path:
    """Return ComfyUI's folder; without one the test is skipped, or fails under ``--require-comfy``."""
    found, reason = find_comfyui()
    if found is None:
        if config.getoption("--require-comfy"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def private_base(base: Path) -> Path:
    """Make a base directory for a host of our own, or take one again: folders, and this pack in its custom_nodes."""
    for name in ("models/checkpoints", "models/loras", "input", "output", "user", "temp", "custom_nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)
    pack = base / "custom_nodes" / FOLDER
    if pack.exists():
        return base
    try:
        pack.symlink_to(PACK, target_is_directory=True)
    except OSError:  # Windows without the right to make links
        left = shutil.ignore_patterns(".git", "tests", "docs", "runs", "*.egg-info", "__pycache__", ".*_cache")
        shutil.copytree(PACK, pack, ignore=left)
    return base


class PromptError(Exception):
    """A prompt that did not run: ``node`` and ``message`` are what the host shows to the user."""

    def __init__(self, message: str, node: str = "", kind: str = "") -> None:
        super().__init__(f"{node}: {message}")
        self.message, self.node, self.kind = message, node, kind


class Graph:
    """A prompt under construction. Inputs that are not named take the node's own defaults."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.prompt: dict[str, Any] = {}

    def add(self, class_type: str, **inputs: Any) -> list[list[Any]]:
        """Add a node; return the links to its outputs."""
        node = self.host.nodes.NODE_CLASS_MAPPINGS[class_type]
        filled: dict[str, Any] = {}
        for name, (kind, *options) in node.INPUT_TYPES().get("required", {}).items():
            choices = kind if isinstance(kind, list) else (options[0] if options else {}).get("options")
            if options and "default" in options[0]:
                filled[name] = options[0]["default"]
            elif choices:
                filled[name] = choices[0]
        number = str(len(self.prompt) + 1)
        self.prompt[number] = {"class_type": class_type, "inputs": {**filled, **inputs}}
        return [[number, slot] for slot in range(max(1, len(node.RETURN_TYPES)))]

    def give(self, value: Any) -> list[Any]:
        """Return a link to an object that the test made itself."""
        key = uuid.uuid4().hex
        self.host.given[key] = value
        return self.add("TestGive", key=key)[0]


@dataclass
class Host:
    """A ComfyUI booted in this process. One run at a time."""

    comfyui: Path
    base: Path
    nodes: Any
    loop: asyncio.AbstractEventLoop
    log: io.StringIO
    given: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    progress: list[tuple[int, int, Any]] = field(default_factory=list)
    """Steps done, steps in all and the preview, of the last prompt."""
    on_progress: Callable[[int], None] | None = None
    """Called with the steps done."""
    ui: dict[str, Any] = field(default_factory=dict)
    """What the last prompt's nodes show, by node number."""

    def graph(self) -> Graph:
        """Return an empty prompt."""
        return Graph(self)

    def pack(self, name: str) -> Any:
        """Return a module of the pack as the host loaded it, such as ``nodes.adapters.model``."""
        root = str(self.base / "custom_nodes" / FOLDER).replace(".", "_x_")
        return importlib.import_module(f"{root}.{name}")

    def values(self, graph: Graph, *links: list[Any], previews: bool = False) -> Any:
        """Run a prompt; return the objects at ``links`` (one, or a list of them).

        Raises:
            PromptError: the prompt was refused, or a node failed.
        """
        keys = [uuid.uuid4().hex for _ in links]
        for key, link in zip(keys, links, strict=True):
            graph.add("TestKeep", key=key, value=link)
        self.run(graph.prompt, previews=previews)
        kept = [self.kept.pop(key) for key in keys]
        return kept[0] if len(kept) == 1 else kept

    def run(self, prompt: dict[str, Any], *, previews: bool = False) -> dict[str, Any]:
        """Run an API prompt as the host's worker does; return what its nodes show, by node number.

        Raises:
            PromptError: the prompt was refused, or a node failed.
        """
        return self.loop.run_until_complete(self._run(prompt, previews=previews))

    def error(self, graph: Graph, *links: list[Any]) -> PromptError:
        """Run a prompt that must fail; return how."""
        with pytest.raises(PromptError) as caught:
            self.values(graph, *links)
        return caught.value

    async def _run(self, prompt: dict[str, Any], *, previews: bool) -> dict[str, Any]:
        import execution

        self.progress.clear()
        self.kept.clear()
        number = str(uuid.uuid4())
        valid, error, outputs, node_errors = await execution.validate_prompt(number, prompt, None)
        if not valid or node_errors:
            first = next(iter(node_errors.items()), ("", {"errors": [error]}))
            told = first[1]["errors"][0]
            raise PromptError(f"{told['message']}: {told['details']}", prompt.get(first[0], {}).get("class_type", ""))
        extra = {"preview_method": "latent2rgb" if previews else "none"}
        await self._executor.execute_async(prompt, number, extra, outputs)
        for kind, told in self._executor.status_messages:
            if kind == "execution_error":
                raise PromptError(told["exception_message"].strip(), told["node_type"], told["exception_type"])
            if kind == "execution_interrupted":
                raise PromptError("interrupted", told["node_type"], kind)
        self.ui = self._executor.history_result["outputs"]
        return self.ui

    @functools.cached_property
    def _executor(self) -> Any:
        import execution
        import server

        return execution.PromptExecutor(
            server.PromptServer.instance, cache_type=execution.CacheType.CLASSIC, cache_args=NO_CACHE
        )


@functools.cache
def boot(comfyui: Path) -> Host:
    """Boot ComfyUI in this process, once: CPU, a private base directory, this pack and no other."""
    base = private_base(Path(tempfile.mkdtemp(prefix="sora_host_")))
    atexit.register(shutil.rmtree, base, ignore_errors=True)  # the pack in it is a link, which is not followed
    # Its top level has a module `nodes`, and so has this checkout: ComfyUI's must come first.
    sys.path.insert(0, str(comfyui))
    log, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(log), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    arguments, sys.argv = sys.argv, ["main.py", *ARGUMENTS, "--base-directory", str(base)]
    try:
        options = importlib.import_module("comfy.options")
        options.enable_args_parsing()
        # Read once, at import.
        importlib.import_module("comfy.cli_args")
    finally:
        sys.argv = arguments
    nodes, server = importlib.import_module("nodes"), importlib.import_module("server")
    assert hasattr(nodes, "NODE_CLASS_MAPPINGS"), f"the module nodes is {nodes.__file__}, not ComfyUI's"
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=True, init_api_nodes=False))
    root.removeHandler(handler)
    root.setLevel(level)
    host = Host(comfyui=comfyui, base=base, nodes=nodes, loop=loop, log=log)
    _add_test_nodes(host)
    return host


def _add_test_nodes(host: Host) -> None:
    """Register two nodes by which a test puts objects into a prompt and takes them out."""

    class Anything(str):
        """A socket type that fits every other."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __ne__(self, other: object) -> bool:
            return False

    anything = Anything("*")

    class TestGive:
        RETURN_TYPES, FUNCTION, CATEGORY = (anything,), "give", "test"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"key": ("STRING", {})}}

        def give(self, key: str) -> tuple[Any]:
            return (host.given[key],)

    class TestKeep:
        RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "keep", "test", True

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"key": ("STRING", {}), "value": (anything, {})}}

        @classmethod
        def IS_CHANGED(cls, **_: Any) -> float:
            return math.nan

        def keep(self, key: str, value: Any) -> tuple[()]:
            host.kept[key] = value
            return ()

    host.nodes.NODE_CLASS_MAPPINGS.update(TestGive=TestGive, TestKeep=TestKeep)
    import comfy.utils

    def hook(value: int, total: int, preview: Any, node_id: Any = None) -> None:  # noqa: ARG001
        host.progress.append((value, total, preview))
        if host.on_progress is not None:
            host.on_progress(value)

    comfy.utils.set_progress_bar_global_hook(hook)


if __name__ == "__main__":
    # for scripts: the folder, or nothing
    sys.stdout.write(f"{at_place() or ''}\n")
