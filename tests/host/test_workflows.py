"""Every shipped workflow opens with this pack and ComfyUI alone, says the same in both formats, and runs."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hosting import FOLDER
from serving import Server
from workflow_support import (
    BLUEPRINTS,
    FAMILIES,
    NAMES,
    OURS,
    REFUSED,
    SUBGRAPHS,
    WORKFLOWS,
    Probe,
    probe,
    provenance,
    read_graph,
    read_prompt,
    read_refused,
    saved_files,
)


class Saved(NamedTuple):
    """What a workflow leaves in the output folder.

    quiet: its sound may be silence, as of what slides. badge: the marks are seen too. unsigned: how many of the files,
    the last ones, core saved after they had been marked.
    """

    files: int = 1
    frames: int = 24
    sound: bool = True
    quiet: bool = False
    badge: bool = False
    unsigned: int = 0


SAVED = {
    "blend": Saved(),
    "connect": Saved(frames=60),
    "consented": Saved(badge=True),
    "easycache_custom_sampling": Saved(),
    "extend": Saved(frames=48),
    "first_last_frame": Saved(),
    "foley": Saved(),
    "image_to_video": Saved(),
    "keyframes": Saved(frames=36, quiet=True),
    "loop": Saved(frames=36),
    "mark": Saved(files=2, badge=True, unsigned=1),
    "prompt_expand": Saved(),
    "recut": Saved(frames=33),
    "remix": Saved(files=2),
    "sound_to_video": Saved(),
    "storyboard": Saved(frames=72),
    "text_to_image": Saved(frames=1, sound=False),
    "text_to_video": Saved(),
    "variations": Saved(files=4),
    "variations_of_clip": Saved(files=4),
    "verify": Saved(quiet=True),
    # core's VAE Decode gives all frames of the grid
    "video_only_ksampler": Saved(frames=25, sound=False),
}

FAMILY_MODELS = {"ltx_2_3": 3, "minimax_h3": 4, "wan_2_2": 3}
"""Other families, and the least number of model files that a workflow of theirs needs."""

GIVEN = {"first_last_frame": (0, -1), "image_to_video": (0,)}
"""Which frames of a clip were given as pictures, in the order of their previews."""

SIZE, FACTOR = 64, 6
"""Pixels of a side as the model makes it, and the factor by which it is drawn larger, so that a mark has room."""

REFUSALS = {
    "cameo": ("SoraCameoUse", "no cameo 'someone_else' is known here; enrol it, or import what its owner sent"),
    "prompt": (
        "SoraModerate",
        "the prompt may not go on: Blocked: Instructions for weapons, explosives and poisons are not made here. "
        '(rule illicit.weapons; read as "build ... pipe bomb")',
    ),
}
"""Which node ends a prompt that must not be made, and with which sentence."""

CLIP = "clip.mp4"
"""What workflows that edit a clip of the user's call it."""


@pytest.fixture(scope="module")
def object_info(server):
    return server.get("/object_info")


@pytest.fixture(scope="module")
def convert():
    reason = "comfy-cli turns graphs into API prompts for this test; pip install comfy-cli"
    return pytest.importorskip("comfy_cli.workflow_to_api", reason=reason).convert_ui_to_api


def test_every_workflow_is_there_in_three_forms():
    assert set(OURS) == set(SAVED)
    kinds = ("extend", "loop", "storyboard")
    assert set(FAMILIES) == {f"{family}_{kind}" for family in FAMILY_MODELS for kind in kinds}
    assert {path.stem for path in (WORKFLOWS / "api").glob("*.json")} == set(OURS)
    assert {path.stem for path in (WORKFLOWS / "api" / "families").iterdir()} == set(FAMILIES)
    assert {path.stem for path in (WORKFLOWS / "api" / "refused").iterdir()} == set(REFUSALS) == set(REFUSED)
    for name in NAMES:
        assert 2_000 < (WORKFLOWS / f"{name}.jpg").stat().st_size <= 60_000


