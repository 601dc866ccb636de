"""Names out of a stranger's workflow: nothing is written outside the folder they belong to."""

from __future__ import annotations

import os

import pytest

from sora_core.errors import SoraError
from sora_core.media.strange_name import LONGEST_NAME, LONGEST_PART, file_inside

REFUSED = [
    "",
    ".",
    "..",
    "../clip",
    "../../etc/passwd",
    "video/../../clip",
    "video/..",
    "video/./clip",
    "video//clip",
    "video/",
    "/etc/passwd",
    "/tmp/clip",
    "//server/share/clip",
    "\\\\server\\share\\clip",
    "\\\\?\\C:\\clip",
    "\\\\.\\COM1",
    "..\\clip",
    "video\\..\\..\\clip",
    "C:\\clip",
    "C:clip",
    "c:/windows/clip",
    "file:///etc/passwd",
    "clip:stream",
    "clip::$DATA",
    "...",
    "....//clip",
    ". ./clip",
    ".. /clip",
    "video/.. /clip",
    "%2e%2e/../clip",
    "clip\x00.png",
    "\x00",
    "clip\n",
    "clip\r\nSet-Cookie: a",
    "clip\x1b[2J",
    "clip\x7f",
    "clip\u202egpj.exe",
    "clip\u200b",
    "clip\u2028next",
    "\ud800clip",
    "CON",
    "con.txt",
    "video/NUL",
    "nul.mp4",
    "AUX .png",
    "COM1",
    "lpt9.mkv",
    "COM\u00b2",
    "conin$",
    "clip.",
    "clip ",
    " clip",
    "video /clip",
    "~/clip",
    "~root/clip",
    "-rf",
    "video/-o",
    "clip?",
    "clip*",
    'clip"x',
    "clip<script>",
    "clip|cat",
    "a" * (LONGEST_PART + 1),
    "\U0001f3a5" * LONGEST_PART,
    "a/" * (LONGEST_NAME // 2) + "ab",
]

TAKEN = [
    "clip",
    "video/ball",
    "video\\ball",
    "a b c",
    "ball.final",
    "2026-11-22/ball_1",
    "\u30dc\u30fc\u30eb",
    "..hidden",
    ".hidden",
    "%date%",
    "a" * LONGEST_PART,
    "con_1",
    "null",
]


@pytest.mark.parametrize("name", REFUSED, ids=[ascii(name)[:40] for name in REFUSED])
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    with pytest.raises(SoraError, match="file name") as caught:
        file_inside(folder, name)
    assert str(caught.value).isprintable()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", TAKEN, ids=ascii)
def test_a_plain_name_lies_inside(name, tmp_path):
    path = file_inside(tmp_path, name)
    assert os.path.commonpath([tmp_path.resolve(), path.resolve()]) == str(tmp_path.resolve())
    assert path != tmp_path


def test_a_link_that_leads_out_is_refused_and_one_within_is_followed(tmp_path):
    folder, elsewhere = tmp_path / "output", tmp_path / "elsewhere"
    (folder / "real").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "out").symlink_to(elsewhere)
    (folder / "in").symlink_to(folder / "real")
    (folder / "file").symlink_to(elsewhere / "secret")
    for name in ("out/clip", "file"):
        with pytest.raises(SoraError, match="leads out"):
            file_inside(folder, name)
    assert file_inside(folder, "in/clip").parent.resolve() == (folder / "real").resolve()


def test_the_table_is_as_long_as_it_should_be():
    assert len(REFUSED) >= 60
    assert len(set(REFUSED)) == len(REFUSED)
