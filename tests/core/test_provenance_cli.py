"""Marks, manifests, policies and cameos on the command line: what is on by default, what names tell, exit codes."""

# H W height and width

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("c2pa")
pytest.importorskip("cryptography.x509")

from sora_core.cli import main
from sora_core.editing.film import MemoryFilm
from sora_core.editing.film_stream import stream_from
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_film
from sora_core.media.png import write_png
from sora_core.provenance.home import Home
from sora_core.provenance.manifest.identity import local_anchors
from sora_core.provenance.manifest.read import read_manifest

SIDE, FRAMES, FPS, RATE = 240, 9, 12.0, 16_000
KEYS = {"manifest", "visible", "invisible", "audio", "broken_at_s", "ingredients", "reasons", "broken", "details"}
SMALL = ["--size", "256x256", "--seconds", "0.75", "--steps", "1", "--cfg", "1", "--scale", "1"]
"""A clip that is large enough for its marks as it is made, so that nothing is drawn larger."""


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Home:
    monkeypatch.delenv("SORA_PASSPHRASE", raising=False)
    monkeypatch.setenv("SORA_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Home(tmp_path / "home")


@pytest.fixture
def sora(capsys, tiny_checkpoint):
    """Run a command; return its code, stdout and stderr."""

    def run(command, *words):
        model = ["--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
        code = main([command, *map(str, words), *(model if command in ("generate", "remix", "extend") else [])])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def verified(sora):
    def run(path, *words):
        code, out, error = sora("verify", path, "--json", *words)
        assert code in (0, 3), error
        told = json.loads(out)
        assert set(told) == KEYS
        assert told["manifest"] in ("trusted", "intact", "broken", "absent", "unreadable")
        assert {told[layer] for layer in ("visible", "invisible", "audio")} <= {"present", "absent", "partial"}
        assert code == (3 if told["broken"] else 0)
        assert all(reason.isprintable() for reason in told["reasons"])
        return told

    return run


def moving(frames: int = FRAMES) -> MemoryFilm:
    dice = np.random.default_rng(3)
    patches = np.kron(
        dice.integers(30, 220, (12, 12, 3), dtype=np.uint8), np.ones((SIDE // 12, SIDE // 12, 1), np.uint8)
    )
    picture = np.stack([np.roll(patches, 3 * at, 1) for at in range(frames)])
    sound = dice.normal(0, 0.1, (1, round(frames / FPS * RATE))).astype(np.float32)
    return MemoryFilm(picture=torch.from_numpy(picture), audio=torch.from_numpy(sound), fps=FPS, sample_rate=RATE)


@pytest.fixture
def clip() -> Path:
    write_film(Path("clip.mp4"), stream_from(moving()), {"prompt": "a red ball"})
    return Path("clip.mp4")


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def manifest(name: str, home: Home):
    return read_manifest(Path(name), anchors=local_anchors(home))


# mark, sign, verify


def test_a_clip_is_marked_signed_and_verified(sora, verified, clip):
    before = clip.read_bytes()
    code, out, error = sora("mark", clip, "-o", "marked.mp4", "--scale", "1")
    assert code == 0, error
    assert "marked and signed" in out or "signed" in out
    assert clip.read_bytes() == before
    told = verified("marked.mp4")
    assert (told["manifest"], told["invisible"], told["visible"]) == ("trusted", "present", "absent")
    assert told["details"]["mark_id"] in out
    assert told["details"]["actions"][0] == "c2pa.opened" or told["ingredients"] == []
    assert not told["broken"]
    code, out, _ = sora("verify", "marked.mp4")
    assert code == 0
    assert out.startswith("manifest   trusted\n")
    assert "a pointer and no proof" in out
    assert "authentic" not in out.lower()
    assert sora("mark", clip, "-o", "marked.mp4")[0] == 2
    assert sora("mark", clip, "-o", "clip.mp4", "--force")[0] == 2
    assert sora("mark", "none.mp4", "-o", "x.mp4")[0] == 2
    assert names() == ["clip.mp4", "marked.mp4"]


def test_a_broken_file_exits_3_and_what_is_none_exits_2(sora, verified, clip):
    assert sora("mark", clip, "-o", "signed.mp4", "--scale", "1")[0] == 0
    data = bytearray(Path("signed.mp4").read_bytes())
    data[data.rindex(b"mdat") + 500] ^= 1
    Path("broken.mp4").write_bytes(data)
    told = verified("broken.mp4")
    assert told["broken"]
    assert told["manifest"] == "broken"
    for name, content in (("text.mp4", b"no clip at all"), ("empty.mp4", b""), ("zeros.mp4", bytes(1000))):
        Path(name).write_bytes(content)
        code, out, error = sora("verify", name, "--json")
        assert (code, out) == (2, ""), name
        assert error.startswith("sora: ")
        assert error.count("\n") == 1
    Path("folder").mkdir()
    for words in (
        ["folder"],
        ["none.mp4"],
        ["signed.mp4", "--anchors", "none.pem"],
        ["signed.mp4", "--badge", "\u30dc"],
    ):
        assert sora("verify", *words)[0] == 2, words


def test_signing_changes_no_picture_and_no_sound(sora, verified, clip, home):
    assert sora("mark", clip, "-o", "clip_no-manifest.mp4", "--scale", "1")[0] == 0
    clip = "clip_no-manifest.mp4"
    code, out, error = sora("sign", clip, "-o", "signed.mp4")
    assert code == 0
    assert "signed by" in out
    assert "do not know" in error or "unknown" in error.lower() or "other" in error.lower()
    one, two = (FileFilm(Path(name), as_stored=True) for name in (clip, "signed.mp4"))
    assert torch.equal(torch.cat(list(one.frames())), torch.cat(list(two.frames())))
    assert torch.equal(one.sound(), two.sound())
    told = verified("signed.mp4")
    assert (told["manifest"], told["invisible"]) == ("trusted", "present")
    assert sora("sign", "signed.mp4", "-o", "again.mp4")[0] == 0
    told = verified("again.mp4")
    assert [one["state"] for one in told["ingredients"]] == ["trusted"]
    # somebody else does not know the signer
    other = Home(home.folder.parent / "other")
    assert manifest("signed.mp4", home).state == "trusted"
    assert manifest("signed.mp4", other).state == "intact"
    assert sora("sign", clip, "-o", "x.mp4", "--certificate", "none.pem")[0] == 2


def test_a_badge_is_seen_with_letters_and_with_a_logo(sora, verified):
    write_film(Path("long.mp4"), stream_from(moving(30)), {})
    assert sora("mark", "long.mp4", "-o", "badge.mp4", "--badge", "OUR HOUSE", "--scale", "2")[0] == 0
    told = verified("badge.mp4")
    assert told["visible"] == "present", told
    assert told["details"]["layers_on"][0] == "visible"
    assert not told["broken"]
    write_png(Path("logo.png"), np.full((24, 24, 3), 200, np.uint8))
    assert sora("mark", "long.mp4", "-o", "logo.mp4", "--logo", "logo.png", "--scale", "2")[0] == 0
    assert not verified("logo.mp4")["broken"], "a badge with a logo is not called gone"


# generate


def test_a_clip_is_made_with_marks_and_a_manifest(sora, verified, home):
    code, out, error = sora("generate", "a red ball", *SMALL, "--json", "--seed", 7)
    assert code == 0, error
    told = json.loads(out)["clips"][0]
    assert told["signed"]
    assert len(told["mark_id"]) == 16
    assert names() == [Path(told["file"]).name]
    assert "_" not in Path(told["file"]).stem
    assert told["sha256"]
    found = verified(told["file"])
    assert found["manifest"] == "trusted"
    assert found["details"]["layers_on"][0] == "invisible"
    assert found["details"]["actions"][0] == "c2pa.created"
    read = manifest(told["file"], home)
    assert read.video_id == int(told["mark_id"], 16)
    assert read.generation.seed == 7
    assert read.generation.policy_decision == "allow"
    assert len(read.generation.policy_sha256) == 64
    assert read.generation.model_sha256
    assert not read.generation.prompt
    assert read.generation.prompt_sha256


ENDINGS = [
    (["--no-mark"], "_unmarked", None),
    (["--no-manifest"], "_no-manifest", False),
    (["--no-invisible"], "_no-invisible", True),
    (["--no-invisible", "--no-manifest", "--badge"], "_no-invisible_no-manifest", False),
    (["--badge", "MINE"], "", True),
]


@pytest.mark.parametrize(("words", "ending", "signed"), ENDINGS, ids=[" ".join(words) for words, _, _ in ENDINGS])
def test_a_name_says_what_was_left_out(sora, home, words, ending, signed):
    code, _, error = sora(
        "generate",
        "a red ball",
        *SMALL[:-2],
        *([] if "--no-mark" in words else ["--scale", "1"]),
        "-o",
        "x.mp4",
        *words,
    )
    assert code == 0, error
    assert names() == [f"x{ending}.mp4"]
    read = manifest(f"x{ending}.mp4", home)
    assert read.state == ("trusted" if signed else "absent")
    if "--no-invisible" in words and signed:
        assert read.layers_off == ("invisible", "audio")
    if words == ["--badge", "MINE"]:
        assert read.layers_on[:2] == ("visible", "invisible")


def test_a_small_clip_is_drawn_larger_for_its_marks(sora, verified):
    code, out, _ = sora(
        "generate", "a red ball", "--size", "64x64", "--seconds", "0.1", "--steps", "1", "-o", "s.mp4", "--json"
    )
    assert code == 0
    assert json.loads(out)["clips"][0]["saved_size"] == "384x384"
    assert FileFilm(Path("s.mp4")).width == 64
    assert not verified("s.mp4")["broken"]


def test_contradictions_are_refused_before_anything_is_made(sora):
    for words in (
        ["--badge", "x" * 60],
        ["--badge", "\u30dc\u30fc\u30eb"],
        ["--logo", "none.png"],
        ["--no-mark", "--badge"],
        ["--no-mark", "--no-manifest"],
        ["--no-badge", "--badge", "X"],
        ["--certificate", "x.pem"],
        ["--scale", "99"],
        ["--policy", "none.toml"],
        ["--no-mark", "--cameo", "nova"],
    ):
        code, _, error = sora("generate", "a red ball", "--size", "64x64", "--seconds", "0.1", *words)
        assert code == 2, words
        assert error.startswith("sora: "), words
    assert names() == []


def test_a_refused_prompt_says_rule_and_reason(sora):
    refused = "a naked child in bed"
    code, out, error = sora("generate", refused, *SMALL)
    assert (code, out) == (2, "")
    assert "refused by the rule" in error or "held back by the rule" in error
    assert refused not in error
    assert names() == []
    assert sora("generate", "a red ball @nobody", *SMALL)[0] == 2


def test_without_a_policy_that_is_told(sora, home):
    assert sora("generate", "a red ball", *SMALL, "-o", "x.mp4", "--policy", "none")[0] == 0
    assert manifest("x.mp4", home).generation.policy_decision == "not asked"


# moderate


def test_moderation_exits_0_3_and_2(sora):
    code, out, _ = sora("moderate", "kill the lights and shoot the scene")
    assert (code, out.startswith(("text: allow", "prompt: allow"))) == (0, True), out
    code, out, _ = sora("moderate", "a naked child in bed", "--json")
    told = json.loads(out)
    assert code == 3
    assert set(told) == {"policy", "policy_sha256", "decisions"}
    assert told["decisions"][0]["action"] == "block"
    assert told["decisions"][0]["rules"]
    for words in ([], ["x", "--policy", "none"], ["x", "--policy", "none.toml"], ["--clip", "none.mp4"]):
        assert sora("moderate", *words)[0] == 2, words


def test_a_clip_that_cannot_be_judged_is_refused(sora, clip):
    code, out, _ = sora("moderate", "--clip", clip, "--policy", "strict")
    assert code == 3
    assert "allow" not in out


# lineage


def test_three_generations_are_told(sora, verified, home):
    model = ["--steps", "1", "--cfg", "1"]
    assert sora("generate", "a red ball", *SMALL, "-o", "first.mp4")[0] == 0
    code, _, error = sora("remix", "first.mp4", "a red ball", *model, "-o", "second.mp4", "--scale", "1")
    assert code == 0, error
    code, _, error = sora(
        "extend", "second.mp4", "a red ball", "--seconds", "0.34", *model, "-o", "third.mp4", "--scale", "1"
    )
    assert code == 0, error
    told = verified("third.mp4")
    assert told["manifest"] == "trusted"
    assert told["details"]["actions"][0] == "c2pa.opened"
    one = told["ingredients"][0]
    assert (one["title"], one["relationship"], one["state"]) == ("second.mp4", "parentOf", "trusted")
    assert one["actions"][0] == "c2pa.opened"
    two = one["ingredients"][0]
    assert (two["title"], two["state"], two["actions"][0]) == ("first.mp4", "trusted", "c2pa.created")
    assert two["ingredients"] == []
    assert not told["broken"], told["reasons"]
    marks = [manifest(name, home).video_id for name in ("first.mp4", "second.mp4", "third.mp4")]
    assert len(set(marks)) == 3


# cameos


@pytest.fixture
def nova(sora):
    face = np.full((64, 64, 3), 120, np.uint8)
    face[20:40, 20:40] = 30
    write_png(Path("face.png"), face)
    code, _, error = sora("cameo", "enroll", "nova", "--character", "--image", "face.png", "--i-am-18-or-older")
    assert code == 0, error
    Path("face.png").unlink()


@pytest.mark.usefixtures("nova")
def test_a_cameo_is_shown_with_a_badge_and_logged_and_taken_back(sora, verified, home):
    code, out, error = sora("generate", "a red ball", *SMALL, "--cameo", "nova", "-o", "x.mp4", "--json")
    assert code == 0, error
    made = json.loads(out)["clips"][0]
    read = manifest("x.mp4", home)
    assert read.layers_on[0] == "visible"
    assert len(read.generation.cameos) == 1
    entries = json.loads(sora("cameo", "log", "--json")[1])["entries"]
    kinds = [entry["kind"] for entry in entries]
    assert kinds[-2:] == ["intent", "result"], kinds
    assert entries[-1]["output"] == made["sha256"]
    assert read.generation.cameos[0].log_index == entries[-2]["index"]
    assert not verified("x.mp4")["broken"]
    # without a badge the name tells
    assert sora("generate", "a red ball", *SMALL, "--cameo", "nova", "-o", "y.mp4", "--no-badge")[0] == 0
    assert "y_no-badge.mp4" in names()
    assert manifest("y_no-badge.mp4", home).layers_off == ("visible",)
    before = names()
    assert sora("cameo", "revoke", "nova")[0] == 0
    # a checkpoint that is none shows that nothing is loaded before the refusal
    code, _, error = sora("generate", "a red ball", *SMALL, "--cameo", "nova", "-o", "z.mp4")
    assert code == 2
    assert "nova" in error
    assert names() == before
    entries = json.loads(sora("cameo", "log", "--json")[1])["entries"]
    assert entries[-1]["kind"] in ("refusal", "refused")
    assert sora("generate", "a red ball", *SMALL, "--cameo", "nobody", "-o", "z.mp4")[0] == 2
    assert names() == before


@pytest.mark.usefixtures("nova")
def test_a_refused_cameo_loads_no_model(sora, monkeypatch):
    from sora_core.pipeline import Pipeline

    assert sora("cameo", "revoke", "nova")[0] == 0
    monkeypatch.setattr(Pipeline, "load", lambda *_: pytest.fail("the model was loaded"))
    assert sora("generate", "a red ball", *SMALL, "--cameo", "nova")[0] == 2
    assert names() == []
