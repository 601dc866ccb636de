"""Every test here runs inside a real ComfyUI, or is skipped where there is none."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hosting import Host, boot, require_comfyui
from serving import Server, serve

HERE = Path(__file__).parent

LONGEST = ("test_workflows.py", "test_storyboard_nodes.py", "test_pack.py", "test_same_as_library.py")
"""Files that take minutes: they begin first, so that one process does not wait long for another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and put the longest files first."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.comfy)
    rank = {HERE / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where ComfyUI is not there, before any fixture."""
    require_comfyui(item.config)


@pytest.fixture(scope="session")
def comfyui(pytestconfig) -> Path:
    """ComfyUI's folder."""
    return require_comfyui(pytestconfig)


@pytest.fixture
def tell(capsys) -> Callable[[str], None]:
    """Write a measured figure to the terminal."""

    def write(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write


@pytest.fixture(scope="session")
def host(comfyui, tiny_checkpoint) -> Host:
    """ComfyUI in this process, with this pack and a tiny model of random weights in its folder of checkpoints."""
    host = boot(comfyui)
    shutil.copyfile(tiny_checkpoint, host.base / "models" / "checkpoints" / "tiny.safetensors")
    return host


@pytest.fixture
def run(host):
    """Run an API prompt in the host of this process: what its nodes show comes back, a failure is a `PromptError`."""
    return host.run


@pytest.fixture(scope="session")
def server(comfyui, tmp_path_factory) -> Iterator[Server]:
    """ComfyUI as a server of its own, killed at the end."""
    with serve(comfyui, tmp_path_factory.mktemp("served")) as server:
        yield server
