"""The pack as ComfyUI loads it: every node there with its help and names, cheaply, on any system."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest
from hosting import FOLDER, PACK, comfyui_places, missing_requirements, private_base
from prompts import Clip

LIMIT = 0.5
"""Seconds that loading the pack may take, torch and the host being there already."""

POSIX_ONLY = {"fcntl", "grp", "pwd", "pty", "resource", "termios", "tty", "crypt", "readline", "syslog"}
POSIX_CALLS = {
    "fork",
    "getuid",
    "geteuid",
    "getgid",
    "mkfifo",
    "sched_setaffinity",
    "sysconf",
    "uname",
    "nice",
    "killpg",
}


@pytest.fixture(scope="module")
def listed(server):
    """The server's /object_info, our nodes alone."""
    return {name: told for name, told in server.get("/object_info").items() if name.startswith("Sora")}


@pytest.fixture(scope="module")
def ours(host):
    """Ids of the nodes that the pack's own list holds."""
    classes = host.loop.run_until_complete(host.pack("nodes").SoraExtension().get_node_list())
    return [node.GET_SCHEMA().node_id for node in classes]


def test_every_node_is_in_object_info(listed, ours):
    assert sorted(listed) == sorted(ours)
    assert len(ours) == len(set(ours)) >= 10
    for name, told in listed.items():
        assert told["display_name"]
        assert told["description"]
        assert told["category"].startswith("sora/"), name
        assert told["python_module"] == f"custom_nodes.{FOLDER}"


def shown(node):
    """Return the inputs that a user sees, by name."""
    return {**node["input"].get("required", {}), **node["input"].get("optional", {})}


def test_every_node_and_input_has_a_tooltip(listed):
    for name, told in listed.items():
        for key, (_, *options) in shown(told).items():
            assert options, (name, key)
            assert options[0].get("tooltip"), (name, key)
        assert all(told["output_tooltips"]), name
        assert len(told["output_tooltips"]) == len(told["output"])


def test_every_node_has_a_help_page(server, listed):
    for name in listed:
        page = server.get(f"/extensions/{FOLDER}/docs/{name}.md")
        assert len(page) > 200, name


def test_every_node_and_input_has_a_name_in_the_locale(server, listed):
    texts = server.get("/i18n")
    assert "en" in texts
    for language, told in texts.items():
        nodes = told.get("nodeDefs", {})
        if not any(name.startswith("Sora") for name in nodes):
            continue
        for name, node in listed.items():
            entry = nodes[name]
            assert entry["display_name"], (language, name)
            given = {key: options[-1] for key, options in shown(node).items()}
            # the frontend's own widget beside a seed
            more = {key for options in given.values() for key in ("control_after_generate",) if options.get(key)}
            assert set(entry.get("inputs", {})) - more == set(given), (language, name)


def test_the_server_says_nothing_bad_of_the_pack(server, listed):
    log = server.log.read_text(encoding="utf-8", errors="replace").split("Starting server")[0]
    assert listed
    assert "IMPORT FAILED" not in log
    imported = [line for line in log.splitlines() if "seconds" in line and FOLDER in line]
    assert len(imported) == 1, log[-3000:]
    assert "Traceback" not in log
    assert not [line for line in log.splitlines() if FOLDER in line and "warn" in line.lower()]


def test_the_host_of_this_process_loaded_the_pack(host, ours):
    assert "IMPORT FAILED" not in host.log.getvalue()
    assert FOLDER in host.log.getvalue()
    assert all(name in host.nodes.NODE_CLASS_MAPPINGS for name in ours)


def test_the_module_nodes_is_the_hosts(host):
    """With this checkout on the path, ours could be taken for it."""
    assert Path(sys.modules["nodes"].__file__).parent == host.comfyui.resolve()
    assert Path(host.pack("nodes").__file__).parent.name == "nodes"
    assert host.pack("nodes") is not sys.modules["nodes"]


