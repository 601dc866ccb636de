"""Marks, manifests, checks, policies and cameos as nodes, in a real ComfyUI: what is saved, told, refused and kept."""

# F frames, H W height and width

from __future__ import annotations

import importlib
import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("c2pa")
pytest.importorskip("cryptography.x509")

from sora_core.cameo.proof import verify_proof
from sora_core.media.film_file import FileFilm
from sora_core.media.mp4 import read_tags
from sora_core.media.png import read_png_tags, write_png
from sora_core.provenance.home import Home
from sora_core.provenance.manifest.identity import local_anchors
from sora_core.provenance.manifest.read import read_manifest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
HOSTILE_NAMES = importlib.import_module("test_strange_names").REFUSED

SIDE, FRAMES, FPS = 240, 6, 12
FORMATS = ("mp4", "mov", "mkv", "webm", "png")


def picture(seed: int = 0, side: int = SIDE) -> np.ndarray:
    dice = np.random.default_rng(seed)
    return np.kron(dice.integers(30, 220, (12, 12, 3), dtype=np.uint8), np.ones((side // 12, side // 12, 1), np.uint8))


def video(frames: int = FRAMES, seed: int = 0, *, sound: bool = True) -> Any:
    """Return a VIDEO made of images and a noise."""
    from comfy_api.latest import InputImpl, Types

    images = torch.from_numpy(np.stack([np.roll(picture(seed), 3 * at, 1) for at in range(frames)])).float() / 255
    wave = torch.randn(1, 1, round(frames / FPS * 16000), generator=torch.Generator().manual_seed(seed)) * 0.1
    audio = {"waveform": wave, "sample_rate": 16000} if sound else None
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=images, audio=audio, frame_rate=Fraction(FPS)))


@pytest.fixture
def output(host) -> Path:
    """Empty the output folder."""
    folder = host.base / "output"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture
def home() -> Home:
    return Home.default()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def save(host, clip: Any = None, **inputs) -> dict[str, Any]:
    """Save a VIDEO; return what the nodes show."""
    graph = host.graph()
    graph.add("SoraSaveVideo", video=graph.give(clip or video()), scale=1, **inputs)
    return host.run(graph.prompt)


def manifest(path: Path):
    return read_manifest(path, anchors=local_anchors(Home.default()))


# saving


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_marked_signed_and_shown(host, output, kind):
    still = kind == "png"
    ui = save(host, video(1, sound=False) if still else None, format=kind, filename_prefix="clips/x")
    name = f"clips/x_00001_.{kind}"
    assert name in files(output)
    assert files(output) == sorted([name, *([f"{name}.c2pa"] if kind in ("mkv", "webm") else [])]) or kind in (
        "mkv",
        "webm",
    )
    read = manifest(output / name)
    assert read.state == "trusted"
    assert read.layers_on[0] == "invisible"
    assert FileFilm(output / name, as_stored=True).num_frames == (1 if still else FRAMES)
    shown = next(told["images"] for told in ui.values() if "images" in told)[0]
    assert (shown["filename"], shown["subfolder"], shown["type"]) == (Path(name).name, "clips", "output")


ENDINGS = [
    ({"invisible": False}, "_no-invisible", True),
    ({"manifest": False}, "_no-manifest", False),
    ({"invisible": False, "manifest": False}, "_unmarked", False),
    ({"badge": "on", "badge_text": "MINE"}, "", True),
    ({"badge": "off"}, "", True),
]


@pytest.mark.parametrize(("inputs", "ending", "signed"), ENDINGS, ids=[str(inputs) for inputs, _, _ in ENDINGS])
def test_a_name_says_what_was_left_out(host, output, inputs, ending, signed):
    save(host, filename_prefix="x", **inputs)
    name = f"x_00001{ending or '_'}.mp4"
    assert files(output) == [name]
    read = manifest(output / name)
    assert read.state == ("trusted" if signed else "absent")
    if inputs == {"invisible": False}:
        assert read.layers_off == ("invisible", "audio")
    assert ("visible" in read.layers_on) == ("badge_text" in inputs)


@pytest.mark.parametrize("kind", ["mp4", "png"])
def test_the_graph_is_in_the_file_only_where_it_is_wanted(host, output, kind):
    clip = video(1, sound=False)
    for wanted in (True, False):
        save(host, clip, format=kind, filename_prefix=f"w{int(wanted)}", workflow=wanted, prompt_in_manifest=False)
        path = output / f"w{int(wanted)}_00001_.{kind}"
        tags = read_png_tags(path) if kind == "png" else read_tags(path)
        assert ("prompt" in tags) == wanted
        if wanted:
            assert "SoraSaveVideo" in tags["prompt"]
        assert (b"SoraSaveVideo" in path.read_bytes()) == wanted


def test_the_prompt_is_in_the_manifest_on_request_alone(host, output):
    for shown in (False, True):
        graph = host.graph()
        told = graph.give("a very particular ball")
        graph.add(
            "SoraSaveVideo",
            video=graph.give(video()),
            prompt=told,
            prompt_in_manifest=shown,
            filename_prefix=f"p{int(shown)}",
            workflow=False,
            scale=1,
        )
        host.run(graph.prompt)
        path = output / f"p{int(shown)}_00001_.mp4"
        assert (b"a very particular ball" in path.read_bytes()) == shown
        assert manifest(path).generation.prompt_sha256
        assert bool(manifest(path).generation.prompt) == shown


def test_what_was_loaded_is_what_it_was_made_from(host, output):
    save(host, filename_prefix="one")
    for name, made in (("one", "two"), ("two", "three")):
        shutil.copyfile(output / f"{name}_00001_.mp4", host.base / "input" / f"{name}.mp4")
        graph = host.graph()
        loaded = graph.add("LoadVideo", file=f"{name}.mp4")[0]
        graph.add("SoraSaveVideo", video=loaded, filename_prefix=made, scale=1)
        host.run(graph.prompt)
    read = manifest(output / "three_00001_.mp4")
    assert read.state == "trusted"
    assert read.actions[0].name == "c2pa.opened"
    assert [(one.title, one.relationship, one.state) for one in read.ingredients] == [
        ("two.mp4", "parentOf", "trusted")
    ]
    assert [(one.title, one.state) for one in read.ingredients[0].ingredients] == [("one.mp4", "trusted")]


def test_several_frames_are_no_png(host, output):
    graph = host.graph()
    saved = graph.add("SoraSaveVideo", video=graph.give(video()), format="png")[0]
    assert "a PNG holds one" in str(host.error(graph, saved))
    assert files(output) == []


def test_hostile_names_write_nothing_outside(host, output):
    """Every name of the path table, through all nodes that write."""
    before = files(host.base)
    graph_of = {
        "SoraSaveVideo": lambda graph, name: {"video": graph.give(video(1)), "filename_prefix": name, "scale": 1},
        "SoraCameoGrant": lambda _, name: {"file_prefix": name, "level": "everyone"},
        "SoraCameoRevoke": lambda _, name: {"file_prefix": name, "sure": True},
    }
    for name in HOSTILE_NAMES:
        for node, inputs in graph_of.items():
            graph = host.graph()
            made = graph.add(node, **inputs(graph, name))
            error = host.error(graph, made[0]) if node != "SoraCameoRevoke" else _fails(host, graph)
            assert "file name" in error.message or "prefix" in error.message, (node, ascii(name), error.message)
            assert error.message.isprintable(), ascii(name)
    assert files(host.base) == before
    assert files(output) == []
    save(host, video(1), filename_prefix="%year%/ok_%width%")
    assert len(files(output)) == 1


def _fails(host, graph):
    from hosting import PromptError

    with pytest.raises(PromptError) as caught:
        host.run(graph.prompt)
    return caught.value


# marking and checking


def test_marks_of_their_own_node_live_through_cores_save(host, output):
    graph = host.graph()
    marked = graph.add("SoraWatermark", video=graph.give(video(24)), marks="invisible", scale=2)[0]
    graph.add("SaveVideo", video=marked, filename_prefix="core", format="auto", codec="auto")
    host.run(graph.prompt)
    name = next(name for name in files(output) if name.startswith("core"))
    shutil.copyfile(output / name, host.base / "input" / "core.mp4")
    graph = host.graph()
    report, holds = graph.add("SoraVerify", file="core.mp4", report_prefix="verify/report")
    told, fine = host.values(graph, report, holds)
    told = json.loads(told)
    assert told["invisible"] == "present"
    assert told["manifest"] == "absent"
    assert fine is True
    assert json.loads((output / "verify" / "report_00001_.json").read_text(encoding="utf-8")) == told


def test_a_video_is_not_marked_twice(host, output):
    graph = host.graph()
    once = graph.add("SoraWatermark", video=graph.give(video()), scale=1)[0]
    twice = graph.add("SoraWatermark", video=once, scale=1)[0]
    assert "carries marks already" in str(host.error(graph, twice))
    # saving adds no second mark and signs
    graph = host.graph()
    once = graph.add("SoraWatermark", video=graph.give(video()), scale=1)[0]
    graph.add("SoraSaveVideo", video=once, filename_prefix="once", scale=1)
    host.run(graph.prompt)
    read = manifest(output / "once_00001_.mp4")
    assert read.state == "trusted"
    assert len([mark for mark in read.marks if mark.layer == "invisible"]) == 1


def test_a_saved_video_is_checked_as_it_lies(host, output):
    graph = host.graph()
    saved = graph.add("SoraSaveVideo", video=graph.give(video()), filename_prefix="x", scale=1)[0]
    report, holds = graph.add("SoraVerify", video=saved)
    told, fine = host.values(graph, report, holds)
    assert json.loads(told)["manifest"] == "trusted"
    assert json.loads(told)["invisible"] == "present"
    assert fine is True
    data = bytearray((output / "x_00001_.mp4").read_bytes())
    data[data.rindex(b"mdat") + 300] ^= 1
    (host.base / "input" / "broken.mp4").write_bytes(data)
    graph = host.graph()
    report, holds = graph.add("SoraVerify", file="broken.mp4")
    told, fine = host.values(graph, report, holds)
    assert json.loads(told)["manifest"] == "broken"
    assert fine is False


def test_hostile_names_are_not_read(host):
    for name in ["none", *HOSTILE_NAMES, "../output/x.mp4", "x.mp4 [output]", "../../etc/hostname [input]"]:
        graph = host.graph()
        report = graph.add("SoraVerify", file=name)[0]
        error = host.error(graph, report)
        assert error.message.isprintable(), ascii(name)
        assert "Traceback" not in error.message


# moderation


def test_what_is_refused_stops_the_run(host, output):
    graph = host.graph()
    text, _, decision = graph.add("SoraModerate", text="a naked child in bed")
    graph.add("SoraSaveVideo", video=graph.give(video()), prompt=text, decision=decision)
    error = _fails(host, graph)
    assert error.node == "SoraModerate"
    assert "may not go on" in error.message
    assert "a naked child in bed" not in error.message
    assert files(output) == []


def test_the_decision_is_sealed_and_told(host, output):
    graph = host.graph()
    text, _, decision = graph.add("SoraModerate", text="kill the lights and shoot the scene")
    sealed = host.values(graph, decision)
    graph = host.graph()
    text, _, decision = graph.add("SoraModerate", text="kill the lights and shoot the scene")
    graph.add("SoraSaveVideo", video=graph.give(video()), prompt=text, decision=decision, filename_prefix="d", scale=1)
    host.run(graph.prompt)
    told = manifest(output / "d_00001_.mp4").generation
    assert told.policy_decision == "allow"
    assert told.policy_id == "default"
    honest = json.loads(sealed)
    forged = [
        json.dumps({**honest, "action": "label"}),
        json.dumps({**honest, "policy": "0" * 64}),
        json.dumps({**honest, "seal": "0" * 64}),
        json.dumps({key: value for key, value in honest.items() if key != "seal"}),
        "{}",
        "allow",
        "[" * 9000,
        "x" * 20_000,
    ]
    for text in forged:
        for node in ("SoraSaveVideo", "SoraCameoUse"):
            graph = host.graph()
            more = {"video": graph.give(video(1)), "filename_prefix": "forged"} if node == "SoraSaveVideo" else {}
            made = graph.add(node, decision=graph.give(text), **more)[0]
            assert "was not decided here" in str(host.error(graph, made)), (node, text[:40])
    assert files(output) == ["d_00001_.mp4"]


def test_a_video_that_cannot_be_judged_is_refused(host):
    graph = host.graph()
    made = graph.add("SoraModerate", text="a ball", policy="strict", video=graph.give(video()))[1]
    assert "may not go on" in str(host.error(graph, made))


# cameos, on a server of its own


def error_of(entry: dict[str, Any]) -> str:
    return next(
        (told["exception_message"] for kind, told in entry["status"]["messages"] if kind == "execution_error"), ""
    )


def node(class_type: str, **inputs) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def scene(prefix: str, name: str = "nova") -> dict[str, Any]:
    """Return a graph that shows a cameo and saves."""
    return {
        "1": node("SoraCameoUse", name=name, name_2="", scopes="face", prompt=f"@{name} walks"),
        "2": node("RepeatImageBatch", image=["1", 1], amount=FRAMES),
        "3": node("CreateVideo", images=["2", 0], fps=float(FPS)),
        "4": node(
            "SoraSaveVideo",
            video=["3", 0],
            filename_prefix=prefix,
            format="mp4",
            invisible=True,
            badge="auto",
            manifest=True,
            badge_text="AI",
            scale=2,
            workflow=True,
            prompt_in_manifest=False,
            prompt=["1", 4],
            cameo=["1", 0],
        ),
        "5": node("SoraCameoLog", name="", newest=50, proof_prefix=f"{prefix}_proof", video=["4", 0]),
    }


def test_a_cameo_from_enrolment_to_revocation(server):
    write_png(server.base / "input" / "face.png", picture(3))
    out = server.base / "output"
    enrolled = {
        "1": node("LoadImage", image="face.png"),
        "2": node(
            "SoraCameoEnroll",
            name="nova",
            subject="character",
            attested=True,
            image=["1", 0],
            confirmed=False,
            keep=True,
        ),
    }
    refused = json.loads(json.dumps(enrolled))
    refused["2"]["inputs"]["attested"] = False
    assert "18" in error_of(server.finish(refused))
    entry = server.finish(enrolled)
    assert error_of(entry) == ""
    granted = {
        "1": node(
            "SoraCameoGrant",
            name="nova",
            level="everyone",
            grantee="",
            scopes="face",
            deny="politics",
            max_uses=2,
            days=30,
            file_prefix="cameo/grant",
        )
    }
    history = [entry, server.finish(granted)]
    assert error_of(history[-1]) == ""
    history.append(server.finish(scene("clips/nova")))
    assert error_of(history[-1]) == ""
    home = Home(server.private)
    path = out / "clips" / "nova_00001_.mp4"
    read = read_manifest(path, anchors=local_anchors(home))
    assert read.state == "trusted"
    assert read.layers_on[0] == "visible"
    assert len(read.generation.cameos) == 1
    # the files of the owner hold
    from sora_core.cameo.ledger import Ledger
    from sora_core.checkpoint.metadata import file_hash

    owner = Ledger(home)
    proof = (out / "clips" / "nova_proof_00001_.json").read_bytes()
    proven = verify_proof(proof, owner.did)
    assert proven.complete
    assert not proven.violations
    results = [entry.value for entry in owner.entries() if entry.value["kind"] == "result"]
    assert [one["output"] for one in results] == [file_hash(path)]
    assert owner.orphans() == []
    stranger = Ledger(Home(server.base / "stranger"))
    taken = stranger.take((out / "cameo" / "grant_00001_.json").read_bytes())
    assert taken.grant is not None
    assert taken.card.name == "nova"
    # taken back
    revoked = {"1": node("SoraCameoRevoke", name="nova", grant="", sure=False, file_prefix="cameo/revocations")}
    assert "switch sure on" in error_of(server.finish(revoked))
    revoked["1"]["inputs"]["sure"] = True
    history.append(server.finish(revoked))
    assert error_of(history[-1]) == ""
    stranger.take((out / "cameo" / "revocations_00001_.json").read_bytes())
    before = files(out)
    for name in ("nova", "nobody"):
        entry = server.finish(scene("clips/again", name))
        history.append(entry)
        assert error_of(entry), "a use that is not allowed stops the run"
        assert "Traceback" not in error_of(entry)
    assert files(out) == before
    assert [entry.value["kind"] for entry in owner.entries()][-1] in ("refusal", "refused")
    _no_secrets(server, home, history)


def _no_secrets(server, home: Home, history: list[dict[str, Any]]) -> None:
    """Search all that anybody can read for the bytes of keys, and for the private folder's name."""
    seen = {name: (server.base / "output" / name).read_bytes() for name in files(server.base / "output")}
    seen["history"] = json.dumps(history).encode()
    seen["log"] = server.log.read_bytes()
    secrets = {path.name: path.read_bytes() for path in home.folder.rglob("*.key")}
    secrets["passphrase"] = home.passphrase()
    for path in home.folder.glob("*.pem"):
        if b"PRIVATE KEY" in path.read_bytes():
            secrets[path.name] = path.read_bytes().splitlines()[1]
    assert len(secrets) >= 4
    for name, secret in secrets.items():
        for shape in (secret, secret.hex().encode()):
            assert [place for place, data in seen.items() if shape in data] == [], name
    for place, data in seen.items():
        assert str(home.folder).encode() not in data, place