def test_host_lists_the_graphs_as_templates_and_nothing_else(server):
    assert sorted(server.get("/workflow_templates")[FOLDER]) == list(NAMES)
    for name in NAMES:
        served = f"{server.url}/api/workflow_templates/{FOLDER}/{name}"
        assert server.get(f"/api/workflow_templates/{FOLDER}/{name}.json") == read_graph(name)
        with urllib.request.urlopen(f"{served}.jpg", timeout=30) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"
            assert answer.read() == (WORKFLOWS / f"{name}.jpg").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_graph_and_prompt_are_one(name, object_info, convert):
    assert convert(read_graph(name), object_info) == read_prompt(name)


@pytest.mark.parametrize("name", NAMES)
def test_needs_no_other_pack_no_file_and_no_server(name, object_info):
    for node in read_prompt(name).values():
        module = object_info[node["class_type"]]["python_module"]
        assert module.split(".")[0] in {"nodes", "comfy_extras"} or module == f"custom_nodes.{FOLDER}"
        assert not object_info[node["class_type"]].get("api_node")
        assert name in FAMILIES or not node["class_type"].startswith("Load")


@pytest.mark.parametrize("name", FAMILIES)
def test_host_refuses_a_family_only_for_its_missing_weights(name, server):
    (server.base / "input" / CLIP).touch()
    named = {model["name"] for node in read_graph(name)["nodes"] for model in node["properties"].get("models", ())}
    answer = server.post("/prompt", {"prompt": read_prompt(name)})
    missing = set()
    for told in answer["node_errors"].values():
        for error in told["errors"]:
            assert error["type"] == "value_not_in_list", error
            missing.add(error["extra_info"]["received_value"])
    assert missing == named


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_says_where_its_files_are_and_go(name, server):
    folders, graph = server.get("/models"), read_graph(name)
    note = next(node["widgets_values"][0] for node in graph["nodes"] if node["type"] == "MarkdownNote")
    found = set()
    for node in graph["nodes"]:
        for model in node["properties"].get("models", ()):
            assert model["name"] in node["widgets_values"]
            assert model["directory"] in folders
            assert model["url"].startswith("https://huggingface.co/")
            assert model["url"].endswith(f"/{model['name']}")
            assert f"- {model['directory']}: [{model['name']}]({model['url']})" in note
            found.add(model["name"])
    assert len(found) >= next(least for family, least in FAMILY_MODELS.items() if name.startswith(family))
    assert name.endswith("storyboard") or f"*{CLIP}*" in note


@pytest.mark.parametrize("name", NAMES)
def test_graph_is_laid_out(name):
    graph = read_graph(name)
    boxes = [(node["pos"], node["size"]) for node in graph["nodes"]]
    title = 30
    for ((ax, ay), (aw, ah)), ((bx, by), (bw, bh)) in itertools.combinations(boxes, 2):
        apart = ax + aw <= bx or bx + bw <= ax or ay + ah <= by - title or by + bh <= ay - title
        assert apart, "two nodes overlap"
    notes = [node for node in graph["nodes"] if node["type"] == "MarkdownNote"]
    assert len(notes) == 1
    assert len(notes[0]["widgets_values"][0]) > 100
    for (x, y), (w, h) in (box for node, box in zip(graph["nodes"], boxes, strict=True) if node not in notes):
        inside = [
            group["title"]
            for gx, gy, gw, gh, group in ((*group["bounding"], group) for group in graph["groups"])
            if gx <= x and x + w <= gx + gw and gy <= y - title and y + h <= gy + gh
        ]
        assert len(inside) == 1, "a node lies in no group, or in two"