@pytest.fixture(scope="module")
def probe(comfyui, tmp_path_factory):
    base = private_base(tmp_path_factory.mktemp("probed"))
    command = [sys.executable, str(Path(__file__).with_name("import_probe.py")), str(comfyui)]
    pack = str(base / "custom_nodes" / FOLDER)
    # as at every start but the first: with the bytecode that Python keeps, wherever this process keeps its own
    kept = {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode")), "PYTHONDONTWRITEBYTECODE": ""}
    for _ in range(2):
        done = subprocess.run(
            [*command, pack, str(base)],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | kept,
        )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_import_is_quick_and_quiet(probe, ours, tell):
    tell(f"import of the pack: {probe['seconds']:.3f} s, {probe['bytes'] / 2**20:.1f} MiB resident")
    assert probe["loaded"] is True
    assert probe["nodes"] == sorted(ours)
    assert probe["seconds"] <= LIMIT
    assert probe["bytes"] < 64 << 20
    assert probe["printed"] == ""


def test_the_import_starts_no_thread_process_or_connection(probe):
    assert probe["threads"] == []
    assert probe["audited"] == []


def test_the_import_leaves_the_core_under_one_name(probe):
    """Two copies of the library would be two sets of classes."""
    cores = {name.split("sora_core")[0] for name in probe["modules"] if "sora_core" in name}
    assert len(cores) == 1
    assert "sora_core" not in probe["modules"]


def python_files():
    return [*PACK.glob("*.py"), *(PACK / "nodes").rglob("*.py"), *(PACK / "sora_core").rglob("*.py")]


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(PACK)))
def test_nothing_of_one_system_alone_is_called_at_import(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in at_import(tree):
        if isinstance(node, ast.Import):
            assert not POSIX_ONLY & {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            assert node.module.split(".")[0] not in POSIX_ONLY
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in POSIX_CALLS


def at_import(tree):
    """Yield the syntax that runs when a module is imported: not what lies in functions."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield child
        yield from at_import(child)


def test_names_of_windows_are_shown_with_slashes(host, monkeypatch):
    """The host of a Windows machine lists files of sub-folders with backslashes."""
    module = host.pack("nodes.host")
    import folder_paths

    names = {
        "checkpoints": ["sub\\own.safetensors", "plain.safetensors", "old.ckpt"],
        "diffusion_models": ["a\\b\\c.safetensors"],
    }
    monkeypatch.setattr(folder_paths, "get_filename_list", names.__getitem__)
    monkeypatch.setattr(folder_paths, "get_full_path", lambda folder, name: f"C:\\models\\{folder}\\{name}")
    monkeypatch.setattr(module, "Path", PureWindowsPath)
    found = module.model_files()
    assert list(found) == [
        "checkpoints/sub/own.safetensors",
        "checkpoints/plain.safetensors",
        "diffusion_models/a/b/c.safetensors",
    ]
    assert found["checkpoints/sub/own.safetensors"] == PureWindowsPath("C:/models/checkpoints/sub/own.safetensors")


def test_a_file_in_a_folder_below_is_found_and_loads(host, tiny_checkpoint):
    folder = host.base / "models" / "checkpoints" / "sub"
    folder.mkdir(exist_ok=True)
    (folder / "own.safetensors").write_bytes(tiny_checkpoint.read_bytes())
    clip = Clip(host, "checkpoints/sub/own.safetensors")
    assert all("\\" not in name for name in host.pack("nodes.loaders").checkpoints())
    assert clip.values(clip.model).model.diffusion_model is not None


@pytest.mark.parametrize(
    ("system", "workspace"),
    [("Linux", "comfy/ComfyUI"), ("Darwin", "Documents/comfy/ComfyUI"), ("Windows", "Documents/comfy/ComfyUI")],
)
def test_where_comfyui_is_looked_for(system, workspace):
    places = functools.partial(comfyui_places, system=system, home=Path("home"))
    lone = places({}, pack=Path("src/pack"))
    assert [path for _, path in lone] == [Path("home") / workspace]
    installed = places({}, pack=Path("c/ComfyUI/custom_nodes/pack"))
    assert [path for _, path in installed] == [Path("c/ComfyUI"), Path("home") / workspace]
    assert [path for _, path in places({"COMFYUI_PATH": "there"}, pack=Path("x"))] == [Path("there")]


def test_missing_requirements_are_named(tmp_path):
    text = "# comment\n\npytest>=1\nno-such-package-of-ours==1.0\n"
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    assert missing_requirements(tmp_path) == ["no-such-package-of-ours"]
