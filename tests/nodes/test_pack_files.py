"""What stands beside the nodes agrees with them, and the code keeps the pack's rules: without ComfyUI."""

from __future__ import annotations

import ast
import json
import os
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from stand_in import Anything, schemas

ROOT = Path(__file__).parents[2]
NODES = ROOT / "nodes"
CORE = ROOT / "sora_core"
LOCALES = ("en", "zh")

HOST = frozenset(
    {
        "comfy",
        "comfy_api",
        "comfy_execution",
        "comfy_extras",
        "folder_paths",
        "latent_preview",
        "node_helpers",
        "server",
    }
)
"""Modules of ComfyUI that the pack may use, in one place."""

HOST_BRINGS = frozenset({"torchaudio"})
"""What ComfyUI itself requires, so that the pack's own list need not."""

TRANSLATED_BY_CORE = frozenset({"loaders", "latent", "conditioning", "sampling"})
"""Parts of categories that ComfyUI's own translations name; ours would replace them everywhere."""

AFTER_GENERATE = {"control_after_generate": {"name": "control after generate"}}
"""The host adds this widget below a seed, and its translations name it so."""

OF_THE_MACHINE = {("SoraLoader", "checkpoint")}
"""Inputs whose default is a file that the machine has."""

FORBIDDEN_MODULES = frozenset(
    {"subprocess", "pickle", "cloudpickle", "dill", "marshal", "shelve", "ctypes", "socket", "importlib", "nodes"}
)
FORBIDDEN_CALLS = frozenset(
    {
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "os.execv",
        "os.spawnv",
        "torch.load",
        "torch.save",
    }
)
POSIX_MODULES = frozenset({"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"})
POSIX_NAMES = frozenset(
    {
        *(f"os.{name}" for name in ("fork", "getloadavg", "getpgid", "getuid", "killpg", "nice", "sched_getaffinity")),
        *(f"os.{name}" for name in ("sched_setaffinity", "setsid", "sysconf", "sysconf_names", "uname", "wait3")),
        *(f"signal.{name}" for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2")),
        "signal.alarm",
        "signal.setitimer",
        "time.tzset",
    }
)


# What the source says


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def python_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def node_classes() -> dict[str, ast.ClassDef]:
    """Return every class of the node modules that has a schema, by name."""
    return {
        statement.name: statement
        for path in sorted(NODES.glob("*.py"))
        for statement in tree_of(path).body
        if isinstance(statement, ast.ClassDef)
        and any(isinstance(part, ast.FunctionDef) and part.name == "define_schema" for part in statement.body)
    }


def written_of(node: ast.ClassDef) -> dict[str, Any]:
    """Return the literals that stand in the call of a node's schema."""
    call = next(part for part in ast.walk(node) if isinstance(part, ast.Call) and ast.unparse(part.func) == "io.Schema")
    return {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}


def plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are texts, numbers or switches; what an adapter would give is left out."""
    return {name: value for name, value in options.items() if isinstance(value, str | int | float)}


def schema_of(schema: Anything) -> dict[str, Any]:
    """Return a node's schema: its texts, inputs by id and outputs in order."""
    return {
        **plain(schema.options),
        "inputs": {given.args[0]: plain(given.options) for given in schema.options["inputs"]},
        "outputs": [plain(given.options) for given in schema.options["outputs"]],
    }


SCHEMAS = {name: schema_of(schema) for name, schema in schemas().items()}


def english_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what the English translation must say of a node."""
    inputs: dict[str, Any] = {}
    for name, options in schema["inputs"].items():
        inputs[name] = {"name": options.get("display_name", name), "tooltip": options["tooltip"]}
        if options.get("control_after_generate"):
            inputs.update(AFTER_GENERATE)
    outputs = {
        str(index): {"name": options["display_name"], "tooltip": options["tooltip"]}
        for index, options in enumerate(schema["outputs"])
    }
    return {
        "display_name": schema["display_name"],
        "description": schema["description"],
        "inputs": inputs,
        "outputs": outputs,
    }


def read_locale(locale: str, name: str) -> dict[str, Any]:
    return json.loads((ROOT / "locales" / locale / f"{name}.json").read_text(encoding="utf-8"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a nested dictionary with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    else:
        yield path, value


def numbers_in(text: str) -> set[float]:
    return {float(number) for number in re.findall(r"(?:(?<!\w)-)?\d+(?:\.\d+)?", text)}


# Nodes


def test_nodes_are_found():
    assert len(SCHEMAS) >= 10
    assert sorted(SCHEMAS) == sorted(node_classes())


def test_extension_lists_every_node():
    listed = next(part for part in ast.walk(tree_of(NODES / "__init__.py")) if isinstance(part, ast.List))
    assert sorted(element.id for element in listed.elts) == sorted(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_node_can_be_read_without_running_it(name):
    schema, node = SCHEMAS[name], node_classes()[name]
    assert [ast.unparse(base) for base in node.bases] == ["io.ComfyNode"]
    assert written_of(node)["node_id"] == schema["node_id"] == name
    assert name.startswith("Sora")
    assert re.fullmatch(r"sora/[a-z]+", schema["category"])
    for text in ("display_name", "description"):
        assert schema[text].strip()
    for option in (*schema["inputs"].values(), *schema["outputs"]):
        assert option["tooltip"].strip()
    assert all(output["display_name"] for output in schema["outputs"])


# Translations


@pytest.mark.parametrize("locale", LOCALES)
def test_locale_has_every_node_and_key(locale):
    defs = read_locale(locale, "nodeDefs")
    assert sorted(defs) == sorted(SCHEMAS)
    for name, schema in SCHEMAS.items():
        assert [path for path, _ in leaves(defs[name])] == [path for path, _ in leaves(english_of(schema))], name
    categories = {schema["category"] for schema in SCHEMAS.values()}
    parts = {part for category in categories for part in category.split("/")}
    assert set(read_locale(locale, "main")["nodeCategories"]) == parts - TRANSLATED_BY_CORE


def test_english_is_what_the_schemas_say():
    assert read_locale("en", "nodeDefs") == {name: english_of(schema) for name, schema in SCHEMAS.items()}
    assert all(key == text for key, text in read_locale("en", "main")["nodeCategories"].items())


def test_chinese_is_translated_and_keeps_every_number():
    english = dict(leaves(read_locale("en", "nodeDefs")))
    for path, text in leaves(read_locale("zh", "nodeDefs")):
        assert text.strip(), path
        if path.endswith((".description", ".tooltip")):
            assert re.search(r"[\u4e00-\u9fff]", text), path
        assert numbers_in(english[path]) <= numbers_in(text), path


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", ["nodeDefs", "main"])
def test_translations_are_plain_to_the_frontend(locale, name):
    # its messages give @ { } | a meaning of their own
    assert not [path for path, text in leaves(read_locale(locale, name)) if re.search(r"[@{}|]", text)]


# Help pages


def help_page(name: str, locale: str) -> str:
    folder = ROOT / "web" / "docs"
    path = folder / f"{name}.md" if locale == "en" else folder / name / f"{locale}.md"
    return path.read_text(encoding="utf-8")


def rows_of(page: str, section: int) -> list[str]:
    """Return a section's table rows without its two head lines; section 0 is the text above the first."""
    return [line for line in page.split("\n## ")[section].splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_help_page_names_every_input_and_output(name, locale):
    page, schema, words = help_page(name, locale), SCHEMAS[name], read_locale(locale, "nodeDefs")[name]
    assert page.startswith(f"# {words['display_name']}\n")
    assert page.count("\n## ") == 4, "inputs, outputs, a tip, and what goes wrong"
    shown = rows_of(page, 1)
    assert [row.split("`")[1] for row in shown] == list(schema["inputs"])
    for row, (key, options) in zip(shown, schema["inputs"].items(), strict=True):
        assert words["inputs"][key]["name"] in row
        for option in ("min", "max", "default"):
            value = options.get(option)
            if isinstance(value, bool) or value in (None, "") or (name, key) in OF_THE_MACHINE:
                continue
            assert (float(value) in numbers_in(row)) if not isinstance(value, str) else f"`{value}`" in row, key
    outputs = rows_of(page, 2)
    assert [row.split("`")[1] for row in outputs] == [output["display_name"] for output in schema["outputs"]]
    for row, output in zip(outputs, words["outputs"].values(), strict=True):
        assert output["name"] in row
    assert rows_of(page, 4), "nothing about what goes wrong"


@pytest.mark.parametrize("name", SCHEMAS)
def test_help_pages_say_the_same_in_both_languages(name):
    english, chinese = help_page(name, "en"), help_page(name, "zh")
    for section in range(5):
        assert len(rows_of(english, section)) == len(rows_of(chinese, section))
    # translators keep names of inputs, and what the node itself says, as they are
    assert sorted(set(re.findall(r"`([^`]+)`", english))) == sorted(set(re.findall(r"`([^`]+)`", chinese)))


def test_every_help_page_has_its_node():
    folder = ROOT / "web" / "docs"
    written = {path.stem for path in folder.glob("*.md")} | {path.name for path in folder.iterdir() if path.is_dir()}
    assert written == set(SCHEMAS)


# Registry


def test_registry_entry():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    name, comfy = project["project"]["name"], project["tool"]["comfy"]
    assert name == "sora-nodes"
    assert "comfyui" not in name.lower()
    assert (comfy["PublisherId"], comfy["DisplayName"]) == ("sora-nodes", "Sora Nodes")
    assert comfy["requires-comfyui"] == ">=0.33.0"
    assert "web" not in comfy, "the page folder is named in __init__.py, under the folder's own name"
    assert "Repository" in project["project"]["urls"]
    assert not any("GPU" in classifier for classifier in project["project"]["classifiers"])
    for key, shape in (("Icon", (1, 1)), ("Banner", (21, 9))):
        path = ROOT.joinpath(*urlsplit(comfy[key]).path.split("/")[4:])
        head = path.read_bytes()[:24]
        width, height = struct.unpack(">II", head[16:24])
        assert head.startswith(b"\x89PNG")
        assert width * shape[1] == height * shape[0]
        assert path.stat().st_size < 200_000
        assert key != "Icon" or width <= 400


def test_archive_holds_what_the_pack_needs_and_no_tests():
    lines = (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()
    ignored = [line for line in lines if line and not line.startswith("#")]
    assert all(line.startswith("/") for line in ignored)
    needed = {"nodes", "sora_core", "web", "locales", "workflows", "subgraphs", "__init__.py", "pyproject.toml"}
    needed |= {"requirements.txt", "README.md", "LICENSE", "NOTICE"}
    assert not needed & {line.split("/")[1] for line in ignored}
    assert {"/tests/", "/.github/", "/.ci/"} <= set(ignored)


def test_publishing_is_guarded_and_validates_first():
    text = (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert "if: github.repository_owner == 'sora-nodes'" in text
    assert 0 < text.index("comfy node validate") < text.index("Comfy-Org/publish-node-action@v1")
    assert "${{ secrets.REGISTRY_ACCESS_TOKEN }}" in text


# Code


def imports_of(tree: ast.AST) -> list[tuple[str, int]]:
    """Return each imported module's dotted name and its level, 0 where the import is absolute."""
    found = []
    for part in ast.walk(tree):
        if isinstance(part, ast.Import):
            found += [(alias.name, 0) for alias in part.names]
        elif isinstance(part, ast.ImportFrom):
            found.append((part.module or "", part.level))
    return found


def absolute_imports(path: Path) -> set[str]:
    return {name.split(".")[0] for name, level in imports_of(tree_of(path)) if not level}


def run_on_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is executed when the module is imported: all but the insides of functions."""
    for part in ast.iter_child_nodes(tree):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            for early in (*part.decorator_list, *part.args.defaults, *filter(None, part.args.kw_defaults)):
                yield from ast.walk(early)
        elif not isinstance(part, ast.Lambda):
            yield part
            yield from run_on_import(part)


def forbidden_in(tree: ast.AST) -> set[str]:
    """Return what no node may do: run text or programs, or unpickle; and importing ours by the host's name."""
    calls = {ast.unparse(part.func) for part in ast.walk(tree) if isinstance(part, ast.Call)}
    modules = {name.split(".")[0] for name, level in imports_of(tree) if not level}
    return (calls & FORBIDDEN_CALLS) | (modules & FORBIDDEN_MODULES)


def posix_only_in(tree: ast.AST) -> set[str]:
    """Return what fails on Windows as soon as the module is imported."""
    found = set()
    for part in run_on_import(tree):
        if isinstance(part, ast.Import | ast.ImportFrom):
            found |= {name for name, _ in imports_of(part) if name.split(".")[0] in POSIX_MODULES}
        elif isinstance(part, ast.Attribute) and ast.unparse(part) in POSIX_NAMES:
            found.add(ast.unparse(part))
    return found


def test_what_is_forbidden_is_found():
    assert forbidden_in(ast.parse("def f():\n    eval('1')")) == {"eval"}
    assert forbidden_in(ast.parse("import os, pickle\nos.system('x')")) == {"pickle", "os.system"}
    assert forbidden_in(ast.parse("import nodes")) == {"nodes"}
    assert forbidden_in(ast.parse("from .nodes import x\nmodel.eval()")) == set()
    assert posix_only_in(ast.parse("import signal\nX = signal.SIGKILL")) == {"signal.SIGKILL"}
    assert posix_only_in(ast.parse("def f(n=os.fork()):\n    import fcntl")) == {"os.fork"}
    assert posix_only_in(ast.parse("class A:\n    import resource")) == {"resource"}


@pytest.mark.parametrize("path", python_files(NODES, CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_keeps_the_rules(path):
    tree, absolute = tree_of(path), absolute_imports(path)
    assert posix_only_in(tree) == set()
    assert "sora_core" not in absolute, "inside the pack every import is relative: the host loads it under another name"
    inside = path.relative_to(ROOT).parts
    if inside[0] == "nodes":
        assert forbidden_in(tree) == set()
        if inside != ("nodes", "host.py") and inside[:2] != ("nodes", "adapters"):
            assert not {name for name in absolute if name in HOST or name.startswith("comfy")}
    else:
        assert not {name for name in absolute if name in HOST | {"nodes", "server"} or name.startswith("comfy")}


def test_every_import_is_declared():
    declared = set(re.findall(r"^[a-z0-9-]+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE))
    extra = {"c2pa", "cryptography"}  # the extra `provenance`, imported where it is used
    known = set(sys.stdlib_module_names) | declared | extra
    core = set().union(*(absolute_imports(path) for path in python_files(CORE)))
    nodes = set().union(*(absolute_imports(path) for path in python_files(NODES)))
    assert core - known == set()
    assert nodes - known - HOST - HOST_BRINGS == set()


def test_entry_point_imports_nothing():
    tree = tree_of(ROOT / "__init__.py")
    early = [part for part in run_on_import(tree) if isinstance(part, ast.Import | ast.ImportFrom)]
    assert early == []
    assert "NODE_CLASS_MAPPINGS" not in ast.dump(tree), "the host would then never ask for the entry point"


# Names of files


def refused_by_windows(path: str) -> str | None:
    """Return why Windows cannot write a path of the repository (with ``/``), or None."""
    for part in path.split("/"):
        if found := re.search(r'[<>:"|?*\\\x00-\x1f]', part):
            return f"{part!r} holds {found[0]!r}"
        if part != part.rstrip(". "):
            return f"{part!r} ends with a dot or a space"
        if re.fullmatch(
            r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9\u00b9\u00b2\u00b3])", part.split(".")[0].rstrip(), re.I
        ):
            return f"{part!r} is the name of a device"
    return "longer than 180 characters" if len(path) > 180 else None


def repository_files() -> list[str]:
    """Return the checkout's files, without what tools and runs leave there."""
    left = {".git", ".venv", "__pycache__", "build", "dist", "node_modules", "runs", "venv", "shared"}
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in left
            and not name.endswith((".egg-info", "_cache"))
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        found += [Path(folder, name).relative_to(ROOT).as_posix() for name in files]
    return sorted(found)


@pytest.mark.parametrize(
    "path",
    [
        "a:b.txt",
        "docs/what?.md",
        "con",
        "nodes/AUX.py",
        "lpt1.log",
        "COM\u00b9",
        "dot./x",
        "space /x",
        "a\\b",
        'a"b',
        "x\ty",
        "a" * 181,
    ],
)
def test_windows_refuses(path):
    assert refused_by_windows(path)


@pytest.mark.parametrize("path", ["docs/icon.png", ".github/workflows/publish.yml", "console.py", "com10", "a b/c.d"])
def test_windows_takes(path):
    assert refused_by_windows(path) is None


def test_every_file_can_be_checked_out_on_windows():
    files = repository_files()
    assert "sora_core/__init__.py" in files
    assert {path: why for path in files if (why := refused_by_windows(path))} == {}
    folded = [path.casefold() for path in files]
    assert len(set(folded)) == len(folded), "two names differ in case alone"
