"""The private folder: keys that stay, that nobody else reads, and that two processes do not make twice."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sora_core.errors import SoraError
from sora_core.provenance.home import PASSPHRASE_VARIABLE, VARIABLE, Home

ROOT = Path(__file__).resolve().parents[2]


def test_a_secret_is_random_and_stays(tmp_path):
    first = Home(tmp_path / "home").secret("marks")
    assert len(first) == 32
    assert Home(tmp_path / "home").secret("marks") == first
    assert Home(tmp_path / "home").secret("other") != first
    assert Home(tmp_path / "another").secret("marks") != first


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_can_read_it(tmp_path):
    home = Home(tmp_path / "home")
    home.secret("marks")
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.folder.iterdir()} == {0o600}
    assert [path.name for path in home.folder.iterdir()] == ["marks.key"]


def test_a_damaged_key_is_never_replaced(tmp_path):
    home = Home(tmp_path)
    home.file("marks.key").write_bytes(b"short")
    with pytest.raises(SoraError, match="holds 5 bytes and must hold 32"):
        home.secret("marks")
    assert home.file("marks.key").read_bytes() == b"short"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SoraError, match="cannot be made"):
        Home(tmp_path / "file" / "home").secret("marks")


def test_the_variable_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named"))
    assert Home.default().folder == tmp_path / "named"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Home.default().folder == tmp_path / ".sora-nodes"


def test_the_passphrase_is_the_users_or_a_kept_one(tmp_path, monkeypatch):
    home = Home(tmp_path)
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    kept = home.passphrase()
    assert kept == home.passphrase()
    assert len(kept) == 64
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "open sesame")
    chosen = home.passphrase()
    assert chosen == home.passphrase()
    assert b"open sesame" not in chosen
    assert len(chosen) == 128
    assert Home(tmp_path / "other").passphrase() != chosen


@pytest.mark.slow
def test_processes_that_begin_at_once_agree_on_one_secret(tmp_path):
    code = (
        "import sys; from pathlib import Path; from sora_core.provenance.home import Home; "
        "print(Home(Path(sys.argv[1])).secret('marks').hex())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "home")], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["marks.key"]
