"""The command storyboard: scripts from anywhere, shots that are kept, and refusals before torch."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sora_core.cli import main
from sora_core.cli.kept import shots_folder, size_of
from sora_core.media.film_file import FileFilm
from sora_core.media.mp4 import read_tags
from sora_core.media.png import write_png

TWO = "[0.5s]a red ball [0.75s, fade]a ball bounces"


@pytest.fixture
def make(tiny_checkpoint, tmp_path, monkeypatch, capsys, plain_files):
    """Run ``sora storyboard`` with the tiny model in an empty folder; return its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        fixed = ["--checkpoint", str(tiny_checkpoint), "--device", "cpu", "--shots", "kept", *plain_files]
        code = main(["storyboard", *fixed, *words])
        return code, *capsys.readouterr()

    return run


def kept(folder="kept"):
    return {path.name: path.stat().st_ino for path in Path(folder).glob("[0-9a-f]*.mov")}


def test_a_script_becomes_a_film(make):
    code, out, err = make("--script", TWO, "-o", "film.mp4", "--fade", "0.25", "--mode", "shots")
    assert code == 0
    assert "film.mp4: 32x16, 1.25 s at 12 fps with sound, 2 shots, 0 found" in out
    assert [line for line in err.splitlines() if line.startswith("shot")] == ["shot 1 of 2 made", "shot 2 of 2 made"]
    assert FileFilm("film.mp4").num_frames == 15
    assert len(kept()) == 2


def test_shots_are_found_and_changed_ones_are_made(make):
    make("--script", TWO, "--mode", "shots")
    before = kept()
    code, out, err = make("--script", TWO.replace("a red ball", "a ball"), "--mode", "shots")
    assert code == 0
    assert "shot 1 of 2 made" in err
    assert "shot 2 of 2 found" in err
    assert "1 found" in out
    assert before.items() <= kept().items()
    assert len(kept()) == 3
    assert sorted(path.name for path in Path().glob("*.mp4")) == [
        "a-ball-storyboard-001.mp4",
        "a-red-ball-storyboard-001.mp4",
    ]


def test_a_film_is_the_same_from_files_standard_input_and_its_own_tags(make, monkeypatch):
    Path("film.txt").write_text(TWO, encoding="utf-8")
    assert make("film.txt", "-o", "a.mp4")[0] == 0
    monkeypatch.setattr(sys, "stdin", open("film.txt", encoding="utf-8"))  # noqa: SIM115, PTH123
    assert make("-", "-o", "b.mp4")[0] == 0
    sys.stdin.close()
    assert main(["info", "b.mp4"]) == 0
    settings = json.loads(read_tags(Path("b.mp4"))["settings"])
    assert settings["options"]["script"] == "[0.5s]a red ball [0.75s, fade]a ball bounces"
    one, two = (FileFilm(name) for name in ("a.mp4", "b.mp4"))
    assert (one.num_frames, one.fps) == (two.num_frames, two.fps) == (15, 12.0)


def test_the_command_of_a_film_makes_it_again(make, capsys, plain_files):
    make("--script", TWO, "-o", "a.mp4", "--seed", "4", "--cfg", "2", "--context", "0.5", "--no-audio")
    before = kept()
    assert main(["info", "a.mp4"]) == 0
    (command,) = re.findall(r"command +(sora storyboard .*)", capsys.readouterr().out)
    words = shlex.split(command)[1:]
    assert main([*words, "--shots", "kept", "-o", "b.mp4", *plain_files]) == 0
    assert kept() == before, "every shot was found"


def test_pictures_and_clips_are_named_from_the_script(make):
    Path("art").mkdir()
    write_png(Path("art/first.png"), np.full((16, 32, 3), 200, np.uint8))
    make("--script", "[0.5s]a ball", "-o", "art/clip.mp4")
    script = (
        "Shot 1:\nduration: 0.5s\nimage: first.png\nScene: a red ball\n"
        "Shot 2:\nduration: 1s\ntransition: fade\nvideo: clip.mp4\n"
    )
    Path("art/film.txt").write_text(script, encoding="utf-8")
    assert make("art/film.txt", "-o", "film.mp4")[0] == 0
    film = FileFilm("film.mp4")
    assert film.num_frames == 18
    first = next(iter(film.frames(0, 1))).float()
    assert (first.mean() - 200).abs() < 20
    settings = json.loads(read_tags(Path("film.mp4"))["settings"])
    assert set(settings["sources"]) == {str(Path("art/first.png")), str(Path("art/clip.mp4"))}
    assert make("art/film.txt", "-o", "art/clip.mp4", "--force")[0] == 2
    assert FileFilm("art/clip.mp4").num_frames == 6


def test_one_clip_where_that_can_be(make):
    code, out, _ = make("--script", "[0.4s]a red ball [0.35s]bounces", "-o", "a.mp4", "--mode", "auto")
    assert code == 0
    assert "2 shots in one clip" in out
    assert len(kept()) == 1
    code, _, err = make("--script", TWO, "-o", "b.mp4", "--mode", "single")
    assert code == 2
    assert "which a single clip cannot have" in err


