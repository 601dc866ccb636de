"""What is shipped and written beside the code agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sora_core
from sora_core.checkpoint.metadata import PIPELINE, find_checkpoint, read_metadata

ROOT = Path(__file__).parents[2]
WEIGHTS = Path(sora_core.__file__).parent / "weights"


def test_requirements_mirror_the_dependencies():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    assert listed is not None
    wanted = re.findall(r'"([^"]+)"', listed[1])
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8").split() == wanted
    plain = [name.partition(";")[0] for name in wanted]
    assert not [name for name in plain if "==" in name or "<" in name], "what a host pins is not pinned here"


def test_versions_agree():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{sora_core.__version__}"\n' in project


def test_ci_runs_the_readmes_test_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 'pip install "torch==2.13.0" -e ".[test]" && pytest\n' in readme
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install --quiet "torch==2.13.0" -e ".[test]"\n' in script
    assert "\nstep pytest\n" in script


def test_all_weights_together_are_small():
    sizes = {path.name: path.stat().st_size for path in WEIGHTS.glob("*.safetensors")}
    assert read_metadata(find_checkpoint()).component == PIPELINE
    assert sum(sizes.values()) <= 44 * 2**20, sizes


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_papers_are_there(name):
    assert (ROOT / name).stat().st_size > 500
