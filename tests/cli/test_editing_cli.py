"""The commands that make clips from clips: what they write, what they say of it, and what they refuse."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from sora_core import cli
from sora_core.checkpoint import file_hash
from sora_core.cli import main
from sora_core.cli.progress import Progress
from sora_core.editing.film import FilmStream, Piece
from sora_core.media.film_writer import write_film, write_lossless
from sora_core.media.mp4 import read_clip, read_tags
from sora_core.pipeline import Pipeline

PROMPT = "a red ball bounces"
OURS = {"prompt": PROMPT, "sora_version": "0.1.0"}


def film(*, frames=24, width=32, height=16, fps=12.0, rate=16_000, channels=1):
    generator = torch.Generator().manual_seed(frames)
    start = torch.randint(0, 200, (1, height, width, 3), generator=generator)
    picture = (start + torch.arange(frames)[:, None, None, None]).to(torch.uint8)
    samples = round(frames * rate / fps)
    sound = 0.3 * torch.sin(torch.arange(samples) * 0.2).expand(channels, -1) if channels else None
    return FilmStream(
        pieces=iter([Piece(picture, sound)]),
        num_frames=frames,
        width=width,
        height=height,
        fps=fps,
        sample_rate=rate,
        channels=channels,
    )


@pytest.fixture(scope="module")
def clips(tiny_checkpoint, tmp_path_factory):
    """Write a folder with a model, clips, and what people pass by mistake."""
    folder = tmp_path_factory.mktemp("clips")
    write_film(folder / "a.mp4", film(), OURS)
    write_film(folder / "b.mp4", film(frames=48, width=48, height=32, fps=24, rate=44_100, channels=2))
    write_film(folder / "fast.mp4", film(frames=48, fps=24))
    write_film(folder / "silent.mp4", film(channels=0), {"prompt": '{"3": {"inputs": {}}}'})
    write_film(folder / "short.mp4", film(frames=5))
    write_film(folder / "one.mp4", film(frames=1))
    write_lossless(folder / "odd.mov", film(width=37, height=21))
    write_lossless(folder / "small.mov", film(width=12, height=12))
    write_film(folder / "rapid.mp4", film(fps=240))
    write_film(folder / "old.mp4", film(frames=2))
    (folder / "cut.mov").write_bytes((folder / "odd.mov").read_bytes()[:2000])
    (folder / "text.mp4").write_text("no clip")
    (folder / "empty.mp4").touch()
    (folder / "folder.mp4").mkdir()
    (folder / "m.safetensors").write_bytes(tiny_checkpoint.read_bytes())
    with wave.open(str(folder / "tone.wav"), "wb") as file:
        file.setparams((2, 2, 22_050, 0, "NONE", ""))
        file.writeframes((8000 * np.sin(np.arange(2 * 22_050) * 0.1)).astype("<i2").tobytes())
    return folder


@pytest.fixture
def make(clips, tmp_path, monkeypatch, capsys, plain_files):
    """Run a command in an empty folder, with ``@`` for the clips' one; return its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(command, *words):
        model = ["--checkpoint", str(clips / "m.safetensors"), "--device", "cpu", *plain_files]
        code = main([command, *(word.replace("@", f"{clips}/") for word in words), *model])
        return code, *capsys.readouterr()

    return run


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def probe(path):
    """Return size, rate, frames, the sound's rate and channels, and its length in seconds."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        shape = (video.width, video.height, float(video.average_rate))
        sound = None
        if container.streams.audio:
            voice = container.streams.audio[0]
            sound = (voice.rate, voice.channels, round(float(voice.duration * voice.time_base), 2))
        return *shape, sum(1 for _ in container.decode(video=0)), sound


MONO = 16_000, 1

MADE = {
    "extend": (["extend", "@a.mp4", PROMPT, "--seconds", "1.5"], "a-extended", (32, 16, 12, 42, (*MONO, 3.5))),
    "backward": (["extend", "@a.mp4", "--seconds", "1", "--backward"], "a-extended", (32, 16, 12, 36, (*MONO, 3.0))),
    "context": (
        ["extend", "@a.mp4", "--seconds", "0.5", "--context", "0.1"],
        "a-extended",
        (32, 16, 12, 30, (*MONO, 2.5)),
    ),
    "at another rate": (
        ["extend", "@b.mp4", "ball", "--seconds", "0.5"],
        "b-extended",
        (48, 32, 24, 60, (44_100, 2, 2.5)),
    ),
    "loop": (["loop", "@a.mp4", "--seconds", "0.5"], "a-looped", (32, 16, 12, 30, (*MONO, 2.5))),
    "loop of a frame": (["loop", "@one.mp4", "ball", "--seconds", "0.5"], "one-looped", (32, 16, 12, 7, (*MONO, 0.58))),
    "connect": (
        ["connect", "@a.mp4", "@b.mp4", "--seconds", "0.5"],
        "a-connected",
        (32, 16, 12, 54, (*MONO, 4.5)),
    ),
    "connect refuses nothing alike": (
        ["connect", "@a.mp4", "@a.mp4", "--seconds", "0.5", "--unlike", "refuse"],
        "a-connected",
        (32, 16, 12, 54, (*MONO, 4.5)),
    ),
    "blend": (["blend", "@a.mp4", "@fast.mp4"], "a-blended", (32, 16, 12, 24, (*MONO, 2.0))),
    "blend with everything": (
        [
            *("blend", "@a.mp4", "@b.mp4", "--curve", "0:0, 0.5:0.3, 1:1", "--seconds", "1"),
            *("--section-a", "0.2:1", "--section-b", "0:.8", "--amount", "0.5", "--unlike", "resize"),
        ],
        "a-blended",
        (32, 16, 12, 12, (*MONO, 1.0)),
    ),
    "remix": (["remix", "@a.mp4", "a red orb"], "a-remixed", (32, 16, 12, 24, (*MONO, 2.0))),
    "remix by number": (
        ["remix", "@a.mp4", "--strength", "0.6", "--keep-sound"],
        "a-remixed",
        (32, 16, 12, 24, (*MONO, 2.0)),
    ),
    "trim": (["recut", "@silent.mp4", "--from", "0.5", "--to", "1.5"], "silent-recut", (32, 16, 12, 12, None)),
    "recut": (
        ["recut", "@a.mp4", "--from", "0", "--to", "1.75", "--redo", "0.5:0.75=0.5", "--redo", "1:1.25"],
        "a-recut",
        (32, 16, 12, 24, (*MONO, 2.0)),
    ),
    "foley": (["foley", "@silent.mp4", PROMPT], "silent-sounded", (32, 16, 12, 24, (*MONO, 2.0))),
    "cut to the grid": (["remix", "@odd.mov", PROMPT], "odd-remixed", (32, 16, 12, 24, (*MONO, 2.0))),
    "without sound": (["remix", "@a.mp4", "--no-audio"], "a-remixed", (32, 16, 12, 24, None)),
    "to a sound": (["generate", PROMPT, "--sound", "@tone.wav"], "a-red-ball-bounces", (32, 16, 12, 12, (*MONO, 1.0))),
    "to a clip's sound": (
        ["generate", PROMPT, "--sound", "@b.mp4", "--size", "16x16", "--fps", "8", "--seconds", "0.5"],
        "a-red-ball-bounces",
        (16, 16, 8, 4, (*MONO, 0.5)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_it_is_made_and_its_tags_make_it_again(name, make, clips, capsys, plain_files):
    words, stem, expected = MADE[name]
    code, out, said = make(*words)
    assert code == 0, said
    path = Path(f"{stem}-001.mp4")
    assert names() == [path.name]
    assert probe(path) == expected
    assert out.count("\n") == 1
    assert f"{path}: {expected[0]}x{expected[1]}" in out
    assert ("with sound" in out) == (expected[4] is not None)

    settings = json.loads(read_tags(path)["settings"])
    used = [clips / word[1:] for word in words if word.startswith("@")]
    assert settings["sources"] == {str(source): file_hash(source) for source in used}
    assert main(["info", path.name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert "note" not in facts
    command = shlex.split(facts["command"])
    assert command[:2] == ["sora", words[0]]
    assert main([*command[1:], "-o", "again.mp4", *plain_files]) == 0
    first, again = read_clip(path), read_clip(Path("again.mp4"))
    np.testing.assert_array_equal(again.frames, first.frames)
    assert (first.audio is None) == (again.audio is None)
    assert first.audio is None or np.array_equal(first.audio, again.audio)
    assert again.tags == first.tags


def test_the_seed_decides(make):
    for name, seed in (("x.mp4", "1"), ("y.mp4", "2"), ("z.mp4", "1")):
        assert make("extend", "@a.mp4", "--seconds", "0.5", "--seed", seed, "-o", name)[0] == 0
    one, two, three = (read_clip(Path(name)).frames for name in ("x.mp4", "y.mp4", "z.mp4"))
    np.testing.assert_array_equal(one, three)
    assert (one != two).any()
    assert read_tags(Path("y.mp4"))["seed"] == "2"


def test_the_prompt_is_taken_from_a_clip_of_ours_and_told(make):
    _, _, said = make("extend", "@a.mp4", "--seconds", "0.5", "-o", "x.mp4")
    assert f'a.mp4: "{PROMPT}"' in said
    assert read_tags(Path("x.mp4"))["prompt"] == PROMPT
    _, _, said = make("connect", "@short.mp4", "@a.mp4", "--seconds", "0.5", "-o", "y.mp4")
    assert f'a.mp4: "{PROMPT}"' in said
    _, _, said = make("extend", "x.mp4", "a red crimson", "--seconds", "0.5", "-o", "z.mp4")
    assert "prompt is" not in said
    assert 'not trained on "crimson"' in said


def test_the_prompt_may_stand_anywhere_and_begin_with_a_dash(make, capsys):
    assert make("extend", "@a.mp4", "--seconds", "0.5", "a ball", "-o", "x.mp4")[0] == 0
    assert make("connect", "--seconds", "0.5", "@a.mp4", "-o", "y.mp4", "@a.mp4", "a ball")[0] == 0
    for name in ("x.mp4", "y.mp4"):
        assert read_tags(Path(name))["prompt"] == "a ball"
    make("extend", "--seconds", "0.5", "-o", "z.mp4", "--negative=-blue", "--checkpoint", "@m.safetensors", "@a.mp4")
    main(["info", "z.mp4", "--json"])
    assert "--negative=-blue" in shlex.split(json.loads(capsys.readouterr().out)["command"])


def test_what_is_kept_is_kept(make, clips):
    assert make("extend", "@a.mp4", "--seconds", "1", "-o", "x.mp4")[0] == 0
    source, longer = read_clip(clips / "a.mp4").frames.astype(int), read_clip(Path("x.mp4")).frames.astype(int)
    assert np.abs(longer[:20] - source[:20]).mean() < 3


def test_parts_and_steps_are_told(make):
    _, _, said = make("extend", "@a.mp4", "--seconds", "2", "--steps", "4", "-o", "x.mp4")
    assert "part 1 of " in said
    assert "step 4 of 4" in said
    assert make("recut", "@a.mp4", "--from", "1", "-o", "y.mp4")[2].count("100%") == 1


def test_everything_beside_the_clip_and_json(make):
    words = ("remix", "@a.mp4", "-o", "x.mp4", "--sidecar", "--thumbnail", "--spritesheet", "--json", "--no-metadata")
    code, out, _ = make(*words)
    assert code == 0
    assert names() == ["x-sprites.png", "x-thumbnail.webp", "x.json", "x.mp4"]
    made = json.loads(out)
    assert made["clips"][0]["files"] == ["x.mp4", "x.json", "x-thumbnail.webp", "x-sprites.png"]
    assert made["settings"]["command"] == "remix"
    sidecar = json.loads(Path("x.json").read_text())
    assert sidecar["settings"] == made["settings"]
    with av.open("x.mp4") as container:
        assert "settings" not in container.metadata


def test_info_says_what_became_of_the_sources(make, clips, capsys):
    Path("own.mp4").write_bytes((clips / "a.mp4").read_bytes())
    assert make("remix", "own.mp4", "-o", "x.mp4")[0] == 0
    with Path("own.mp4").open("ab") as file:
        file.write(b"more")
    main(["info", "x.mp4"])
    assert "own.mp4 is not what it was made from any more" in capsys.readouterr().out
    Path("own.mp4").unlink()
    main(["info", "x.mp4"])
    assert "own.mp4, which it was made from, is not here" in capsys.readouterr().out


def test_fresh_names_count_up(make):
    for _ in range(2):
        assert make("recut", "@a.mp4", "--to", "1")[0] == 0
    assert names() == ["a-recut-001.mp4", "a-recut-002.mp4"]


def test_interrupt_leaves_nothing(make, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", interrupted)
    for words in (["extend", "@a.mp4", "--seconds", "1"], ["extend", "@a.mp4", "--seconds", "1", "--backward"]):
        code, _, said = make(*words)
        assert code == 130
        assert "stopped" in said
        assert names() == []


def test_no_memory_is_a_sentence_and_leaves_nothing(make, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Pipeline, "sample", full)
    code, _, said = make("remix", "@a.mp4")
    assert code == 2
    assert "ran out of memory" in said
    assert names() == []


def test_a_film_is_written_as_it_is_made(make, monkeypatch):
    """What is there already is written before the first part is made."""
    seen = []
    sample = Pipeline.sample

    def watched(self, *args, **options):
        seen.append([path.stat().st_size for path in Path().glob(".*.part.mp4")])
        return sample(self, *args, **options)

    monkeypatch.setattr(Pipeline, "sample", watched)
    assert make("extend", "@a.mp4", "--seconds", "1", "-o", "x.mp4")[0] == 0
    assert all(len(sizes) == 1 for sizes in seen)


# refusals that need no clip, or only its head

EXTEND = ["extend", "a.mp4", "ball", "--seconds"]
BLEND = ["blend", "a.mp4", "b.mp4", "ball"]
RECUT = ["recut", "a.mp4", "ball"]

BAD_WORDS = {
    "no clip": (["extend"], "CLIP"),
    "one clip": (["connect", "a.mp4", "--seconds", "1"], "OTHER"),
    "no seconds": (["extend", "a.mp4", "ball"], "--seconds"),
    "zero seconds": ([*EXTEND, "0"], "seconds 0 must be more than 0"),
    "negative seconds": (["loop", "a.mp4", "ball", "--seconds", "-1"], "more than 0"),
    "huge seconds": (["connect", "a.mp4", "b.mp4", "ball", "--seconds", "1e9"], "more than 600"),
    "nan seconds": ([*EXTEND, "nan"], "more than 0"),
    "no number": ([*EXTEND, "two"], "not a number"),
    "blend of no seconds": ([*BLEND, "--seconds", "0"], "more than 0"),
    "curve": ([*BLEND, "--curve", "wave"], "transition, mix, sample"),
    "curve backwards": ([*BLEND, "--curve", "0:0, 0.7:1, 0.5:0, 1:1"], "must rise from 0 to 1"),
    "curve not to the end": ([*BLEND, "--curve", "0:0, 0.5:1"], "must rise from 0 to 1"),
    "curve of nan": ([*BLEND, "--curve", "0:0, nan:1, 1:1"], "must rise from 0 to 1"),
    "influence": ([*BLEND, "--curve", "0:0, 1:2"], "between 0 (first clip) and 1"),
    "section backwards": ([*BLEND, "--section-a", "0.8:0.2"], "the first clip's section"),
    "section too far": ([*BLEND, "--section-b", "0:1.5"], "the second clip's section"),
    "no section": ([*BLEND, "--section-b", "half"], "0.5:1.2"),
    "amount": ([*BLEND, "--amount", "0"], "amount 0 must be more than 0"),
    "unlike": ([*BLEND, "--unlike", "stretch"], "resize"),
    "strength 0": (["remix", "a.mp4", "ball", "--strength", "0"], "more than 0 and at most 1"),
    "strength 2": (["remix", "a.mp4", "ball", "--strength", "2"], "more than 0 and at most 1"),
    "strength": (["remix", "a.mp4", "ball", "--strength", "wild"], "subtle, mild, strong"),
    "nothing to recut": (RECUT, "changes nothing"),
    "cut backwards": ([*RECUT, "--from", "1", "--to", "0.5"], "before it ends"),
    "negative cut": ([*RECUT, "--from", "-1"], "must not start before 0"),
    "overlapping redo": ([*RECUT, "--redo", "0.5:1.2", "--redo", "1:1.5"], "overlaps"),
    "redo backwards": ([*RECUT, "--redo", "1.2:0.5"], "1.2 to 0.5 s"),
    "redo of no length": ([*RECUT, "--redo", "0.5:1=0"], "new seconds 0 must be more than 0"),
    "no redo": ([*RECUT, "--redo", "now"], "0.5:1.2"),
    "zero context": ([*EXTEND, "1", "--context", "0"], "context 0 s must be more than 0"),
    "huge context": ([*EXTEND, "1", "--context", "100"], "at most 60"),
    "empty prompt": (["extend", "a.mp4", "", "--seconds", "1"], "prompt is empty"),
    "two prompts": (["extend", "a.mp4", "ball", "box", "--seconds", "1"], "box"),
    "seed": ([*EXTEND, "1", "--seed", "-1"], "seed -1"),
    "steps": ([*EXTEND, "1", "--steps", "0"], "between 1 and 1000"),
    "cfg": ([*EXTEND, "1", "--cfg", "0"], "more than 0"),
    "solver": ([*EXTEND, "1", "--solver", "magic"], "euler, heun, dpmpp_2m"),
    "threads": ([*EXTEND, "1", "--threads", "0"], "1 or more"),
    "device": ([*EXTEND, "1", "--device", "tpu"], "auto, cpu, cuda"),
    "unknown option": ([*EXTEND, "1", "--speed", "2"], "--speed"),
    "ending": ([*EXTEND, "1", "-o", "x.avi"], ".mp4"),
    "picture": ([*EXTEND, "1", "-o", "x.png"], ".mp4"),
    "there already": ([*EXTEND, "1", "-o", "old.mp4"], "--force"),
    "a source": ([*EXTEND, "1", "-o", "a.mp4", "--force"], "what it is made from"),
    "missing folder": ([*EXTEND, "1", "-o", "no/x.mp4"], "does not exist"),
    "folder as file": ([*EXTEND, "1", "-o", "folder.mp4"], "is a folder"),
    "missing clip": (["foley", "no.mp4", "ball"], "no.mp4 does not exist"),
    "missing second clip": (["blend", "a.mp4", "no.mp4", "ball"], "no.mp4 does not exist"),
    "a folder": (["foley", "folder.mp4", "ball"], "is a folder"),
    "a text": (["foley", "text.mp4", "ball"], "cannot be read as a clip"),
    "nothing": (["foley", "empty.mp4", "ball"], "cannot be read as a clip"),
    "cut short": (["foley", "cut.mov", "ball"], "cannot be read as a clip"),
    "no prompt": (["extend", "b.mp4", "--seconds", "1"], "b.mp4 carries none of ours"),
    "another program's prompt": (["foley", "silent.mp4"], "silent.mp4 carries none of ours"),
    "missing checkpoint": ([*EXTEND, "1", "--checkpoint", "no.safetensors"], "does not exist"),
    "silent sound": (["generate", "ball", "--sound", "silent.mp4"], "is silent"),
    "missing sound": (["generate", "ball", "--sound", "no.wav"], "does not exist"),
    "sound of a still": (["generate", "ball", "--sound", "a.mp4", "--still"], "leave away --still"),
    "sound of two": (["generate", "ball", "--sound", "a.mp4", "--variations", "2"], "leave away --variations"),
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
def refused(clips):
    """Run all bad words in one process that has not loaded torch; return what it said."""
    before = names(clips)
    model = ["--checkpoint", "m.safetensors"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps({name: [words[0], *model, *words[1:]] for name, (words, _) in BAD_WORDS.items()}),
        capture_output=True,
        text=True,
        cwd=clips,
        env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2])},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert names(clips) == before
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BAD_WORDS)
def test_bad_words_are_a_sentence_before_torch(refused, name):
    code, said, torch_loaded = refused[name]
    assert code == 2
    assert said.startswith("sora: ")
    assert said.count("\n") == 1
    assert BAD_WORDS[name][1] in said, said
    assert not torch_loaded


# refusals that need the clip itself

BAD_CLIPS = {
    "no picture": (["foley", "@tone.wav", "ball"], "tone.wav"),
    "too small": (["extend", "@small.mov", "ball", "--seconds", "1"], "at least 16x16"),
    "too fast": (["extend", "@rapid.mp4", "ball", "--seconds", "1"], "fps 240"),
    "context longer than the clip": (
        ["extend", "@short.mp4", "ball", "--seconds", "1", "--context", "1"],
        "fewer than the context",
    ),
    "context longer than the second clip": (
        ["connect", "@a.mp4", "@short.mp4", "--seconds", "1", "--context", "1"],
        "the second clip has 5 frames",
    ),
    "context leaves nothing": (
        ["extend", "@a.mp4", "ball", "--seconds", "2", "--context", "1.5"],
        "ask for a shorter context",
    ),
    "sizes differ": (
        ["connect", "@a.mp4", "@b.mp4", "--seconds", "1", "--unlike", "refuse"],
        "32x16 and 48x32",
    ),
    "rates differ": (["blend", "@a.mp4", "@fast.mp4", "--unlike", "refuse"], "12 and 24 frames per second"),
    "film too long": (["extend", "@a.mp4", "ball", "--seconds", "599"], "600 are the most"),
    "blend too long": (["blend", "@a.mp4", "@b.mp4", "--seconds", "9"], "longer than the shorter section"),
    "cut behind the end": (["recut", "@a.mp4", "--from", "1", "--to", "9"], "0 to 2.00 s"),
    "redo outside": (["recut", "@a.mp4", "--to", "1", "--redo", "0.5:1.5"], "in what is left of the clip"),
    "redo of everything": (["recut", "@a.mp4", "--redo", "0:2"], "nothing of the clip is left"),
    "redo of no frame": (["recut", "@a.mp4", "--redo", "0.5:0.51"], "hold a frame"),
    "sound too long for the seconds": (
        ["generate", "ball", "--sound", "@tone.wav", "--seconds", "0"],
        "seconds 0 must be more than 0",
    ),
}


@pytest.mark.parametrize("name", BAD_CLIPS)
def test_bad_clips_are_a_sentence_before_the_model_is_loaded(name, make, monkeypatch):
    def load(*_):
        raise AssertionError("loaded")

    monkeypatch.setattr(Pipeline, "load", load)
    words, expected = BAD_CLIPS[name]
    code, _, said = make(*words)
    assert code == 2
    assert said.startswith("sora: ")
    assert said.count("\n") == 1
    assert expected in said, said
    assert names() == []


def test_a_result_that_is_no_number_leaves_nothing(make, monkeypatch):
    decode = Pipeline.decode_audio
    monkeypatch.setattr(Pipeline, "decode_audio", lambda self, audio: decode(self, audio) * float("nan"))
    code, _, said = make("foley", "@silent.mp4", "ball")
    assert code == 2
    assert "not numbers" in said.splitlines()[-1]
    assert names() == []