@pytest.mark.parametrize("name", NAMES)
def test_every_clip_is_saved_with_its_marks_or_says_that_it_is_not(name):
    savers = [node for node in read_prompt(name).values() if "Save" in node["class_type"]]
    assert savers
    for node in savers:
        inputs = node["inputs"]
        if node["class_type"] == "SoraSaveVideo":
            assert inputs["invisible"]
            assert inputs["manifest"]
            assert inputs["format"] == ("png" if name == "text_to_image" else "mp4")
        else:
            assert node["class_type"] == "SaveVideo"
            marked = read_prompt(name)[inputs["video"][0]]["class_type"] == "SoraWatermark"
            assert inputs["filename_prefix"].endswith("_no-manifest" if marked else "_unmarked")


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", OURS)
def test_prompt_runs_and_saves_what_it_says(name, server):
    entry = server.finish(read_prompt(name), patience=300)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    wanted, files = SAVED[name], saved_files(server.base, entry["outputs"])
    assert len(files) == wanted.files
    signed, clips = len(files) - wanted.unsigned, [probe(file) for file in files]
    for place, clip in enumerate(clips):
        check_clip(clip, wanted, name, signed=place < signed)
    for one, other in itertools.combinations(clips[:signed], 2):
        assert np.abs(one.frames.astype(float) - other.frames).mean() > 1
    given = [probe(file).frames[0] for file in saved_files(server.base, entry["outputs"], "temp")]
    assert len(given) == len(GIVEN.get(name, ()))
    for place in GIVEN.get(name, ()):
        errors = [float(np.mean((clips[0].frames[place].astype(float) - picture) ** 2)) for picture in given]
        assert min(errors) < 150, "the clip does not keep the picture"
    for place, file in enumerate(files):
        check_provenance(file, server.private, wanted, signed=place < signed)


def check_clip(clip: Probe, wanted: Saved, name: str, *, signed: bool) -> None:
    """Say whether a saved file's picture, sound and tags are what its workflow makes."""
    # only our own clips are read at their own size
    side = SIZE if signed and wanted.frames > 1 else SIZE * FACTOR
    assert clip.tags.get("sora_scale") == (str(FACTOR) if signed else None)
    assert (clip.width, clip.height) == (SIZE * FACTOR, SIZE * FACTOR)
    assert clip.frames.shape == (wanted.frames, side, side, 3)
    assert clip.frames.std() > 5
    inputs = {key: node["inputs"] for key, node in read_prompt(name).items()}
    assert {key: node["inputs"] for key, node in json.loads(clip.tags["prompt"]).items()} == inputs
    if wanted.frames == 1:
        return
    assert clip.fps == 12
    assert clip.seconds == pytest.approx(wanted.frames / 12, abs=0.01)
    if wanted.sound:
        assert clip.samples.shape[1] / 16_000 == pytest.approx(clip.seconds, abs=0.1)
        assert wanted.quiet or clip.loudness > 0.005
    else:
        assert clip.samples is None


def check_provenance(file: Path, home: Path, wanted: Saved, *, signed: bool) -> None:
    """Say whether a saved file proves where it comes from, and carries the id that it claims."""
    found = provenance(file, home)
    assert found.picture.state == "present"
    assert found.picture.mark_id is not None
    if not signed:
        assert found.manifest.state == "absent"
        return
    assert found.manifest.state == "trusted", found.manifest.reasons
    assert ("visible" in found.manifest.layers_on) == wanted.badge
    assert "invisible" in found.manifest.layers_on
    assert found.manifest.layers_off == ()
    assert found.manifest.video_id == found.picture.mark_id


@pytest.mark.slow
@pytest.mark.weights
def test_text_to_video_leaves_one_marked_file_and_nothing_else(server):
    before = written(server.base)
    prompt = read_prompt("text_to_video")
    (sampler,) = (node for node in prompt.values() if node["class_type"] == "SoraSampler")
    sampler["inputs"]["seed"] = 77
    entry = server.finish(prompt)
    (file,) = saved_files(server.base, entry["outputs"])
    assert written(server.base) - before == {file}
    found = provenance(file, server.private)
    assert (found.manifest.state, found.picture.state) == ("trusted", "present")


