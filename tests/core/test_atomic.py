"""Files that are there whole or not at all, also where processes are killed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sora_core.atomic import QUIET_S, replacing, sweep
from sora_core.errors import SoraError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "clip.mp4"
    with replacing(path) as hidden:
        hidden.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    with pytest.raises(ZeroDivisionError), replacing(path) as hidden:
        hidden.write_text(f"half {1 // 0}")
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]
    assert path.read_text() == "whole"


def test_a_fresh_name_is_never_taken_from_another(tmp_path):
    path = tmp_path / "clip.mp4"
    with replacing(path, fresh=True) as hidden:
        hidden.write_text("mine")
    with pytest.raises(FileExistsError), replacing(path, fresh=True) as hidden:
        hidden.write_text("other")
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(SoraError, match="cannot be written"), replacing(tmp_path / "no" / "clip.mp4") as hidden:
        hidden.write_text("x")


@pytest.mark.skipif(os.name != "posix", reason="only here can a process be asked whether it lives")
def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    names = {
        f".clip.{dead.pid}.part.mp4": True,
        f"..clip.{dead.pid}.part.{dead.pid}.part.mp4": True,
        f".draft.{dead.pid}.0123456789abcdef.part.mp4": True,
        f".clip.{dead.pid}.part.webm.c2pa": True,
        f".clip.{os.getpid()}.part.mp4": False,
        f"clip.{dead.pid}.part.mp4": False,
        ".notes.part.txt": False,
        "clip.mp4": False,
    }
    for name in names:
        (tmp_path / name).write_text("x")
    assert sweep(tmp_path) == 0, "what was written just now is somebody's work"
    for name in names:
        os.utime(tmp_path / name, (1, (tmp_path / name).stat().st_mtime - 2 * QUIET_S))
    assert sweep(tmp_path) == sum(names.values())
    assert {path.name for path in tmp_path.iterdir()} == {name for name, left in names.items() if not left}