def test_json_says_what_was_made_and_found(make):
    make("--script", "[0.5s]a red ball", "--mode", "shots")
    _, out, _ = make("--script", TWO, "--mode", "shots", "--json")
    told = json.loads(out)
    assert told["shots"] == {"made": [2], "found": [1]}


def test_shots_are_cleared_and_limited(make):
    make("--script", TWO, "--mode", "shots")
    size = sum(path.stat().st_size for path in Path("kept").glob("*.mov"))
    code, out, _ = make("--clear-shots")
    assert code == 0
    assert out == f"kept: 2 shots removed, {size:,} bytes\n"
    assert kept() == {}
    make("--script", TWO, "--mode", "shots", "--shots-limit", "0", "-o", "b.mp4")
    assert main(["storyboard", "--clear-shots", "--shots", "kept", "--shots-limit", "0"]) == 0
    assert kept() == {}
    assert FileFilm("b.mp4").num_frames == 15


BAD = {
    "nothing": ([], "no script is given"),
    "both": (["x.txt", "--script", "[1s]a"], "both a file and --script"),
    "no file": (["missing.txt"], "cannot be read"),
    "empty": (["--script", " "], "the script is empty"),
    "no shot": (["--script", "a ball"], "the script holds no shot"),
    "mistake": (["--script", "[1s]a\n[x]b"], "line 2: duration"),
    "picture": (["--script", "Shot 1:\nduration: 1s\nimage: no.png\nScene: a"], "no.png does not exist"),
    "clip": (["--script", "Shot 1:\nduration: 1s\nvideo: no.mp4"], "no.mp4 does not exist"),
    "mode": (["--script", "[1s]a", "--mode", "both"], "auto, single, shots"),
    "fade": (["--script", "[1s]a", "--fade", "-1"], "fade -1 s must be from 0 to 60"),
    "context": (["--script", "[1s]a [1s, continue]b", "--context", "30"], "must be between 1 and"),
    "limit": (["--script", "[1s]a", "--shots-limit", "much"], "is not a size"),
    "size": (["--script", "[1s]a", "--size", "70x64"], "nearest is 64x64"),
    "steps": (["--script", "[1s]a", "--steps", "0"], "between 1 and 1000"),
    "output": (["--script", "[1s]a", "-o", "film.png"], "must end in .mp4"),
    "folder": (["--script", "[1s]a", "-o", "none/film.mp4"], "does not exist"),
    "too short": (["--script", "[0.01s]a [1s]b"], "less than a frame"),
}


@pytest.mark.parametrize(("words", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence(make, words, sentence):
    code, out, err = make(*words)
    assert (code, out) == (2, "")
    assert err.startswith("sora: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert not list(Path().glob("*.mp4"))


def test_a_script_that_is_no_text_is_refused(make):
    Path("film.txt").write_bytes(b"\xff\xfe[1s]")
    code, _, err = make("film.txt")
    assert code == 2
    assert "is no text in UTF-8" in err


def test_refusals_need_no_torch(tiny_checkpoint):
    code = (
        "import sys\nfrom sora_core.cli import main\n"
        f"code = main(['storyboard', '--script', '[1s]a', '--fade', '99', '--checkpoint', {str(tiny_checkpoint)!r}])\n"
        "sys.exit(code != 2 or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process there")
def test_an_interrupt_keeps_what_is_finished(tiny_checkpoint, tmp_path):
    script = " ".join(f"[0.75s]a ball {number}" for number in range(40))
    # A process that was started in the background ignores interrupts, and so would its children.
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    words = [sys.executable, "-c", f"{heard}; from sora_core.cli import main; sys.exit(main())", "storyboard"]
    words += ["--script", script, "--mode", "shots", "--steps", "20"]
    words += [
        "--checkpoint",
        str(tiny_checkpoint),
        "--device",
        "cpu",
        "--shots",
        "kept",
        "-o",
        "film.mp4",
        "--threads",
        "1",
    ]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 120
        while len(kept(tmp_path / "kept")) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1]
    assert process.returncode == 130
    (number,) = re.findall(r"sora: (\d+) finished shots are kept in kept; the same command goes on from there", told)
    # The interrupt may come between the moment that a shot is kept and the one that it is counted.
    assert len(there := kept(tmp_path / "kept")) >= 2
    assert len(there) - 1 <= int(number) <= len(there)
    assert not (tmp_path / "film.mp4").exists()
    assert not list((tmp_path / "kept").glob(".*.part*"))


def test_the_folder_is_the_platforms(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert shots_folder() == tmp_path / "sora" / "shots"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert shots_folder() == tmp_path / "local" / "sora" / "shots"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert shots_folder() == Path.home() / "Library" / "Caches" / "sora" / "shots"
    assert [size_of(text) for text in ("12", "1k", "1.5 MB", "2GiB")] == [12, 1024, 3 << 19, 2 << 30]
