"""The front end, driven as a person would: templates and blueprints open whole, and Run makes a clip.

Needs Chromium (``CHROMIUM``, or ``/usr/bin/chromium``), node, and playwright-core where node finds it:
``npm install --prefix DIR playwright-core``, then ``NODE_PATH=DIR/node_modules``. ``SORA_SHOTS`` names a folder for
screenshots.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import serving
from hosting import FOLDER
from workflow_support import BLUEPRINTS, FAMILIES, OURS, read_prompt

pytestmark = [pytest.mark.slow, pytest.mark.weights]

DRIVER = Path(__file__).with_name("browser.mjs")
RUN = "text_to_video"

QUIET = {"Comfy.Minimap.Visible": False, "Comfy.Graph.CanvasInfo": False, "Comfy.TutorialCompleted": True}
"""Settings that leave the canvas alone in the screenshots."""


@pytest.fixture(scope="module")
def drive():
    """Return the driver: a question in, what was seen in the browser out."""
    node, chromium = shutil.which("node"), os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if node is None:
        pytest.skip("node is not installed; it drives the browser")
    if not Path(chromium).exists():
        pytest.skip(f"there is no Chromium at {chromium}; install it, or name one with CHROMIUM")
    find = "require('module').createRequire(process.argv[1]).resolve('playwright-core')"
    if subprocess.run([node, "-e", find, str(DRIVER)], capture_output=True, check=False).returncode:
        pytest.skip(
            "node does not find playwright-core; npm install --prefix DIR it and set NODE_PATH=DIR/node_modules"
        )

    def ask(**asked: Any) -> dict[str, Any]:
        command = [node, str(DRIVER), json.dumps({"folder": FOLDER, "settings": QUIET, **asked})]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return ask


@pytest.fixture(scope="module")
def seen(drive, server):
    """What the browser saw of the templates of our model, and of all blueprints."""
    return drive(
        url=server.url, templates=OURS, run=[RUN], blueprints=BLUEPRINTS, shots=os.environ.get("SORA_SHOTS", "")
    )


@pytest.mark.parametrize("name", OURS)
def test_template_opens_whole(name, seen):
    opened = seen["templates"][name]
    assert opened["missing"] == []
    assert opened["prompt"] == read_prompt(name)


def test_templates_of_other_families_miss_nothing_but_weights(drive, server):
    (server.base / "input" / "clip.mp4").touch()
    opened = drive(url=server.url, templates=FAMILIES, shots=os.environ.get("SORA_SHOTS", ""))["templates"]
    for name in FAMILIES:
        assert opened[name]["prompt"] == read_prompt(name)
        assert opened[name]["missing"]
        assert all("Loader" in node for node in opened[name]["missing"])


def test_run_button_makes_a_clip_and_shows_it(seen):
    assert seen["runs"] == {RUN: {"status": "success", "videos": 1, "pictures": 0}}


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_blueprint_opens_whole(name, seen):
    opened = seen["blueprints"][name]
    assert opened["missing"] == []
    assert len(opened["types"]) == 1
    assert {"SoraLoader", "SoraSampler", "SoraDecode"} <= set(opened["inner"])
    asked = ["prompt", "negative", "size", "seconds", "seed", "steps", "cfg", "checkpoint", "speed"]
    assert opened["inputs"][0][-len(asked) :] == asked


def test_console_has_no_error_that_a_bare_host_does_not_print(seen, drive, comfyui, tmp_path, monkeypatch):
    assert seen["errors"] == []

    def without_pack(base: Path) -> Path:
        (base / "custom_nodes").mkdir()
        return base

    monkeypatch.setattr(serving, "private_base", without_pack)
    with serving.serve(comfyui, tmp_path) as bare:
        usual = drive(url=bare.url)["load"]
    assert set(seen["load"]) <= set(usual)
