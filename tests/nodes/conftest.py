"""The nodes in the ComfyUI of this process; the tests are skipped where there is none."""

from __future__ import annotations

import pytest
from hosting import Host, boot, require_comfyui


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs ComfyUI where it is not there."""
    if item.get_closest_marker("comfy"):
        require_comfyui(item.config)


@pytest.fixture(scope="session")
def host(pytestconfig) -> Host:
    """ComfyUI in this process, with this pack."""
    return boot(require_comfyui(pytestconfig))
