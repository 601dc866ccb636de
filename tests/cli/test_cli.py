"""The command: help, refusals before torch, files with their tags, and no partial ones."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from sora_core import cli
from sora_core.checkpoint import file_hash
from sora_core.cli import generate, main
from sora_core.cli.outputs import Wanted, plan_outputs, slug
from sora_core.cli.progress import Progress, clock
from sora_core.errors import SoraError
from sora_core.media.image import read_image
from sora_core.media.mp4 import read_clip
from sora_core.media.png import read_png_tags, write_png


@pytest.fixture
def make(tiny_checkpoint, tmp_path, monkeypatch, capsys, plain_files):
    """Run ``sora generate`` with the tiny model in an empty folder; return its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(["generate", "--checkpoint", str(tiny_checkpoint), "--device", "cpu", *plain_files, *words])
        return code, *capsys.readouterr()

    return run


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


# help


@pytest.mark.parametrize("words", [["--help"], ["generate", "--help"], ["info", "--help"], ["train", "--help"]])
def test_help_teaches(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert 'sora generate "' in capsys.readouterr().out or words[0] == "info"


def test_no_command_prints_help(capsys):
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_start_is_quick_and_without_torch():
    code = (
        "import sys, sora_core.cli as c; c.build_parser(); sys.exit(bool({'torch', 'numpy', 'av'} & set(sys.modules)))"
    )
    started = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert time.monotonic() - started < 5


# refusals

BAD = {
    "no prompt": (["generate"], "PROMPT"),
    "empty prompt": (["generate", ""], "prompt is empty"),
    "blank prompt": (["generate", "  "], "prompt is empty"),
    "off the grid": (["generate", "x", "--size", "70x64"], "nearest is 64x64"),
    "zero size": (["generate", "x", "--size", "0x0"], "nearest is 16x16"),
    "negative size": (["generate", "x", "--size=-64x64"], "nearest"),
    "huge size": (["generate", "x", "--size", "99999x99999"], "GiB of memory"),
    "large size": (
        ["generate", "x", "--size", "4096x4096", "--seconds", "600", "--checkpoint", "good.safetensors"],
        "GiB of memory",
    ),
    "no size": (["generate", "x", "--size", "big"], "64x64"),
    "aspect": (["generate", "x", "--aspect", "7:5"], "9:16"),
    "zero seconds": (["generate", "x", "--seconds", "0"], "more than 0"),
    "negative seconds": (["generate", "x", "--seconds", "-1"], "more than 0"),
    "huge seconds": (["generate", "x", "--seconds", "1e9"], "GiB of memory"),
    "no number": (["generate", "x", "--seconds", "two"], "not a number"),
    "nan seconds": (["generate", "x", "--seconds", "nan"], "more than 0"),
    "zero fps": (["generate", "x", "--fps", "0"], "more than 0"),
    "huge fps": (["generate", "x", "--fps", "1e7"], "GiB of memory"),
    "zero steps": (["generate", "x", "--steps", "0"], "between 1 and 1000"),
    "huge steps": (["generate", "x", "--steps", "1000000"], "between 1 and 1000"),
    "zero cfg": (["generate", "x", "--cfg", "0"], "more than 0"),
    "negative cfg": (["generate", "x", "--cfg", "-3"], "more than 0"),
    "huge cfg": (["generate", "x", "--cfg", "1e9"], "GiB of memory"),
    "solver": (["generate", "x", "--solver", "magic"], "euler, heun, dpmpp_2m"),
    "seed": (["generate", "x", "--seed", "-1"], "seed -1"),
    "missing checkpoint": (["generate", "x", "--checkpoint", "no.safetensors"], "does not exist"),
    "foreign checkpoint": (["generate", "x", "--checkpoint", "foreign.safetensors"], "another program"),
    "truncated checkpoint": (["generate", "x", "--checkpoint", "cut.safetensors"], "cut off"),
    "pickle checkpoint": (["generate", "x", "--checkpoint", "model.pt"], "pickle"),
    "missing image": (["generate", "x", "--image", "no.png", "--checkpoint", "good.safetensors"], "does not exist"),
    "broken image": (
        ["generate", "x", "--last-image", "text.png", "--checkpoint", "good.safetensors"],
        "cannot be read",
    ),
    "three references": (["generate", "x", *("--reference", "a.png") * 3], "3 references"),
    "missing folder": (["generate", "x", "-o", "no/clip.mp4"], "does not exist"),
    "file as folder": (["generate", "x", "-o", "text.png/clip.mp4"], "is a file"),
    "folder as file": (["generate", "x", "-o", "folder.mp4"], "is a folder"),
    "long name": (["generate", "x", "-o", f"{'x' * 300}.mp4"], "too long"),
    "ending": (["generate", "x", "-o", "clip.avi"], ".mp4"),
    "still as clip": (["generate", "x", "--still", "-o", "clip.mp4"], ".png"),
    "there already": (["generate", "x", "-o", "old.mp4"], "--force"),
    "device": (["generate", "x", "--device", "tpu"], "auto, cpu, cuda"),
    "dtype": (["generate", "x", "--dtype", "int4"], "float32"),
    "unknown option": (["generate", "x", "--speed", "9"], "--speed"),
    "unknown command": (["paint"], "paint"),
    "info of nothing": (["info", "no.mp4"], "does not exist"),
    "info of text": (["info", "text.png"], "no settings of ours"),
    "train minutes": (["train", "--minutes", "0", "--out", "x"], "more than 0"),
    "train stage": (["train", "--stage", "gan", "--minutes", "1", "--out", "x"], "video-vae"),
    "train folder": (["train", "--minutes", "1", "--out", "text.png/run"], "is a file"),
    "evaluate folder": (["evaluate", "--from", "no"], "not a folder"),
    "evaluate clips": (["evaluate", "--clips", "0"], "1 or more"),
    "bench subject": (["bench", "gpu"], "end-to-end"),
}

SCRIPT = """
import io, json, sys
from contextlib import redirect_stderr
from sora_core.cli import main
results = {}
for name, words in json.load(sys.stdin).items():
    with redirect_stderr(io.StringIO()) as said:
        code = main(words)
    results[name] = [code, said.getvalue(), "torch" in sys.modules]
json.dump(results, sys.stdout)
"""


@pytest.fixture(scope="module")
def refused(tiny_checkpoint, tmp_path_factory):
    """Run all bad input in one process that has not loaded torch; return what it said and the folder."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.png").write_text("no picture")
    (folder / "old.mp4").write_bytes(b"old")
    (folder / "folder.mp4").mkdir()
    (folder / "model.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "cut.safetensors").write_bytes(tiny_checkpoint.read_bytes()[:-1])
    (folder / "good.safetensors").write_bytes(tiny_checkpoint.read_bytes())
    head = json.dumps({"blocks.0": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "foreign.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    before = names(folder)
    words = {name: words for name, (words, _) in BAD.items()}
    root = Path(cli.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert names(folder) == before
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_sentence_before_torch(refused, name):
    code, said, torch_loaded = refused[name]
    assert code == 2
    assert said.startswith("sora: ")
    assert said.count("\n") == 1
    assert BAD[name][1] in said, said
    assert "Traceback" not in said
    assert not torch_loaded


def test_missing_cuda_is_refused(make, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, said = make("x", "--device", "cuda")
    assert code == 2
    assert "--device cpu" in said or "no CUDA" in said


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
def test_unwritable_folder_is_refused(make):
    code, _, said = make("x", "-o", "/proc/clip.mp4")
    assert code == 2
    assert "cannot be written" in said


def test_errors_that_are_not_the_users_keep_their_traceback(make, monkeypatch):
    def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(generate, "prepare", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        make("x")


# what is made


def test_clip_with_tags_and_the_command_that_makes_it_again(make, tiny_checkpoint, capsys, plain_files):
    code, out, said = make(
        "a red ball bounces", "--seconds", "0.5", "--seed", "7", "--cfg", "2.5", "--negative", "a ball"
    )
    assert code == 0
    assert names() == ["a-red-ball-bounces-001.mp4"]
    assert out.count("\n") == 1
    assert "a-red-ball-bounces-001.mp4: 32x16, 0.50 s at 12 fps with sound, seed 7" in out
    assert "sampling" in said
    assert "hint" not in said
    clip = read_clip(Path("a-red-ball-bounces-001.mp4"))
    assert clip.frames.shape == (6, 16, 32, 3)
    assert clip.audio is not None
    assert len(clip.audio) == 8000
    assert np.abs(clip.audio).max() > 0
    assert clip.tags["prompt"] == "a red ball bounces"
    assert clip.tags["model_sha256"] == file_hash(tiny_checkpoint)
    assert clip.tags["level"] == "1"

    assert main(["info", "a-red-ball-bounces-001.mp4", "--json"]) == 0
    command = shlex.split(json.loads(capsys.readouterr().out)["command"])
    assert command[:2] == ["sora", "generate"]
    assert main([*command[1:], "-o", "again.mp4", *plain_files]) == 0
    again = read_clip(Path("again.mp4"))
    np.testing.assert_array_equal(again.frames, clip.frames)
    np.testing.assert_array_equal(again.audio, clip.audio)


def test_fresh_names_count_up_and_nothing_is_overwritten(make):
    assert make("a red ball")[0] == 0
    assert make("a red ball")[0] == 0
    assert names() == ["a-red-ball-001.mp4", "a-red-ball-002.mp4"]
    before = Path("a-red-ball-001.mp4").read_bytes()
    assert make("a ball", "-o", "a-red-ball-001.mp4")[0] == 2
    assert Path("a-red-ball-001.mp4").read_bytes() == before
    assert make("a ball", "-o", "a-red-ball-001.mp4", "--force")[0] == 0
    assert Path("a-red-ball-001.mp4").read_bytes() != before


@pytest.mark.parametrize("words", [["-o", "x.png"], ["--still", "-o", "x.png"]])
def test_still(make, words):
    code, out, _ = make("a ball", *words)
    assert code == 0
    assert "x.png: 32x16, seed 0" in out
    assert read_image(Path("x.png")).shape == (16, 32, 3)
    assert read_png_tags(Path("x.png"))["prompt"] == "a ball"
    assert main(["info", "x.png"]) == 0


def test_variations_equal_single_runs(make):
    assert make("a ball", "--variations", "3", "--seed", "4", "-o", "v.png")[0] == 0
    assert make("a ball", "--seed", "5", "-o", "one.png")[0] == 0
    assert names() == ["one.png", "v-1.png", "v-2.png", "v-3.png"]
    assert read_png_tags(Path("v-2.png"))["seed"] == "5"
    difference = read_image(Path("v-2.png")).astype(int) - read_image(Path("one.png"))
    assert np.abs(difference).max() <= 1


def test_everything_beside_the_clip(make):
    assert make("a ball", "-o", "c.mp4", "--sidecar", "--thumbnail", "--spritesheet")[0] == 0
    assert names() == ["c-sprites.png", "c-thumbnail.webp", "c.json", "c.mp4"]
    assert read_image(Path("c-thumbnail.webp")).shape == (16, 32, 3)
    assert read_image(Path("c-sprites.png")).shape == (2 * 16, 5 * 32, 3)
    sidecar = json.loads(Path("c.json").read_text())
    assert sidecar["settings"]["frames"] == 9
    assert (sidecar["prompt"], sidecar["seed"], sidecar["level"]) == ("a ball", 0, 1)
    assert make("a ball", "-o", "c2.mp4", "--sidecar")[0] == 0
    shutil.move("c.json", "c3.json")
    assert make("a ball", "-o", "c3.mp4", "--sidecar")[0] == 2


def test_no_metadata_writes_none(make, tiny_checkpoint, capsys):
    assert make("a ball", "-o", "c.mp4", "--no-metadata")[0] == 0
    assert make("a ball", "-o", "c.png", "--no-metadata")[0] == 0
    for name in ("c.mp4", "c.png"):
        assert tiny_checkpoint.name.encode() not in Path(name).read_bytes()
        assert b"prompt" not in Path(name).read_bytes()
        assert main(["info", name]) == 2
    assert "--no-metadata" in capsys.readouterr().err


def test_no_audio(make):
    assert "without sound" in make("a ball", "-o", "c.mp4", "--no-audio")[1]
    with av.open("c.mp4") as container:
        assert not container.streams.audio


def test_pictures_as_conditions(make):
    for name, colour in (("first.png", 255), ("last.png", 0)):
        write_png(Path(name), np.full((20, 50, 3), colour, np.uint8))
    words = ("a ball", "--image", "first.png", "--last-image", "last.png", "--reference", "last.png")
    assert make(*words, "-o", "c.mp4")[0] == 0
    settings = json.loads(read_clip(Path("c.mp4")).tags["settings"])
    assert (settings["image"], settings["last_image"], settings["references"]) == (
        "first.png",
        "last.png",
        ["last.png"],
    )


def test_json_output(make):
    code, out, _ = make("a ball", "--json", "--variations", "2", "-o", "c.mp4")
    made = json.loads(out)
    assert code == 0
    assert [clip["file"] for clip in made["clips"]] == ["c-1.mp4", "c-2.mp4"]
    assert [clip["seed"] for clip in made["clips"]] == [0, 1]
    assert made["settings"]["steps"] == 2


def test_hints_for_unknown_words_and_long_prompts(make):
    _, _, said = make("a crimson ball", "-o", "c.png")
    assert 'not trained on "crimson" (takes it for its nearest word, "red")' in said
    _, _, said = make("red ball " * 40, "-o", "d.png")
    assert "81 tokens long and the model reads the first 32" in said


def test_solver_and_aspect(make):
    assert make("a ball", "--solver", "heun", "--aspect", "1:1", "-o", "c.png")[0] == 0
    image = read_image(Path("c.png"))
    assert image.shape[0] == image.shape[1]


def test_interrupt_in_the_callback_leaves_nothing(make, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", interrupted)
    code, _, said = make("a ball")
    assert code == 130
    assert "stopped" in said
    assert names() == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_control_c_leaves_nothing(tiny_checkpoint, tmp_path):
    words = ["generate", "a ball", "--steps", "1000", "--checkpoint", str(tiny_checkpoint), "--size", "128x128"]
    root = Path(cli.__file__).parents[2]
    # a shell that runs the tests in the background has told its children to ignore the signal
    script = (
        "import signal as s, sora_core.cli as c; s.signal(s.SIGINT, s.default_int_handler); raise SystemExit(c.main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "sampling" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert "Traceback" not in rest
    assert names(tmp_path) == []


# info


def test_info_of_a_checkpoint(tiny_checkpoint, capsys):
    assert main(["info", str(tiny_checkpoint)]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("pipeline", "numbers", "video_vae", "clips", "Apache-2.0", "level 1", "32x16"))


def test_info_of_the_installation(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("version", "torch", "device", "model"))


# names and bars


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A large RED ball!", "a-large-red-ball"),
        ("../../etc/passwd", "etc-passwd"),
        ("\u7403", "clip"),
        ("word " * 30, "word-word-word-word-word-word-word-word"),
    ],
)
def test_slug(prompt, expected):
    assert slug(prompt) == expected


def test_fresh_name_avoids_every_sibling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a-ball-001-2.json").touch()
    (first, second) = plan_outputs(
        None, stem="a-ball", still=False, variations=2, wanted=Wanted(sidecar=True), force=False
    )
    assert (first.main.name, second.main.name) == ("a-ball-002-1.mp4", "a-ball-002-2.mp4")


def test_clock():
    assert [clock(seconds) for seconds in (4.2, 125, 3725)] == ["4 s", "2:05", "1:02:05"]


def test_progress_into_a_file_is_a_few_lines(capsys):
    progress = Progress("work")
    for step in range(1, 101):
        progress(step, 100)
    assert capsys.readouterr().err.count("\n") <= 5


def test_progress_of_a_resumed_run_tells_its_own_pace(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress("work")
    for now, share in ((0.0, 0.5), (10.0, 0.75)):  # noqa: B007  the clock reads it
        progress(share, 1)
    assert "75% 10 s, 10 s left" in capsys.readouterr().err
    progress(0.1, 1)
    assert "10% 0 s\n" in capsys.readouterr().err


def test_errors_are_the_parsers_too():
    with pytest.raises(SoraError, match="--help explains"):
        cli.build_parser().parse_args(["generate", "x", "--steps", "many"])


def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(monkeypatch):
    from sora_core.cli import device

    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    device.share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == device.SPINS
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    device.share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