def written(base: Path) -> set[Path]:
    """Return every file that a run may have left, hidden ones too."""
    return {path for folder in ("output", "temp") for path in (base / folder).rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", REFUSED)
def test_refused_prompt_ends_in_one_sentence_and_leaves_nothing(name, server):
    before = written(server.base)
    entry = server.finish(read_refused(name))
    assert entry["status"]["status_str"] == "error"
    (error,) = (told for kind, told in entry["status"]["messages"] if kind == "execution_error")
    assert (error["node_type"], error["exception_message"].strip()) == REFUSALS[name]
    assert saved_files(server.base, entry["outputs"]) == []
    assert written(server.base) == before


@pytest.mark.slow
@pytest.mark.weights
def test_verify_saves_a_report_that_holds(server):
    before = written(server.base)
    entry = again(server, "verify")
    (report,) = (path for path in written(server.base) - before if path.suffix == ".json")
    assert report.parent == server.base / "output" / "verify"
    told = json.loads(report.read_text(encoding="utf-8"))
    (file,) = saved_files(server.base, entry["outputs"])
    assert (told["manifest"], told["invisible"], told["visible"]) == ("trusted", "present", "absent")
    assert (told["broken"], told["broken_at_s"], told["ingredients"]) == (False, [], [])
    assert told["details"]["mark_id"] == f"{provenance(file, server.private).manifest.video_id:016x}"
    assert not any("authentic" in reason for reason in told["reasons"])
    (words,) = (text for node in entry["outputs"].values() for text in node.get("text", ()) if "manifest:" in text)
    assert report.name in words


@pytest.mark.slow
@pytest.mark.weights
def test_consented_clip_tells_of_its_use_and_so_does_the_log(server):
    entry = again(server, "consented")
    (file,) = saved_files(server.base, entry["outputs"])
    generation = provenance(file, server.private).manifest.generation
    assert generation.policy_decision == "allow"
    (used,) = generation.cameos
    (words,) = (text for node in entry["outputs"].values() for text in node.get("text", ()) if "whole" in text)
    lines = words.splitlines()
    assert f"{used.log_index}: intent allowed" in lines
    assert lines[-1] == f"{used.log_index + 1}: result saved"


def again(server: Server, name: str) -> dict[str, Any]:
    """Run a workflow under another name of its file, so that the host does not take it from its cache."""
    prompt = read_prompt(name)
    for node in prompt.values():
        if node["class_type"] == "SoraSaveVideo":
            node["inputs"]["filename_prefix"] += "_again"
    entry = server.finish(prompt, patience=300)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    return entry


@pytest.mark.slow
@pytest.mark.weights
def test_comfy_cli_runs_one(server, tmp_path):
    command = shutil.which("comfy", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if command is None:
        pytest.skip("comfy-cli is not installed; pip install comfy-cli")
    before = set(server.base.glob("output/**/*.mp4"))
    workflow = WORKFLOWS / "api" / "text_to_video.json"
    # its settings go into a home of its own; it asks about telemetry otherwise
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [command, "--skip-prompt", "run", "--workflow", str(workflow), "--wait", "--port", server.url.split(":")[-1]],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(set(server.base.glob("output/**/*.mp4")) - before) == 1


def test_blueprints_are_served(server):
    served = {entry["name"]: key for key, entry in server.get("/global_subgraphs").items() if FOLDER in str(entry)}
    assert BLUEPRINTS
    assert sorted(served) == list(BLUEPRINTS)
    for name in BLUEPRINTS:
        entry = server.get(f"/global_subgraphs/{served[name]}")
        assert entry["data"] == (SUBGRAPHS / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", BLUEPRINTS)
def test_blueprint_runs(name, server, object_info, convert):
    blueprint = json.loads((SUBGRAPHS / f"{name}.json").read_text(encoding="utf-8"))
    prompt = convert(blueprint, object_info)
    number = {node["class_type"]: key for key, node in prompt.items()}
    if image_to_video := number.get("SoraImageToVideo"):
        prompt["picture"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "color": 255}}
        prompt["picture"]["inputs"]["batch_size"] = 1
        prompt[image_to_video]["inputs"]["first_image"] = ["picture", 0]
    video = [number["SoraDecode"], 0]
    prompt["save"] = {"class_type": "SaveVideo", "inputs": {"video": video, "filename_prefix": "b", "format": "auto"}}
    entry = server.finish(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    (file,) = saved_files(server.base, entry["outputs"])
    clip = probe(file)
    assert clip.frames.shape == (24, 64, 64, 3)
    assert clip.samples is not None
    if image_to_video:
        assert clip.frames[0].mean((0, 1)).argmax() == 2, "the first frame is not the blue picture"
